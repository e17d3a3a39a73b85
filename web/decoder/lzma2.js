/* Raw LZMA2 streams. The output itself is the dictionary, which no distance in a sound stream exceeds. */

import { check } from "./errors.js";

const HALF = 1024;
const DICTIONARY = 2 ** 23;
const STATES_AFTER_LITERAL = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5];

function chances(size) {
    return new Uint16Array(size).fill(HALF);
}

/** Lengths of matches: three ranges, the shorter two for each position. */
class Lengths {
    constructor() {
        this.choice = chances(2);
        this.low = chances(16 << 3);
        this.middle = chances(16 << 3);
        this.high = chances(256);
    }

    read(decoder, position) {
        if (!decoder.bit(this.choice, 0)) return 2 + decoder.tree(this.low, position << 3, 3);
        if (!decoder.bit(this.choice, 1)) return 10 + decoder.tree(this.middle, position << 3, 3);
        return 18 + decoder.tree(this.high, 0, 8);
    }
}

class Decoder {
    constructor(data, most) {
        this.data = data;
        this.position = 0;
        this.out = new Uint8Array(most);
        this.size = 0;
        this.ready = false;
    }

    byte() {
        check(this.position < this.data.length, "an LZMA2 stream that ends early");
        return this.data[this.position++];
    }

    normalise() {
        if (this.range < 2 ** 24) {
            this.range = (this.range * 256) >>> 0;
            this.code = ((this.code << 8) | this.byte()) >>> 0;
        }
    }

    bit(table, at) {
        this.normalise();
        const bound = (this.range >>> 11) * table[at];
        if (this.code < bound) {
            this.range = bound;
            table[at] += (2048 - table[at]) >> 5;
            return 0;
        }
        this.range -= bound;
        this.code -= bound;
        table[at] -= table[at] >> 5;
        return 1;
    }

    direct(bits) {
        let value = 0;
        for (let i = 0; i < bits; i++) {
            this.normalise();
            this.range >>>= 1;
            const set = this.code >= this.range ? 1 : 0;
            if (set) this.code -= this.range;
            value = value * 2 + set;
        }
        return value;
    }

    tree(table, from, bits) {
        let node = 1;
        for (let i = 0; i < bits; i++) node = (node << 1) | this.bit(table, from + node);
        return node - (1 << bits);
    }

    treeFromLowest(table, from, bits) {
        let node = 1;
        let value = 0;
        for (let i = 0; i < bits; i++) {
            const bit = this.bit(table, from + node);
            node = (node << 1) | bit;
            value |= bit << i;
        }
        return value;
    }

    properties(byte) {
        check(byte < 225, `LZMA properties ${byte}`);
        this.literalContext = byte % 9;
        this.literalMask = (1 << (Math.floor(byte / 9) % 5)) - 1;
        this.positionMask = (1 << Math.floor(byte / 45)) - 1;
        check(this.literalContext + (Math.floor(byte / 9) % 5) <= 4, `LZMA properties ${byte}`);
    }

    reset() {
        this.ready = true;
        this.state = 0;
        this.back = [0, 0, 0, 0];
        this.literals = chances(0x300 << 4);
        this.isMatch = chances(12 << 4);
        this.isRepeat = chances(12);
        this.isFirst = chances(12);
        this.isSecond = chances(12);
        this.isThird = chances(12);
        this.isLong = chances(12 << 4);
        this.slots = chances(4 << 6);
        this.places = chances(128);
        this.aligned = chances(16);
        this.lengths = new Lengths();
        this.repeatLengths = new Lengths();
    }

    literal() {
        const before = this.size ? this.out[this.size - 1] : 0;
        const context = ((this.size & this.literalMask) << this.literalContext) + (before >> (8 - this.literalContext));
        const from = 0x300 * context;
        let node = 1;
        if (this.state >= 7) {
            let expected = this.out[this.size - this.back[0] - 1];
            while (node < 256) {
                const bit = (expected >> 7) & 1;
                expected <<= 1;
                const found = this.bit(this.literals, from + ((1 + bit) << 8) + node);
                node = (node << 1) | found;
                if (found !== bit) break;
            }
        }
        while (node < 256) node = (node << 1) | this.bit(this.literals, from + node);
        this.out[this.size++] = node;
        this.state = STATES_AFTER_LITERAL[this.state];
    }

    distance(length) {
        const slot = this.tree(this.slots, Math.min(length - 2, 3) << 6, 6);
        if (slot < 4) return slot;
        const bits = (slot >> 1) - 1;
        const base = (2 | (slot & 1)) * 2 ** bits;
        if (slot < 14) return base + this.treeFromLowest(this.places, base - slot, bits);
        return base + this.direct(bits - 4) * 16 + this.treeFromLowest(this.aligned, 0, 4);
    }

    /** The length of a match, or 1 for a byte at the last distance. */
    repeated(position) {
        const { state, back } = this;
        if (!this.bit(this.isFirst, state)) {
            if (!this.bit(this.isLong, (state << 4) + position)) {
                this.state = state < 7 ? 9 : 11;
                return 1;
            }
        } else {
            const which = !this.bit(this.isSecond, state) ? 1 : !this.bit(this.isThird, state) ? 2 : 3;
            back.unshift(...back.splice(which, 1));
        }
        const length = this.repeatLengths.read(this, position);
        this.state = state < 7 ? 8 : 11;
        return length;
    }

    match(end, dictionaryStart) {
        const position = this.size & this.positionMask;
        let length;
        if (this.bit(this.isRepeat, this.state)) length = this.repeated(position);
        else {
            length = this.lengths.read(this, position);
            this.state = this.state < 7 ? 7 : 10;
            this.back.unshift(this.distance(length));
            this.back.pop();
        }
        const [back] = this.back;
        check(
            back < Math.min(DICTIONARY, this.size - dictionaryStart) && this.size + length <= end,
            `an LZMA match of ${length} bytes, ${back + 1} back from ${this.size}`,
        );
        for (const stop = this.size + length; this.size < stop; this.size++) this.out[this.size] = this.out[this.size - back - 1];
    }

    chunk(size, dictionaryStart) {
        check(this.ready && this.positionMask !== undefined, "an LZMA2 chunk before any properties");
        this.range = 0xffffffff;
        check(this.byte() === 0, "an LZMA2 chunk that does not begin with 0");
        this.code = 0;
        for (let i = 0; i < 4; i++) this.code = ((this.code << 8) | this.byte()) >>> 0;
        const end = this.size + size;
        while (this.size < end) {
            if (this.bit(this.isMatch, (this.state << 4) + (this.size & this.positionMask))) this.match(end, dictionaryStart);
            else this.literal();
        }
        this.normalise();
        check(this.code === 0, "an LZMA2 chunk that goes on past its end");
    }

    run() {
        let started = false;
        for (let start = 0; ; ) {
            const control = this.byte();
            if (control === 0) return { data: this.out.subarray(0, this.size), used: this.position };
            check(control < 3 || control >= 128, `an LZMA2 chunk of kind ${control}`);
            const fresh = control === 1 || control >= 224;
            check(started || fresh, "an LZMA2 stream that begins in the middle");
            started = true;
            if (fresh) start = this.size;
            let size = (this.byte() << 8) + this.byte() + 1;
            if (control >= 128) size += (control & 31) << 16;
            check(this.size + size <= this.out.length, `an LZMA2 stream of more than ${this.out.length} bytes`);
            if (control < 3) {
                for (let i = 0; i < size; i++) this.out[this.size++] = this.byte();
                continue;
            }
            const packed = (this.byte() << 8) + this.byte() + 1;
            if (control >= 192) this.properties(this.byte());
            if (control >= 160) this.reset();
            const end = this.position + packed;
            this.chunk(size, start);
            check(this.position === end, `an LZMA2 chunk of ${packed} bytes that ends elsewhere`);
        }
    }
}

/**
 * @param {Uint8Array} data - a stream, and what may follow it
 * @param {number} most - bytes that it may give
 * @returns {{data: Uint8Array, used: number}}
 */
export function unlzma2(data, most) {
    return new Decoder(data, most).run();
}
