/* Bytes that are no pixels: as they are, deflated, or by LZMA2. */

import { check } from "./errors.js";
import { inflateRaw } from "./inflate.js";
import { unlzma2 } from "./lzma2.js";

export const PACKINGS = 3;
const [PLAIN, DEFLATED] = [0, 1];

/** Exactly `length` bytes out of all of the packed ones. */
export function unpack(method, packed, length) {
    if (method === PLAIN) {
        check(packed.length === length, `${packed.length} bytes where ${length} were announced`);
        return packed;
    }
    const found = method === DEFLATED ? inflateRaw(packed, length) : unlzma2(packed, length);
    check(
        found.data.length === length && found.used === packed.length,
        `${packed.length} packed bytes do not give the ${length} announced`,
    );
    return found.data;
}
