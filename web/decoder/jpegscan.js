/* Coefficients to the entropy-coded bytes of a scan, by the core; codec/images/jpeg/scans.py. */

import { check } from "./errors.js";
import { ODD } from "./jpegoutline.js";

const SLACK = 2048;
const MOST_PARTS = 4;
const [TABLE_BYTES, SYMBOLS_AT] = [3224, 16];
const PART_NUMBERS = ["stride", "across", "down", "dc", "ac"];
const FIELDS = [
    ...Array.from({ length: MOST_PARTS }, (_, i) => [[`blocks${i}`, "pointer"], ...PART_NUMBERS.map((name) => [`${name}${i}`, "int64"])]).flat(),
    ...["parts", "columns", "rows", "interval", "first", "last", "high", "low", "progressive"].map((name) => [name, "int64"]),
    ["table", "pointer"],
    ["pad", "pointer"],
    ["pads", "int64"],
    ["padding", "int64"],
    ["broken", "pointer"],
    ["breaks", "int64"],
    ["most_breaks", "int64"],
    ["runs", "int64"],
];

function putTables(core, tables) {
    const address = core.reserve(TABLE_BYTES * tables.length);
    tables.forEach((content, number) => {
        const at = address + TABLE_BYTES * number;
        core.view(Uint8Array, at, 16).set(content.subarray(0, 16));
        core.view(Uint8Array, at + SYMBOLS_AT, 256).set(content.subarray(16));
        const failed = core.functions.dz_jpeg_table(at);
        check(!content.length || failed === 0n, "a Huffman table with more codes than their lengths allow");
    });
    return address;
}

/**
 * @param {Core} core
 * @param {Frame} frame
 * @param {object} scan - of the frame
 * @param {object[]} planes - of each component where its coefficients are, and in how many columns
 * @param {object} left - what the scan has beside coefficients
 * @param {number} most - bytes that it may take
 */
export function writeScan(core, frame, scan, planes, left, most) {
    return core.during(() => {
        const alone = scan.parts.length === 1;
        const [columns, rows] = alone ? frame.used(scan.parts[0].component) : [frame.mcuColumns, frame.mcuRows];
        const pads = new Uint8Array(scan.interval ? Math.ceil((columns * rows) / scan.interval) : 1);
        if (left.padding === ODD) {
            check(left.pads.length === pads.length, `${left.pads.length} bytes of padding for ${pads.length} intervals`);
            pads.set(left.pads);
        }
        const { interval, first, last, high, low } = scan;
        const values = { parts: scan.parts.length, columns, rows, interval, first, last, high, low, progressive: Number(frame.progressive) };
        for (let i = 0; i < MOST_PARTS; i++) {
            const part = scan.parts[i];
            const component = part && frame.components[part.component];
            values[`blocks${i}`] = part ? planes[part.component].address : 0;
            values[`stride${i}`] = part ? planes[part.component].columns : 0;
            values[`across${i}`] = !part || alone ? 1 : component.across;
            values[`down${i}`] = !part || alone ? 1 : component.down;
            values[`dc${i}`] = part?.dc ?? 0;
            values[`ac${i}`] = part?.ac ?? 0;
        }
        const job = core.structure(FIELDS, {
            ...values,
            table: putTables(core, scan.tables),
            pad: core.put(pads),
            pads: pads.length,
            padding: left.padding,
            broken: core.put(BigInt64Array.from(left.broken, BigInt)),
            breaks: left.broken.length,
            most_breaks: left.broken.length,
            runs: left.runs,
        });
        const capacity = most + SLACK;
        const out = core.reserve(capacity);
        const used = Number(core.functions.dz_jpeg_write_scan(job.address, out, BigInt(capacity)));
        check(used >= 0, "a scan of a JPEG file that becomes longer than it was, or has no code for what it holds");
        const whole = new Uint8Array(used + left.tail.length);
        whole.set(core.view(Uint8Array, out, used));
        whole.set(left.tail, used);
        return whole;
    });
}
