/* PNG files as tiles are: pixels only, in rows, no palette. */

import { check, UnsupportedError } from "./errors.js";
import { crc32, sameBytes } from "./fields.js";
import { inflateExactly } from "./inflate.js";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CHANNELS_OF_TYPE = { 0: 1, 2: 3, 4: 2, 6: 4 };

/** The head, and all data of IDAT chunks. */
function parse(data) {
    check(sameBytes(data.subarray(0, 8), SIGNATURE), "a PNG tile that does not begin like one");
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const parts = [];
    let head = null;
    for (let at = 8; ; ) {
        check(at + 12 <= data.length, "a PNG tile that ends early");
        const length = view.getUint32(at);
        check(length <= data.length - at - 12, "a PNG tile that ends early");
        const name = String.fromCharCode(...data.subarray(at + 4, at + 8));
        const body = data.subarray(at + 8, at + 8 + length);
        check(crc32(data.subarray(at + 4, at + 8 + length)) === view.getUint32(at + 8 + length), `a damaged ${name} in a PNG tile`);
        at += 12 + length;
        if (name === "IHDR") {
            check(length === 13 && !head, "a PNG tile with a head of another length");
            head = { width: view.getUint32(at - 17), height: view.getUint32(at - 13), depth: body[8], type: body[9], interlaced: body[12] };
        } else if (name === "IDAT") parts.push(body);
        else if (name === "IEND") break;
    }
    check(head && parts.length, "a PNG tile without a head or without data");
    const whole = new Uint8Array(parts.reduce((sum, body) => sum + body.length, 0));
    parts.reduce((at, body) => (whole.set(body, at), at + body.length), 0);
    return { head, data: whole };
}

/** Undoes the filter of a row in place. */
function unfilter(filter, row, above, step) {
    check(filter <= 4, `a row of a PNG tile with filter ${filter}`);
    for (let i = 0; filter && i < row.length; i++) {
        const a = i >= step ? row[i - step] : 0;
        const b = above[i];
        if (filter === 1) row[i] += a;
        else if (filter === 2) row[i] += b;
        else if (filter === 3) row[i] += (a + b) >> 1;
        else {
            const c = i >= step ? above[i - step] : 0;
            const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
            row[i] += pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
        }
    }
}

/** Samples out of a row's bytes. */
function unpackRow(row, depth, scale, out) {
    if (depth === 16) for (let i = 0; i < out.length; i++) out[i] = (row[2 * i] << 8) | row[2 * i + 1];
    else if (depth === 8) out.set(row);
    else {
        const each = 8 / depth;
        const mask = 2 ** depth - 1;
        for (let i = 0; i < out.length; i++) {
            out[i] = ((row[Math.floor(i / each)] >> (8 - depth - depth * (i % each))) & mask) * scale;
        }
    }
}

/** What decodes tiles of a header's mode and depth. */
export function pngCoder({ mode, bits }) {
    return {
        measures: "",
        decode(data, { height, width, channels }, depth, progress) {
            const { head, data: packed } = parse(data);
            check(
                head.width === width && head.height === height && head.depth === bits && CHANNELS_OF_TYPE[head.type] === channels,
                `a PNG tile of ${head.width} by ${head.height} pixels, ${head.depth} bits, where another was announced`,
            );
            if (head.interlaced) throw new UnsupportedError("an interlaced PNG tile, which no writer makes");
            const bytes = Math.ceil((width * channels * bits) / 8);
            const raw = inflateExactly(packed, height * (bytes + 1), "a PNG tile");
            const samples = new (depth > 8 ? Uint16Array : Uint8Array)(height * width * channels);
            // Grey samples of two and four bits are held so that they span 0 to 255.
            const scale = mode === "L" ? 255 / (2 ** bits - 1) : 1;
            let above = new Uint8Array(bytes);
            for (let y = 0; y < height; y++) {
                const at = y * (bytes + 1);
                const row = raw.subarray(at + 1, at + 1 + bytes);
                unfilter(raw[at], row, above, Math.max(1, (channels * bits) / 8));
                unpackRow(row, bits, scale, samples.subarray(y * width * channels, (y + 1) * width * channels));
                above = row;
            }
            progress(height * width);
            return samples;
        },
    };
}
