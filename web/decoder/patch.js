/* Bytes of a file of which most are as expected; "Patch" in codec/REMAINDERS.md. */

import { check } from "./errors.js";

/** Bytes that are mostly as expected. */
export function patched(reader, expected) {
    const found = expected.slice();
    const number = reader.varint("a patch");
    if (number === 1) {
        const length = reader.varint("the length of a patch");
        check(length === found.length, `a patch of ${length} bytes for ${found.length}`);
        reader.take(length, "a patch").forEach((byte, i) => (found[i] ^= byte));
    }
    for (let run = 1, at = 0; run < number; run++) {
        at += reader.varint("a run of a patch");
        const actual = reader.take(reader.varint("the length of a run"), "a run of a patch");
        check(at + actual.length <= found.length, "a patch that is longer than what it changes");
        found.set(actual, at);
        at += actual.length;
    }
    return found;
}
