/* What the indexed and the rendered payload share: counters that begin at one half, tables, and bits that rows took. */

import { unpackArray } from "./tables.js";

export const FRESH = 2 ** 31;
export const KNOTS = 33;
export const LONGEST_MATCH = 31;
const CORRECTION_ROWS = 2 * 2 ** 16;

/** Places in the registers of the arithmetic decoder. */
export const [X1, X2, CODE, POSITION] = [0, 1, 2, 3];

/** Reserves arrays of one value, and the tables that both payloads begin with. */
export class Tables {
    /**
     * @param {Core} core
     * @param {object} tables - the part "indexed" of tables.json
     */
    constructor(core, tables) {
        this.core = core;
        this.squash = unpackArray(tables.squash);
        this.stretch = unpackArray(tables.stretch);
        this.rate = unpackArray(tables.rate);
    }

    filled(Type, value, length) {
        const address = this.core.reserve(Type.BYTES_PER_ELEMENT * length);
        this.core.view(Type, address, length).fill(value);
        return address;
    }

    corrections() {
        const address = this.core.reserve(2 * CORRECTION_ROWS * KNOTS);
        const all = this.core.view(Uint16Array, address, CORRECTION_ROWS * KNOTS);
        for (let i = 0; i < KNOTS; i++) all[i] = this.squash[Math.min(128 * i, 4095)];
        for (let filled = KNOTS; filled < all.length; filled *= 2) all.copyWithin(filled, 0, filled);
        return address;
    }

    shared() {
        return {
            squash: this.core.put(this.squash),
            stretch: this.core.put(this.stretch),
            rate: this.core.put(this.rate),
        };
    }
}

/** Registers of a decoder that has read the first four bytes; behind the end there are zeros. */
export function startRegisters(coded) {
    let code = 0n;
    for (let i = 0; i < 4; i++) code = (code << 8n) | BigInt(coded[i] ?? 0);
    return new BigInt64Array([0n, 0xffffffffn, code, 4n, 0n, 0n]);
}

/** Bits that were used up: the bytes read, less what the interval still tells. */
export function bitsSpent(registers) {
    return 8 * Number(registers[POSITION]) - Math.log2(Number(registers[X2] - registers[X1]) + 1);
}
