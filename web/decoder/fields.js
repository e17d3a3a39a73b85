/* Numbers, texts and parts in bytes, and the checksums of a .dz file; "Conventions" in codec/FORMAT.md. */

import { check } from "./errors.js";

const MOST_VARINT_BYTES = 9;

/** Takes fields from the front of bytes; past the end is an error. */
export class Reader {
    /**
     * @param {Uint8Array} data - all bytes
     * @param {string} where - what they are, for messages
     */
    constructor(data, where) {
        this.data = data;
        this.position = 0;
        this.where = where;
    }

    get left() {
        return this.data.length - this.position;
    }

    take(size, what) {
        check(
            Number.isSafeInteger(size) && size <= this.left,
            `${this.where} ends after ${this.data.length} bytes, inside ${what} of ${size}`,
        );
        this.position += size;
        return this.data.subarray(this.position - size, this.position);
    }

    byte(what) {
        return this.take(1, what)[0];
    }

    uint32(what) {
        const [a, b, c, d] = this.take(4, what);
        return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
    }

    /** A number of 7 bits a byte. Beyond 2^53 nothing in a file can be that long: such a one is refused, too. */
    varint(what) {
        let number = 0;
        for (let i = 0; i < MOST_VARINT_BYTES; i++) {
            const byte = this.byte(what);
            number += (byte & 127) * 128 ** i;
            if (byte < 128) {
                check(byte > 0 || i === 0, `${what} in ${this.where} is longer than it needs to be`);
                check(Number.isSafeInteger(number), `${what} in ${this.where} is ${number}`);
                return number;
            }
        }
        check(false, `${what} in ${this.where} has more than ${MOST_VARINT_BYTES} bytes`);
    }

    text(what) {
        const length = this.varint(`the length of ${what}`);
        check(length > 0, `${what} in ${this.where} is empty`);
        const bytes = this.take(length, what);
        check(bytes.every((byte) => byte >= 32 && byte < 127), `${what} in ${this.where} is no plain text`);
        return new TextDecoder("latin1").decode(bytes);
    }

    rest() {
        return this.take(this.left, "the rest");
    }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, number) => {
    for (let bit = 0; bit < 8; bit++) number = (number >>> 1) ^ (number & 1 ? 0xedb88320 : 0);
    return number;
});

/** CRC-32 as of zlib and PNG. */
export function crc32(data, before = 0) {
    let crc = ~before;
    for (let i = 0; i < data.length; i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ data[i]) & 255];
    return ~crc >>> 0;
}

export function hex(bytes) {
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function sameBytes(a, b) {
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
