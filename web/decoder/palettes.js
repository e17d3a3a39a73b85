/* The colours of BMP and TGA files, from what is kept of these files beside their pixels; codec/REMAINDERS.md. */

import { check } from "./errors.js";
import { patched } from "./patch.js";

const COLOURS_USED = 46;
const FILE_HEADER = 14;
const [CORE, INFO, LONGEST_HEADER] = [12, 40, 124];
/** Header, bits of a pixel and place of the rows of the presets that have palettes, by their numbers. */
const PRESETS = { 2: [40, 8, 1078], 3: [40, 4, 118], 4: [40, 1, 62], 13: [108, 8, 1146], 14: [124, 8, 1162], 16: [12, 8, 794] };
const OTHER_SHAPE = 17;
const [SHORT, PROFILE] = [2, 4];

export function chunksOfBmp(reader) {
    const preset = reader.varint("the shape of a BMP file");
    let [header, bits, offset] = PRESETS[preset] ?? [0, 0, 0];
    if (preset === OTHER_SHAPE) {
        header = reader.varint("the length of a header");
        bits = reader.varint("the bits of a pixel");
        reader.varint("the compression");
        offset = reader.varint("the place of the rows");
    }
    if (!header || bits > 8) return [];
    const flags = reader.varint("flags");
    for (const flag of [SHORT, PROFILE]) if (flags & flag) reader.varint("a part of the shape");
    const levels = 2 ** bits;
    const step = header === CORE ? 3 : 4;
    const start = FILE_HEADER + header;
    check(header <= LONGEST_HEADER && offset >= start && offset - start - 16 - 4 * levels <= reader.left, `a header of ${header} bytes, and rows at ${offset}`);
    // Only what is looked at below has to be as the file's writer is expected to have it.
    const usual = new Uint8Array(Math.min(offset, start + 16 + 4 * levels));
    for (let i = 0; i < levels; i++) usual.fill(Math.floor((255 * i) / (levels - 1)), start + step * i, start + step * i + 3);
    const known = patched(reader, usual);
    const head = new Uint8Array(offset);
    head.set(known);
    head.set(reader.take(offset - known.length, "the gap before the rows"), known.length);
    const used = header >= INFO ? new DataView(head.buffer).getUint32(COLOURS_USED, true) : 0;
    const colours = new Uint8Array(3 * levels);
    const count = Math.min(used || levels, levels, Math.floor((offset - start) / step));
    for (let i = 0; i < count; i++) colours.set(head.subarray(start + step * i, start + step * i + 3).toReversed(), 3 * i);
    return [["PLTE", colours]];
}

const TGA_HEADER = 18;
const [PALETTE, RUNS] = [1, 8];

export function chunksOfTga(reader, width, height) {
    const [type, depth, descriptor] = reader.take(3, "the type of a TGA file");
    if (type % RUNS !== PALETTE) return [];
    const usual = new Uint8Array(TGA_HEADER);
    const fields = new DataView(usual.buffer);
    [usual[1], usual[2], usual[6], usual[7], usual[16], usual[17]] = [1, type, 1, 24, depth, descriptor];
    fields.setUint16(12, width, true);
    fields.setUint16(14, height, true);
    const head = patched(reader, usual);
    const view = new DataView(head.buffer);
    const [first, count, bits] = [view.getUint16(3, true), view.getUint16(5, true), head[7]];
    const between = reader.take(reader.varint("what is before the pixels"), "what is before the pixels");
    const entries = between.subarray(head[0]);
    const size = (bits + 7) >> 3;
    const [colours, alpha] = [new Uint8Array(768), new Uint8Array(256).fill(255)];
    for (let i = 0; i < count && first + i < 256; i++) {
        const entry = entries.subarray(size * i, size * (i + 1));
        const at = 3 * (first + i);
        if (size === 2) {
            const value = entry[0] | (entry[1] << 8);
            for (let channel = 0; channel < 3; channel++) {
                colours[at + channel] = Math.floor((((value >> (10 - 5 * channel)) & 31) * 255 + 15) / 31);
            }
        } else {
            colours.set([entry[2], entry[1], entry[0]], at);
            if (bits === 32) alpha[first + i] = entry[3];
        }
    }
    return bits === 32 ? [["PLTE", colours], ["tRNS", alpha]] : [["PLTE", colours]];
}
