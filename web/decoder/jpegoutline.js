/* A JPEG file without its coefficients: the skeleton, and what scans have beside them; codec/images/jpeg/apart.py. */

import { check } from "./errors.js";
import { Reader } from "./fields.js";
import { inflateRaw } from "./inflate.js";
import { follow } from "./jpegframe.js";
import { PACKINGS, unpack } from "./packing.js";

const WITH_DICTIONARY = 3;
const MOST_OUTLINE = 2 ** 26;
const SLACK = 2 ** 20;
const MOST_IMAGES = 64;
const BLOCKS_A_BYTE = 8;
export const [ZEROS, ONES, ODD] = [0, 1, 2];
export const [BROKEN_RUNS, LIBJPEG_RUNS, SINGLE_RUNS] = [0, 1, 2];
const TAIL = 16;
const USUAL = { padding: ONES, pads: new Uint8Array(0), runs: LIBJPEG_RUNS, broken: [], tail: new Uint8Array(0) };

function readLeftover(reader) {
    const flags = reader.byte("leftovers of a scan");
    const found = { ...USUAL, padding: flags & 3, runs: (flags >> 2) & 3 };
    check(found.padding <= ODD && found.runs <= SINGLE_RUNS && flags < 2 * TAIL, `leftovers of a scan with the flags ${flags}`);
    if (found.padding === ODD) found.pads = reader.take(reader.varint("the padding"), "the padding");
    if (found.runs === BROKEN_RUNS) {
        const count = reader.varint("broken runs");
        check(count <= reader.left, `${count} broken runs in ${reader.left} bytes`);
        let last = 0;
        found.broken = Array.from({ length: count }, () => (last += reader.varint("a broken run")));
    }
    if (flags & TAIL) found.tail = reader.take(reader.varint("a tail"), "a tail");
    return found;
}

/**
 * @param {Uint8Array} tile - the first of a file
 * @param {number} length - of the JPEG file
 * @param {Uint8Array} dictionary
 * @returns {{images: object[], skeleton: Uint8Array}}
 */
export function readOutline(tile, length, dictionary) {
    const outer = new Reader(tile, "the outline of a JPEG file");
    const number = outer.varint("its length");
    const [size, method] = [Math.floor(number / 4), number % 4];
    check(size <= MOST_OUTLINE && size <= length + SLACK, `an outline of ${size} bytes for a file of ${length}`);
    const packed = outer.rest();
    if (method < PACKINGS) return parse(unpack(method, packed, size));
    check(method === WITH_DICTIONARY, `an outline packed by method ${method}`);
    const found = inflateRaw(packed, size, dictionary);
    check(found.data.length === size && found.used === packed.length, "an outline of another length than announced");
    return parse(found.data);
}

function parse(data) {
    const reader = new Reader(data, "the outline of a JPEG file");
    const count = reader.varint("the number of images");
    check(count >= 1 && count <= MOST_IMAGES, `${count} images in a JPEG file`);
    const cuts = [];
    const entries = [];
    for (let image = 0, start = 0; image < count; image++) {
        if (image) {
            start += reader.varint("the place of an image");
            cuts.push([start, reader.varint("the length of an image")]);
        }
        const scans = reader.varint("scans with leftovers");
        check(scans <= reader.left, `${scans} scans in ${reader.left} bytes`);
        entries.push(Array.from({ length: scans }, () => readLeftover(reader)));
    }
    const skeleton = reader.rest();
    const images = [[0, 0], ...cuts].map(([place], image) => {
        const frame = follow(skeleton, place, cuts);
        const own = entries[image].length ? entries[image] : frame.scans.map(() => USUAL);
        check(own.length === frame.scans.length, `leftovers of ${own.length} scans where there are ${frame.scans.length}`);
        return { frame, leftovers: own };
    });
    return { images, skeleton };
}

/** Refuses images of more blocks than files of a length can hold. */
export function checkBlocks(images, length) {
    const blocks = images.reduce((sum, { frame }) => sum + frame.blockCount, 0);
    check(blocks <= BLOCKS_A_BYTE * length, `${blocks} blocks in ${length} bytes of a JPEG file`);
    return blocks;
}

/** The skeleton with the bytes of all scans. */
export function join({ images, skeleton }, coded) {
    const inserts = images.flatMap(({ frame }, image) => frame.scans.map((scan, i) => [scan.place, coded[image][i]]));
    inserts.sort(([a], [b]) => a - b);
    const whole = new Uint8Array(inserts.reduce((sum, [, data]) => sum + data.length, skeleton.length));
    let [from, to] = [0, 0];
    for (const [place, data] of [...inserts, [skeleton.length, new Uint8Array(0)]]) {
        whole.set(skeleton.subarray(from, place), to);
        to += place - from;
        whole.set(data, to);
        to += data.length;
        from = place;
    }
    return whole;
}
