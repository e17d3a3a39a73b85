/* Tiles of few colours: a table of them, and the index of each pixel; models/indexed.py. */

import { check } from "./errors.js";
import { inflateExactly } from "./inflate.js";
import { bitsSpent, FRESH, LONGEST_MATCH, startRegisters, Tables } from "./mixedbits.js";

const CONTEXTS = 13;
const INPUTS = 32;
const FIRST_WEIGHT = 7000;
const MARGIN = 4;
const [FEWEST_BITS, MOST_BITS] = [14, 21];
const BLOCK_PIXELS = 2 ** 16;

function bitLength(number) {
    return number < 1 ? 0 : Math.floor(Math.log2(number)) + 1;
}

/** The colours, pixel by pixel, and where they end. */
function unpackColours(data, channels) {
    check(data.length >= 2 && data[1] <= 2 && (data[1] || channels === 1), "a table of colours of no kind");
    const count = data[0] + 1;
    if (data[1] === 0) return { count, colours: Uint8Array.from({ length: count }, (_, i) => i), end: 2 };
    const size = count * channels;
    let end = 2 + size;
    if (data[1] === 2) end = 4 + (data[2] | (data[3] << 8));
    check(end <= data.length, `a table of colours that ends after ${end} bytes of ${data.length}`);
    const planes = data[1] === 2 ? inflateExactly(data.subarray(4, end), size, "the table of colours") : data.subarray(2, end);
    const colours = new Uint8Array(size);
    for (let c = 0; c < channels; c++) {
        for (let i = 0, value = 0; i < count; i++) colours[i * channels + c] = value = (value + planes[c * count + i]) & 255;
    }
    return { count, colours, end };
}

export class IndexedCoder {
    constructor(core, tables) {
        this.core = core;
        this.tables = new Tables(core, tables);
        this.measures = "row";
    }

    /** As of the photo model. */
    decode(data, { height, width, channels }, depth, progress, bits = null) {
        check(depth === 8, "few colours of 16 bits");
        const { count, colours, end } = unpackColours(data, channels);
        const pixels = new Uint8Array(height * width * channels);
        const indices = new Uint8Array(height * width);
        if (count > 1) this.core.during(() => this.decodeIndices(data.subarray(end), { height, width, count }, indices, progress, bits));
        else progress(height * width);
        for (let i = 0; i < indices.length; i++) {
            check(indices[i] < count, `colour ${indices[i]} in a tile of ${count} colours`);
            for (let c = 0; c < channels; c++) pixels[i * channels + c] = colours[indices[i] * channels + c];
        }
        return pixels;
    }

    decodeIndices(coded, { height, width, count }, indices, progress, bits) {
        const { core, tables } = this;
        const depth = bitLength(count - 1);
        const slots = 2 ** Math.min(MOST_BITS, Math.max(FEWEST_BITS, bitLength(height * width * depth)));
        const stride = width + 2 * MARGIN;
        const canvas = core.reserve((height + MARGIN) * stride);
        const registers = core.put(startRegisters(coded));
        const counters = tables.filled(Uint32Array, FRESH, CONTEXTS * slots);
        const matches = tables.filled(Uint32Array, FRESH, 2 * LONGEST_MATCH + 2);
        const places = core.reserve(4 * slots);
        const byDepth = tables.filled(Int32Array, FIRST_WEIGHT, (8 << 8) * INPUTS);
        const byPattern = tables.filled(Int32Array, FIRST_WEIGHT, (1 << 7) * INPUTS);
        const corrections = tables.corrections();
        const { squash, stretch, rate } = tables.shared();
        const data = core.put(coded);
        const memory = [counters, matches, places, byDepth, byPattern, corrections, squash, stretch, rate];
        const rows = bits ? 1 : Math.max(1, Math.floor(BLOCK_PIXELS / width));
        const each = bits ? bits.length / height : 0;
        let spent = 0;
        for (let top = 0; top < height; top += rows) {
            const bottom = Math.min(top + rows, height);
            const sizes = [top, bottom, height, width, depth, 1].map(BigInt);
            const buffers = [canvas, data, BigInt(coded.length), registers, BigInt(slots)];
            const result = core.functions.dz_indexed_rows_1(...sizes, ...buffers, ...memory);
            check(result === 0n, `rows ${top} to ${bottom} of a tile that do not fit`);
            if (bits) {
                const before = spent;
                spent = bitsSpent(core.view(BigInt64Array, registers, 6));
                bits.fill((spent - before) / each, top * each, bottom * each);
            }
            progress((bottom - top) * width);
        }
        for (let y = 0; y < height; y++) {
            indices.set(core.view(Uint8Array, canvas + (MARGIN + y) * stride + MARGIN, width), y * width);
        }
    }
}
