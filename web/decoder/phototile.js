/* Tiles of the photo payload, as models/photo/tile.py writes them: groups of channels, alphabets, orientations. */

import { check, UnsupportedError } from "./errors.js";
import { Reader } from "./fields.js";
import { inflateExactly } from "./inflate.js";
import { FLUSH_BYTES, flatWeights, PhotoSession, SAMPLE_BYTES } from "./photo.js";
import { readTensors } from "./tables.js";

const WIDEST = 2 ** 15;
const CHUNK_PIXELS = 2 ** 14;
const [CONSTANT, FULL, SPARSE] = [0, 1, 2];
const GREEN_FIRST = [1, 0, 2];

/** Which channels are coded together, and by which network. */
export function groupsOf(channels) {
    const groups = [channels >= 3 ? { name: "colour", channels: GREEN_FIRST } : { name: "grey", channels: [0] }];
    if (channels % 2 === 0) groups.push({ name: "grey", channels: [channels - 1] });
    return groups;
}

/** The values that each channel takes, from a compressed bitmap with a bit for each value of the depth. */
export function listedValues(bitmap, channels, depth) {
    const size = 2 ** depth / 8;
    const raw = inflateExactly(bitmap, channels * size, "the list of used values");
    return Array.from({ length: channels }, (_, c) => {
        const values = [];
        for (let v = 0; v < 8 * size; v++) if ((raw[c * size + (v >> 3)] >> (7 - (v & 7))) & 1) values.push(v);
        check(values.length, "a channel without any value");
        return values;
    });
}

/** One shipped model, with its weights. */
export class PhotoModel {
    /**
     * @param {Core} core
     * @param {object} tables - the part "photo" of tables.json
     * @param {string} name
     * @param {Uint8Array} file - of its weights
     */
    constructor(core, tables, name, file) {
        this.measures = "sample";
        this.core = core;
        this.tables = tables;
        this.spec = tables.models[name];
        const tensors = readTensors(file);
        this.weights = {};
        for (const [group, sizes] of Object.entries(this.spec.groups)) this.weights[group] = flatWeights(sizes, group, tensors);
    }

    static known(tables, { model, digest }) {
        return tables.models[model]?.digest === digest;
    }

    /** The name of the file of weights that a model of a header needs. */
    static file(tables, header) {
        if (PhotoModel.known(tables, header)) return `models/${header.model}.safetensors`;
        throw new UnsupportedError(`coded by the model ${header.model} (${header.digest}), which this page does not have`);
    }

    session(group, alphabet, width, depth, height) {
        const sizes = this.spec.groups[group];
        return new PhotoSession(this.core, this.tables, this.spec, sizes, this.weights[group], alphabet, width, depth, height);
    }

    /**
     * @param {Uint8Array} data - a tile
     * @param {{height: number, width: number, channels: number}} shape - of its samples
     * @param {number} depth - 8 or 16
     * @param {function(number)} progress - is told numbers of pixels
     * @param {?Float32Array} bits - gets the bits of each sample, if it is there: the tile is coded once more for that
     * @returns {Uint8Array|Uint16Array} samples, pixel by pixel
     */
    decode(data, shape, depth, progress, bits = null) {
        const { height, width, channels } = shape;
        check(width <= WIDEST, `a tile of ${width} columns; the widest has ${WIDEST}`);
        const pixels = new (depth > 8 ? Uint16Array : Uint8Array)(height * width * channels);
        const reader = new Reader(data, "a tile");
        const groups = groupsOf(channels);
        const share = (count) => progress(count / groups.length / (bits ? 2 : 1));
        groups.forEach((group, number) => {
            const last = number === groups.length - 1;
            this.core.during(() => this.decodeGroup(reader, group, last, { ...shape, depth, pixels, bits, share }));
        });
        check(!reader.left, "bytes after the end of a tile's samples");
        return pixels;
    }

    decodeGroup(reader, group, last, job) {
        const { height, width, depth, pixels, share } = job;
        const first = reader.byte("the kind of a group");
        const [kind, orientation] = [first & 3, first >> 2];
        check(kind <= SPARSE && orientation < (kind === CONSTANT ? 1 : 8), `a group of channels that begins with ${first}`);
        if (kind === CONSTANT) {
            const raw = reader.take((group.channels.length * depth) / 8, "a constant group");
            group.channels.forEach((c, i) => {
                const value = depth > 8 ? raw[2 * i] | (raw[2 * i + 1] << 8) : raw[i];
                for (let at = c; at < pixels.length; at += job.channels) pixels[at] = value;
            });
            share(height * width * (job.bits ? 2 : 1));
            return;
        }
        const everything = Array.from({ length: 2 ** depth }, (_, v) => v);
        const bitmap = kind === FULL ? null : reader.take(reader.varint("a list of values"), "a list of values");
        const values = bitmap ? listedValues(bitmap, group.channels.length, depth) : group.channels.map(() => everything);
        const coded = last ? reader.rest() : reader.take(reader.varint("coded samples"), "coded samples");
        const [lines, columns] = orientation & 4 ? [width, height] : [height, width];
        check(columns <= WIDEST, `a tile turned to ${columns} columns; the widest has ${WIDEST}`);
        const symbols = this.core.reserve(2 * lines * columns * group.channels.length);
        this.core.during(() => this.decodeRows(group, values, coded, { lines, columns, symbols, depth, share }));
        const place = placesOf(orientation, height, width, columns);
        const turned = this.core.view(Uint16Array, symbols, lines * columns * group.channels.length);
        const count = group.channels.length;
        for (let y = 0, at = 0; y < height; y++) {
            for (let x = 0; x < width; x++, at += job.channels) {
                const from = place(y, x) * count;
                for (let i = 0; i < count; i++) {
                    const value = values[i][turned[from + i]];
                    check(value !== undefined, `symbol ${turned[from + i]} of ${values[i].length}`);
                    pixels[at + group.channels[i]] = value;
                }
            }
        }
        if (job.bits) this.core.during(() => this.measureRows(group, values, { ...job, lines, columns, symbols, place }));
    }

    decodeRows(group, values, coded, { lines, columns, symbols, depth, share }) {
        const session = this.session(group.name, values, columns, depth, lines);
        const data = this.core.put(coded);
        session.start(data, coded.length);
        const rows = Math.max(1, Math.floor(CHUNK_PIXELS / columns));
        for (let top = 0; top < lines; top += rows) {
            const bottom = Math.min(lines, top + rows);
            session.decode(symbols, top, bottom, data, coded.length);
            const beyond = session.position - coded.length;
            check(beyond <= 2 * FLUSH_BYTES, `the coded samples go on ${beyond} bytes past the end of a tile`);
            share((bottom - top) * columns);
        }
    }

    measureRows(group, values, { lines, columns, symbols, depth, share, bits, place, height, width, channels }) {
        const count = group.channels.length;
        const session = this.session(group.name, values, columns, depth, lines);
        const rows = Math.max(1, Math.floor(CHUNK_PIXELS / columns));
        const capacity = rows * columns * count * SAMPLE_BYTES + FLUSH_BYTES;
        const data = this.core.reserve(capacity);
        const probability = this.core.reserve(8 * rows * columns * count);
        const spent = new Float32Array(lines * columns * count);
        for (let top = 0; top < lines; top += rows) {
            const bottom = Math.min(lines, top + rows);
            // The bytes are not wanted: each part is written over the one before.
            this.core.view(BigUint64Array, session.coder, 4)[3] = 0n;
            session.encode(symbols, top, bottom, data, capacity, probability);
            const found = this.core.view(Float64Array, probability, (bottom - top) * columns * count);
            for (let i = 0; i < found.length; i++) spent[top * columns * count + i] = -Math.log2(found[i]);
            share((bottom - top) * columns);
        }
        for (let y = 0, at = 0; y < height; y++) {
            for (let x = 0; x < width; x++, at += channels) {
                for (let i = 0; i < count; i++) bits[at + group.channels[i]] = spent[place(y, x) * count + i];
            }
        }
    }
}

/** Where a pixel of a tile stands after the tile was turned: columns reversed, then rows, then both exchanged. */
function placesOf(orientation, height, width, columns) {
    return (y, x) => {
        if (orientation & 1) x = width - 1 - x;
        if (orientation & 2) y = height - 1 - y;
        return orientation & 4 ? x * columns + y : y * columns + x;
    };
}
