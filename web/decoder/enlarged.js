/* Pictures of which some rows and columns repeat the one before; codec/file/enlarged.py. */

import { JPEG, MODEL, PNG, tileCount, WEBP } from "./container.js";
import { check } from "./errors.js";
import { hex, Reader } from "./fields.js";
import { PACKINGS, unpack } from "./packing.js";

export const NAME = "enlarged";
export const DIGEST = "00000001";
const LONGEST_SIDE = 2 ** 24;

/** Of each row, or column, the number of the one that is held for it. */
function places(reader, side, factor) {
    const found = new Uint32Array(side);
    if (factor) return found.map((_, i) => Math.floor(i / factor));
    const method = reader.byte("a method of packing");
    check(method < PACKINGS, `rows that are packed by method ${method}`);
    const bits = unpack(method, reader.take(reader.varint("the packed rows"), "the packed rows"), Math.ceil(side / 8));
    check(bits[0] & 128, "a first row that repeats another");
    let number = -1;
    for (let i = 0; i < side; i++) {
        number += (bits[i >> 3] >> (7 - (i & 7))) & 1;
        found[i] = number;
    }
    return found;
}

/** What is coded in the one tile, as a header of its own, and which of its rows and columns stand where. */
export function unwrap(header) {
    check(Math.max(header.width, header.height) <= LONGEST_SIDE && header.entries.length === 1, "an enlarged picture in tiles");
    const reader = new Reader(header.tile(0), "the tile of an enlarged picture");
    const [tall, wide] = reader.take(2, "the factors");
    const rows = places(reader, header.height, tall);
    const columns = places(reader, header.width, wide);
    const inner = { ...header, kind: reader.byte("the payload kind"), height: rows.at(-1) + 1, width: columns.at(-1) + 1 };
    inner.model = inner.digest = "";
    if (inner.kind === MODEL) {
        inner.model = reader.text("the model");
        inner.digest = hex(reader.take(4, "the digest"));
    }
    check([MODEL, WEBP, PNG].includes(inner.kind) && inner.model !== NAME && inner.kind !== JPEG, `payload kind ${inner.kind} in an enlarged picture`);
    inner.tileWidth = reader.varint("a tile's width");
    inner.tileHeight = reader.varint("a tile's height");
    check(
        inner.tileWidth >= 1 && inner.tileWidth <= inner.width && inner.tileHeight >= 1 && inner.tileHeight <= inner.height,
        `tiles of ${inner.tileWidth} by ${inner.tileHeight} in a picture of ${inner.width} by ${inner.height}`,
    );
    const count = tileCount(inner);
    check(count <= reader.left, `${count} tiles in ${reader.left} bytes`);
    const lengths = Array.from({ length: count }, () => reader.varint("the length of a tile"));
    const tiles = lengths.map((length) => reader.take(length, "a tile"));
    check(!reader.left, `${reader.left} bytes behind the last tile`);
    inner.tile = (number) => tiles[number];
    return { inner, rows, columns };
}

/** A picture's samples, or their bits, out of those that are held; with `shared`, repeats share a value. */
export function enlarge(held, { rows, columns }, innerWidth, channels, shared = false) {
    const found = new held.constructor(rows.length * columns.length * channels);
    const count = (list) => list.reduce((all, i) => (all[i]++, all), new Uint32Array(list.at(-1) + 1));
    const [tall, wide] = shared ? [count(rows), count(columns)] : [null, null];
    for (let y = 0, at = 0; y < rows.length; y++) {
        for (let x = 0; x < columns.length; x++) {
            const from = (rows[y] * innerWidth + columns[x]) * channels;
            const by = shared ? tall[rows[y]] * wide[columns[x]] : 1;
            for (let c = 0; c < channels; c++) found[at++] = held[from + c] / by;
        }
    }
    return found;
}
