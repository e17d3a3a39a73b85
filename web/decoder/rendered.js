/* Tiles that programs made: samples, or indices of colours, or ranks of values; models/rendered/tile.py. */

import { check } from "./errors.js";
import { Reader } from "./fields.js";
import { bitsSpent, FRESH, LONGEST_MATCH, POSITION, startRegisters, Tables } from "./mixedbits.js";
import { listedValues } from "./phototile.js";

const MARGIN = 4;
const [CONTEXTS, LINE, INPUTS] = [24, 16, 52];
const [PREDICTORS, REGRESSORS, FITS, RIVALS] = [16, 24, 3, 3];
const [NODES, ENERGIES, PATTERNS, MOST_CHANNELS] = [64, 80, 128, 4];
const PLAIN_BITS = 17 * 16;
const [FIRST_WEIGHT, FIRST_FINAL_WEIGHT] = [5000, 21845];
const [FEWEST_BITS, MOST_BITS] = [8, 16];
const CHUNK_SAMPLES = 2 ** 14;
const READ_AHEAD = 8;
const [PLAIN, NAMED, LISTED] = [0, 1, 2];
const NEAREST = [[-1, 0], [-1, -1], [-1, 1], [0, -2], [-2, 0]];
const OTHERS = NEAREST.slice(0, 3);
const FARTHER = [
    [-2, 1], [-1, -2], [-1, 2], [-2, -1], [0, -3], [-1, 3], [-3, 0], [-2, 2], [-2, -2], [-1, -3], [0, -4], [-3, 1],
    [-3, -1], [-2, 3], [-2, -3], [-3, 2], [-3, -2], [-1, 4], [-2, 4],
];

/** Of each channel's regressors where in the canvas the minuend and what is subtracted are, seen from the sample. */
function offsets(channels, width) {
    const stride = (width + 2 * MARGIN) * channels;
    const found = new Int32Array(channels * REGRESSORS * 2);
    for (let c = 0; c < channels; c++) {
        const others = Array.from({ length: channels }, (_, i) => i).filter((i) => i !== c);
        const places = [
            ...others.filter((i) => i < c).map((i) => [0, 0, i]),
            ...NEAREST.map(([y, x]) => [y, x, c]),
            ...others.flatMap((i) => OTHERS.map(([y, x]) => [y, x, i])),
            ...FARTHER.map(([y, x]) => [y, x, c]),
        ];
        places.slice(0, REGRESSORS).forEach(([y, x, other], number) => {
            const at = 2 * (c * REGRESSORS + number);
            found[at] = y * stride + x * channels + other - c;
            found[at + 1] = other - c - channels;
        });
    }
    return found;
}

function counterLines(samples) {
    let bits = 0;
    for (let half = Math.floor(samples / 2); half >= 1; half /= 2) bits++;
    return 2 ** Math.min(MOST_BITS, Math.max(FEWEST_BITS, bits));
}

function part(reader, what) {
    const [low, high] = reader.take(2, what);
    return reader.take(low | (high << 8), what);
}

export class RenderedCoder {
    constructor(core, tables) {
        this.core = core;
        this.fields = tables.rendered.fields;
        this.tables = new Tables(core, tables.indexed);
        this.measures = "row";
    }

    /** As of the photo model. */
    decode(data, shape, depth, progress, bits = null) {
        const { height, width, channels } = shape;
        const reader = new Reader(data, "a tile");
        const kind = reader.byte("its kind");
        const most = 2 ** depth - 1;
        const pixels = new (depth > 8 ? Uint16Array : Uint8Array)(height * width * channels);
        if (kind === PLAIN) pixels.set(this.samples(reader.rest(), shape, most, progress, bits));
        else if (kind === NAMED) {
            const count = reader.byte("the number of colours") + 1;
            const colours = this.samples(part(reader, "colours"), { height: 1, width: count, channels }, most, () => {}, null);
            const indices = count > 1 ? this.samples(reader.rest(), { height, width, channels: 1 }, count - 1, progress, bits) : null;
            if (!indices) progress(height * width);
            for (let i = 0; i < height * width; i++) {
                const from = channels * (indices?.[i] ?? 0);
                for (let c = 0; c < channels; c++) pixels[i * channels + c] = colours[from + c];
            }
        } else {
            check(kind === LISTED, `a tile of kind ${kind}`);
            const values = listedValues(part(reader, "a list of values"), channels, depth);
            const last = Math.max(...values.map((list) => list.length)) - 1;
            check(last > 0, "one value in every channel, which is no list");
            const ranks = this.samples(reader.rest(), shape, last, progress, bits);
            for (let i = 0; i < ranks.length; i++) {
                const value = values[i % channels][ranks[i]];
                check(value !== undefined, `value ${ranks[i]} in a channel of ${values[i % channels].length}`);
                pixels[i] = value;
            }
        }
        return pixels;
    }

    samples(coded, shape, most, progress, bits) {
        return this.core.during(() => this.decodeSamples(coded, shape, most, progress, bits));
    }

    decodeSamples(coded, { height, width, channels }, most, progress, bits) {
        const { core } = this;
        const { state, canvas, registers } = this.state(coded, height, width, channels, most);
        const rows = bits ? 1 : Math.max(1, Math.floor(CHUNK_SAMPLES / (width * channels)));
        const each = bits ? bits.length / height : 0;
        let spent = 0;
        for (let top = 0; top < height; top += rows) {
            const bottom = Math.min(top + rows, height);
            const result = core.functions.dz_rendered_rows_1(state.address, BigInt(top), BigInt(bottom));
            check(result === 0n, `rows ${top} to ${bottom} of a tile that do not fit`);
            const now = core.view(BigInt64Array, registers, 6);
            const beyond = Number(now[POSITION]) - coded.length;
            check(beyond <= READ_AHEAD, `the coded samples go on ${beyond} bytes past the end of a tile`);
            if (bits) {
                const before = spent;
                spent = bitsSpent(now);
                bits.fill((spent - before) / each, top * each, bottom * each);
            }
            progress((bottom - top) * width);
        }
        const stride = (width + 2 * MARGIN) * channels;
        const found = new Uint16Array(height * width * channels);
        for (let y = 0; y < height; y++) {
            const row = core.view(Uint16Array, canvas + 2 * ((MARGIN + y) * stride + MARGIN * channels), width * channels);
            found.set(row, y * width * channels);
        }
        return found;
    }

    state(coded, height, width, channels, most) {
        const { core, tables } = this;
        const lines = counterLines(height * width * channels);
        const columns = width + 2 * MARGIN;
        const cells = (height + MARGIN) * columns * channels;
        const weights = (rows) => tables.filled(Int32Array, FIRST_WEIGHT, rows * INPUTS);
        const canvas = core.reserve(2 * cells);
        const registers = core.put(startRegisters(coded));
        const state = core.structure(this.fields, {
            height, width, channels, lines, canvas, registers,
            maximum: most,
            decoding: 1,
            seen: 0,
            size: coded.length,
            data: core.put(coded),
            residuals: core.reserve(4 * cells),
            errors: core.reserve(4 * 2 * columns * channels * PREDICTORS),
            changes: core.reserve(4 * 2 * width * channels),
            offsets: core.put(offsets(channels, width)),
            squares: core.reserve(8 * channels * FITS * REGRESSORS * (REGRESSORS + 2)),
            rivals: core.reserve(8 * channels * RIVALS),
            counters: tables.filled(Uint32Array, FRESH, CONTEXTS * lines * LINE),
            match_counters: tables.filled(Uint32Array, FRESH, 2 * LONGEST_MATCH + 2),
            plain: tables.filled(Uint32Array, FRESH, PLAIN_BITS),
            places: core.reserve(4 * lines),
            node_weights: weights(NODES * MOST_CHANNELS),
            energy_weights: weights(NODES * ENERGIES),
            pattern_weights: weights(NODES * PATTERNS),
            final_weights: tables.filled(Int32Array, FIRST_FINAL_WEIGHT, NODES * 4),
            corrections: tables.corrections(),
            ...tables.shared(),
        });
        return { state, canvas, registers };
    }
}
