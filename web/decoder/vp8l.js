/* Lossless WebP files. A canvas would give their pixels only after it had multiplied them by alpha.

   Source: WebP Lossless Bitstream Specification (Google). */

import { check, UnsupportedError } from "./errors.js";
import { addGreen, plus, undoColour, undoIndices, undoPrediction } from "./vp8ltransforms.js";

const SIGNATURE = 0x2f;
const LITERALS = 256;
const LENGTHS = 24;
const DISTANCES = 40;
const LOOK_BITS = 9;
const LONGEST_CODE = 15;
const CODE_LENGTH_ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const HASH = 0x1e35a7bd;
const [PREDICTION, COLOUR, GREEN] = [0, 1, 2];

/** (columns to the left, rows up) of the 120 nearest pixels: of equally near ones first the higher, then the left one. */
const NEAR = nearPlaces();

/** Rows above reach seven columns to the right and eight to the left. */
function nearPlaces() {
    const places = [];
    for (let y = 0; y <= 7; y++) for (let x = -7; x <= 8; x++) if (y > 0 || x > 0) places.push([x, y]);
    return places.sort(([ax, ay], [bx, by]) => ax * ax + ay * ay - bx * bx - by * by || Math.abs(ax) - Math.abs(bx) || bx - ax);
}

class Bits {
    constructor(data) {
        this.data = data;
        this.position = 0;
        this.pending = 0;
        this.count = 0;
    }

    /** At least so many bits, up to 24, with zeros behind the end: using more than a few of those is an error. */
    fill(bits) {
        while (this.count < bits) {
            this.pending |= (this.data[this.position++] ?? 0) << this.count;
            this.count += 8;
        }
    }

    drop(bits) {
        this.pending >>>= bits;
        this.count -= bits;
    }

    read(bits) {
        this.fill(bits);
        const value = this.pending & ((1 << bits) - 1);
        this.drop(bits);
        return value;
    }

    ended() {
        return this.position - (this.count >> 3) > this.data.length;
    }
}

class PrefixCode {
    constructor(lengths) {
        const counts = new Uint16Array(LONGEST_CODE + 1);
        for (const length of lengths) counts[length]++;
        counts[0] = 0;
        const used = counts.reduce((a, b) => a + b);
        check(used > 0, "a WebP tile with an empty code");
        // A single symbol takes no bits.
        this.single = used === 1 ? lengths.findIndex((length) => length) : -1;
        if (used === 1) return;
        this.longest = counts.findLastIndex((count) => count);
        this.first = new Int32Array(LONGEST_CODE + 2);
        this.start = new Int32Array(LONGEST_CODE + 2);
        this.counts = counts;
        for (let length = 1; length <= LONGEST_CODE; length++) {
            this.first[length + 1] = (this.first[length] + counts[length]) << 1;
            this.start[length + 1] = this.start[length] + counts[length];
        }
        check(this.first[this.longest] + counts[this.longest] === 1 << this.longest, "a WebP tile with codes that do not fit");
        const next = this.start.slice();
        this.symbols = new Uint16Array(used);
        lengths.forEach((length, symbol) => length && (this.symbols[next[length]++] = symbol));
        this.look = new Uint16Array(1 << Math.min(this.longest, LOOK_BITS));
        this.fillLook();
    }

    fillLook() {
        const bits = Math.min(this.longest, LOOK_BITS);
        for (let length = 1; length <= bits; length++) {
            for (let i = 0; i < this.counts[length]; i++) {
                const code = this.first[length] + i;
                let reversed = 0;
                for (let b = 0; b < length; b++) reversed |= ((code >> b) & 1) << (length - 1 - b);
                const entry = (this.symbols[this.start[length] + i] << 4) | length;
                for (let at = reversed; at < this.look.length; at += 1 << length) this.look[at] = entry;
            }
        }
        this.mask = this.look.length - 1;
    }

    read(bits) {
        if (this.single >= 0) return this.single;
        bits.fill(LONGEST_CODE);
        const entry = this.look[bits.pending & this.mask];
        if (entry) {
            bits.drop(entry & 15);
            return entry >> 4;
        }
        for (let length = 1, code = 0; ; length++) {
            code = (code << 1) | ((bits.pending >> (length - 1)) & 1);
            const place = code - this.first[length];
            if (place < this.counts[length]) {
                bits.drop(length);
                return this.symbols[this.start[length] + place];
            }
        }
    }
}

function readCode(bits, size) {
    const lengths = new Array(size).fill(0);
    if (bits.read(1)) {
        const two = bits.read(1);
        const first = bits.read(bits.read(1) ? 8 : 1);
        check(first < size, `symbol ${first} of ${size} in a WebP tile`);
        lengths[first] = 1;
        if (two) {
            const second = bits.read(8);
            check(second < size, `symbol ${second} of ${size} in a WebP tile`);
            lengths[second] = 1;
        }
        return new PrefixCode(lengths);
    }
    const short = new Array(19).fill(0);
    for (let i = 0, count = 4 + bits.read(4); i < count; i++) short[CODE_LENGTH_ORDER[i]] = bits.read(3);
    const code = new PrefixCode(short);
    let most = bits.read(1) ? 2 + bits.read(2 + 2 * bits.read(3)) : size;
    for (let at = 0, before = 8; at < size && most-- > 0; ) {
        const symbol = code.read(bits);
        if (symbol < 16) {
            lengths[at++] = symbol;
            if (symbol) before = symbol;
            continue;
        }
        const times = symbol === 16 ? 3 + bits.read(2) : symbol === 17 ? 3 + bits.read(3) : 11 + bits.read(7);
        check(at + times <= size, "a WebP tile with too many lengths of codes");
        lengths.fill(symbol === 16 ? before : 0, at, (at += times));
    }
    return new PrefixCode(lengths);
}

function readAmount(bits, prefix) {
    if (prefix < 4) return prefix + 1;
    const extra = (prefix - 2) >> 1;
    return (2 + (prefix & 1)) * 2 ** extra + bits.read(extra) + 1;
}

function readGroup(bits, cache) {
    const sizes = [LITERALS + LENGTHS + cache, LITERALS, LITERALS, LITERALS, DISTANCES];
    return sizes.map((size) => readCode(bits, size));
}

/** The pixels of an image; only the main one has groups of codes for its blocks. */
function readImage(bits, width, height, main) {
    const cacheBits = bits.read(1) ? bits.read(4) : 0;
    check(cacheBits <= 11, `a WebP tile with a cache of ${cacheBits} bits`);
    let [blockBits, blocks, choice] = [0, 0, null];
    if (main && bits.read(1)) {
        blockBits = bits.read(3) + 2;
        blocks = Math.ceil(width / 2 ** blockBits);
        choice = readImage(bits, blocks, Math.ceil(height / 2 ** blockBits), false);
        for (let i = 0; i < choice.length; i++) choice[i] = (choice[i] >> 8) & 0xffff;
    }
    const groups = [];
    const count = choice ? choice.reduce((a, b) => Math.max(a, b), 0) + 1 : 1;
    for (let i = 0; i < count; i++) {
        groups.push(readGroup(bits, cacheBits ? 1 << cacheBits : 0));
        check(!bits.ended(), "a WebP tile that ends early");
    }
    return readPixels(bits, width, height, { groups, blockBits, blocks, choice, cacheBits });
}

function readPixels(bits, width, height, { groups, blockBits, blocks, choice, cacheBits }) {
    const pixels = new Int32Array(width * height);
    const cache = new Int32Array(1 << cacheBits);
    const remember = (pixel) => {
        if (cacheBits) cache[Math.imul(HASH, pixel) >>> (32 - cacheBits)] = pixel;
    };
    for (let at = 0; at < pixels.length; ) {
        const x = at % width;
        const y = (at - x) / width;
        const [green, red, blue, alpha, distance] = groups[choice ? choice[(y >> blockBits) * blocks + (x >> blockBits)] : 0];
        const symbol = green.read(bits);
        if (symbol < LITERALS) {
            const own = red.read(bits);
            const low = blue.read(bits);
            pixels[at] = (alpha.read(bits) << 24) | (own << 16) | (symbol << 8) | low;
            remember(pixels[at++]);
        } else if (symbol < LITERALS + LENGTHS) {
            const length = readAmount(bits, symbol - LITERALS);
            let back = readAmount(bits, distance.read(bits));
            if (back > NEAR.length) back -= NEAR.length;
            else back = Math.max(1, NEAR[back - 1][0] + NEAR[back - 1][1] * width);
            check(back <= at && at + length <= pixels.length, `a WebP tile that copies ${length} pixels from ${back} back at ${at}`);
            for (const end = at + length; at < end; at++) remember((pixels[at] = pixels[at - back]));
        } else remember((pixels[at++] = cache[symbol - LITERALS - LENGTHS]));
        check(!bits.ended(), "a WebP tile that ends early");
    }
    return pixels;
}

function readTransform(bits, width, height, kind) {
    if (kind === GREEN) return { undo: addGreen };
    if (kind === PREDICTION || kind === COLOUR) {
        const size = bits.read(3) + 2;
        const image = readImage(bits, Math.ceil(width / 2 ** size), Math.ceil(height / 2 ** size), false);
        return { undo: kind === COLOUR ? undoColour : undoPrediction, width, height, bits: size, image };
    }
    const count = bits.read(8) + 1;
    const image = readImage(bits, count, 1, false);
    for (let i = 1; i < count; i++) image[i] = plus(image[i], image[i - 1]);
    return { undo: undoIndices, width, height, bits: count <= 2 ? 3 : count <= 4 ? 2 : count <= 16 ? 1 : 0, image };
}

/** The stream of a file: its chunk VP8L. */
function streamOf(data) {
    const name = (at) => String.fromCharCode(...data.subarray(at, at + 4));
    check(name(0) === "RIFF" && name(8) === "WEBP", "a WebP tile that does not begin like one");
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    for (let at = 12; at + 8 <= data.length; ) {
        const length = view.getUint32(at + 4, true);
        check(length <= data.length - at - 8, "a WebP tile that ends early");
        if (name(at) === "VP8L") return data.subarray(at + 8, at + 8 + length);
        if (name(at) === "VP8 ") throw new UnsupportedError("a WebP tile that is not lossless");
        at += 8 + length + (length & 1);
    }
    check(false, "a WebP tile without a picture");
}

/** Pixels of a lossless WebP file of a known size, each 32 bits. */
export function readWebp(data, width, height) {
    const bits = new Bits(streamOf(data));
    check(bits.read(8) === SIGNATURE, "a WebP tile with another signature");
    const [columns, rows] = [bits.read(14) + 1, bits.read(14) + 1];
    check(columns === width && rows === height, `a WebP tile of ${columns} by ${rows} pixels, not ${width} by ${height}`);
    bits.read(1);
    check(bits.read(3) === 0, "a WebP tile of another version");
    const transforms = [];
    const kinds = new Set();
    let packed = width;
    while (bits.read(1)) {
        const kind = bits.read(2);
        check(!kinds.has(kind), "a WebP tile with a transform twice");
        kinds.add(kind);
        transforms.push(readTransform(bits, packed, height, kind));
        if (transforms.at(-1).undo === undoIndices) packed = Math.ceil(width / 2 ** transforms.at(-1).bits);
    }
    const pixels = readImage(bits, packed, height, true);
    return transforms.reduceRight((found, transform) => transform.undo(found, transform), pixels);
}

/** What decodes tiles that are WebP files. */
export const WEBP_CODER = {
    measures: "",
    decode(data, { height, width, channels }, depth, progress) {
        check(depth === 8, "a WebP tile of 16 bits");
        const pixels = readWebp(data, width, height);
        const samples = new Uint8Array(height * width * channels);
        const shifts = { 1: [16], 2: [16, 24], 3: [16, 8, 0], 4: [16, 8, 0, 24] }[channels];
        for (let i = 0; i < pixels.length; i++) {
            for (let c = 0; c < channels; c++) samples[i * channels + c] = pixels[i] >>> shifts[c];
        }
        progress(height * width);
        return samples;
    },
};
