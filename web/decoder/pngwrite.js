/* PNG files of decoded pictures, with the metadata that came with them. */

import { crc32 } from "./fields.js";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const COLOUR_TYPES = { 1: 0, L: 0, LA: 4, RGB: 2, RGBA: 6, P: 3 };

function chunk(name, data) {
    const bytes = new Uint8Array(12 + data.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, data.length);
    bytes.set(Array.from(name, (letter) => letter.charCodeAt(0)), 4);
    bytes.set(data, 8);
    view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
    return bytes;
}

async function deflated(data) {
    const stream = new Blob([data]).stream().pipeThrough(new CompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The bytes of a row, as PNG has them: big-endian, or several samples in a byte. */
function packRow(samples, bits, grey, out) {
    if (bits === 16) {
        for (let i = 0; i < samples.length; i++) {
            out[2 * i] = samples[i] >> 8;
            out[2 * i + 1] = samples[i] & 255;
        }
    } else if (bits === 8) out.set(samples);
    else {
        out.fill(0);
        // Grey samples of two and four bits are held so that they span 0 to 255.
        const unit = grey && bits > 1 ? 255 / (2 ** bits - 1) : 1;
        const each = 8 / bits;
        for (let i = 0; i < samples.length; i++) out[Math.floor(i / each)] |= (samples[i] / unit) << (8 - bits - bits * (i % each));
    }
}

function paeth(a, b, c) {
    const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
    return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

const FILTERS = [
    () => 0,
    (a) => a,
    (a, b) => b,
    (a, b) => (a + b) >> 1,
    paeth,
];

/** A row by each filter; the one with the smallest amounts is kept. */
function filterRow(row, above, step, candidates) {
    let [best, least] = [0, Infinity];
    FILTERS.forEach((predict, filter) => {
        const out = candidates[filter];
        let sum = 0;
        for (let i = 0; i < row.length && sum < least; i++) {
            const left = i >= step ? row[i - step] : 0;
            const corner = i >= step ? above[i - step] : 0;
            const value = (row[i] - predict(left, above[i], corner)) & 255;
            out[i] = value;
            sum += value < 128 ? value : 256 - value;
        }
        if (sum < least) [best, least] = [filter, sum];
    });
    return best;
}

/**
 * @param {object} header - of the .dz file
 * @param {Uint8Array|Uint16Array} samples
 * @param {[string, Uint8Array][]} chunks - metadata
 * @returns {Promise<Blob>} a PNG file of the same samples
 */
export async function writePng({ mode, bits, width, height, channels }, samples, chunks) {
    const type = COLOUR_TYPES[mode.replace(";16", "")];
    const bytes = Math.ceil((width * channels * bits) / 8);
    const step = Math.max(1, (channels * bits) / 8);
    const raw = new Uint8Array(height * (bytes + 1));
    let above = new Uint8Array(bytes);
    let row = new Uint8Array(bytes);
    const candidates = FILTERS.map(() => new Uint8Array(bytes));
    for (let y = 0; y < height; y++) {
        packRow(samples.subarray(y * width * channels, (y + 1) * width * channels), bits, mode === "L", row);
        // Filters gain nothing on indices, nor on samples that share bytes.
        const filter = type === 3 || bits < 8 ? 0 : filterRow(row, above, step, candidates);
        raw[y * (bytes + 1)] = filter;
        raw.set(filter ? candidates[filter] : row, y * (bytes + 1) + 1);
        [above, row] = [row, above];
    }
    const head = new Uint8Array(13);
    const view = new DataView(head.buffer);
    view.setUint32(0, width);
    view.setUint32(4, height);
    head.set([bits, type, 0, 0, 0], 8);
    const beside = chunks.map(([name, data]) => chunk(name, data));
    const parts = [new Uint8Array(SIGNATURE), chunk("IHDR", head), ...beside, chunk("IDAT", await deflated(raw))];
    return new Blob([...parts, chunk("IEND", new Uint8Array(0))], { type: "image/png" });
}
