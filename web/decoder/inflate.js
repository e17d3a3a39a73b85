/* Deflate streams (RFC 1951) and those that zlib wraps (RFC 1950). Browsers' own streams do not say where they end. */

import { check } from "./errors.js";

const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
];
const DISTANCE_BITS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A prefix code as a table over the next `bits` bits: a symbol << 4 | its length; 0 where no code begins so. */
function prefixCode(lengths, what) {
    const longest = Math.max(...lengths);
    const table = new Uint16Array(1 << longest);
    let code = 0;
    let used = 0;
    for (let length = 1; length <= longest; length++) {
        for (let symbol = 0; symbol < lengths.length; symbol++) {
            if (lengths[symbol] !== length) continue;
            check(code < 1 << length, `a deflate stream with too many ${what}`);
            let reversed = 0;
            for (let i = 0; i < length; i++) reversed |= ((code >> i) & 1) << (length - 1 - i);
            for (let at = reversed; at < table.length; at += 1 << length) table[at] = (symbol << 4) | length;
            code++;
            used++;
        }
        code <<= 1;
    }
    check(used <= 1 || code === 2 << longest, `a deflate stream with too few ${what}`);
    return { table, bits: longest };
}

const FIXED = [
    prefixCode(Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)), "codes"),
    prefixCode(Array(32).fill(5), "codes"),
];

class Inflater {
    constructor(data, most, dictionary) {
        this.data = data;
        this.position = 0;
        this.pending = 0;
        this.count = 0;
        this.most = most + dictionary.length;
        this.out = new Uint8Array(Math.min(this.most, Math.max(1024, 4 * data.length + dictionary.length)));
        this.out.set(dictionary);
        this.size = dictionary.length;
        this.start = dictionary.length;
    }

    /** At least so many bits, with zeros behind the end: whoever uses up more of them is told. */
    fill(bits) {
        while (this.count < bits) {
            this.pending |= (this.data[this.position++] ?? 0) << this.count;
            this.count += 8;
        }
    }

    drop(bits) {
        this.pending >>>= bits;
        this.count -= bits;
        check(this.position - (this.count >> 3) <= this.data.length, `a deflate stream of ${this.data.length} bytes ends early`);
    }

    take(bits) {
        if (!bits) return 0;
        this.fill(bits);
        const value = this.pending & ((1 << bits) - 1);
        this.drop(bits);
        return value;
    }

    symbol(code) {
        this.fill(code.bits);
        const entry = code.table[this.pending & ((1 << code.bits) - 1)];
        check(entry, "a deflate stream with a code that it does not have");
        this.drop(entry & 15);
        return entry >> 4;
    }

    room(bytes) {
        const needed = this.size + bytes;
        check(needed <= this.most, `a deflate stream of more than ${this.most - this.start} bytes`);
        if (needed <= this.out.length) return;
        const grown = new Uint8Array(Math.min(this.most, Math.max(needed, 2 * this.out.length)));
        grown.set(this.out.subarray(0, this.size));
        this.out = grown;
    }

    stored() {
        this.drop(this.count & 7);
        this.position -= this.count >> 3;
        this.pending = this.count = 0;
        const head = this.data.subarray(this.position, this.position + 4);
        const length = head[0] | (head[1] << 8);
        check(head.length === 4 && (length ^ 0xffff) === (head[2] | (head[3] << 8)), "a damaged stored block");
        const part = this.data.subarray(this.position + 4, this.position + 4 + length);
        check(part.length === length, "a stored block that ends early");
        this.room(length);
        this.out.set(part, this.size);
        this.size += length;
        this.position += 4 + length;
    }

    codes() {
        const literals = this.take(5) + 257;
        const distances = this.take(5) + 1;
        const described = this.take(4) + 4;
        check(literals <= 286 && distances <= 30, `a deflate stream of ${literals} and ${distances} codes`);
        const short = Array(19).fill(0);
        for (let i = 0; i < described; i++) short[CODE_LENGTH_ORDER[i]] = this.take(3);
        const code = prefixCode(short, "lengths of lengths");
        const lengths = [];
        while (lengths.length < literals + distances) {
            const symbol = this.symbol(code);
            if (symbol < 16) lengths.push(symbol);
            else {
                check(symbol !== 16 || lengths.length, "a deflate stream that repeats nothing");
                const value = symbol === 16 ? lengths.at(-1) : 0;
                const times = symbol === 16 ? 3 + this.take(2) : symbol === 17 ? 3 + this.take(3) : 11 + this.take(7);
                for (let i = 0; i < times; i++) lengths.push(value);
            }
        }
        check(lengths.length === literals + distances && lengths[256], "a deflate stream with wrong lengths of codes");
        return [prefixCode(lengths.slice(0, literals), "literals"), prefixCode(lengths.slice(literals), "distances")];
    }

    coded([literal, distance]) {
        for (;;) {
            const symbol = this.symbol(literal);
            if (symbol === 256) return;
            if (symbol < 256) {
                if (this.size >= this.out.length) this.room(1);
                this.out[this.size++] = symbol;
                continue;
            }
            check(symbol < 286, "a deflate stream with a length that there is not");
            const length = LENGTH_BASE[symbol - 257] + this.take(LENGTH_BITS[symbol - 257]);
            const place = this.symbol(distance);
            check(place < 30, "a deflate stream with a distance that there is not");
            const back = DISTANCE_BASE[place] + this.take(DISTANCE_BITS[place]);
            check(back <= this.size, `a deflate stream that reaches ${back} bytes back, where it has ${this.size}`);
            this.room(length);
            const { out } = this;
            for (let end = this.size + length; this.size < end; this.size++) out[this.size] = out[this.size - back];
        }
    }

    run() {
        let last;
        do {
            last = this.take(1);
            const kind = this.take(2);
            check(kind < 3, "a deflate block of no kind");
            if (kind === 0) this.stored();
            else this.coded(kind === 1 ? FIXED : this.codes());
        } while (!last);
        return { data: this.out.subarray(this.start, this.size), used: this.position - (this.count >> 3) };
    }
}

/**
 * @param {Uint8Array} data - a raw stream, and what may follow it
 * @param {number} most - bytes that it may give
 * @param {Uint8Array} dictionary - what stands before the output
 * @returns {{data: Uint8Array, used: number}}
 */
export function inflateRaw(data, most, dictionary = new Uint8Array(0)) {
    return new Inflater(data, most, dictionary).run();
}

/** Of a zlib stream; its Adler-32 is checked. */
export function inflate(data, most) {
    const sound = data.length > 6 && (data[0] & 15) === 8 && ((data[0] << 8) | data[1]) % 31 === 0 && !(data[1] & 32);
    check(sound, "what should be a zlib stream is none");
    const found = inflateRaw(data.subarray(2), most);
    let a = 1;
    let b = 0;
    for (let i = 0; i < found.data.length; ) {
        for (const end = Math.min(i + 3800, found.data.length); i < end; i++) b += a += found.data[i];
        a %= 65521;
        b %= 65521;
    }
    const end = 2 + found.used;
    const sum = data.subarray(end, end + 4);
    check(sum.length === 4 && ((sum[0] << 8) | sum[1]) === b && ((sum[2] << 8) | sum[3]) === a, "a damaged zlib stream");
    return { data: found.data, used: end + 4 };
}

/** Of a zlib stream that is all of the data and gives exactly `size` bytes. */
export function inflateExactly(data, size, what) {
    const found = inflate(data, size);
    check(found.data.length === size && found.used === data.length, `${what} does not inflate to just ${size} bytes`);
    return found.data;
}
