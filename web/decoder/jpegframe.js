/* The markers of a JPEG image whose entropy-coded bytes are missing; codec/images/jpeg/frame.py.

   Source: ITU-T T.81, annex B. */

import { check } from "./errors.js";

const [SOI, EOI, SOS, DQT, DHT, DRI, COM, TEM] = [0xd8, 0xd9, 0xda, 0xdb, 0xc4, 0xdd, 0xfe, 0x01];
const BLOCK = 8;
const MOST_SCANS = 1000;
const MOST_LOW = 11;
const PROGRESSIVE = 0xc2;

/** A frame, its tables of quantization steps, and its scans. */
export class Frame {
    constructor() {
        this.components = [];
        this.scans = [];
        this.progressive = false;
    }

    /** Width and height of an MCU of all components. */
    get mcu() {
        return [
            BLOCK * Math.max(...this.components.map((part) => part.across)),
            BLOCK * Math.max(...this.components.map((part) => part.down)),
        ];
    }

    get mcuRows() {
        return Math.ceil(this.height / this.mcu[1]);
    }

    get mcuColumns() {
        return Math.ceil(this.width / this.mcu[0]);
    }

    /** Columns and rows of blocks that hold pixels of a component. */
    used(component) {
        const { across, down } = this.components[component];
        const [width, height] = this.mcu;
        return [Math.ceil((this.width * across) / width), Math.ceil((this.height * down) / height)];
    }

    /** Columns and rows of blocks of a component that its scans speak of. */
    blocks(component) {
        const own = this.scans.filter((scan) => scan.parts.some((part) => part.component === component));
        if (own.every((scan) => scan.parts.length === 1)) return this.used(component);
        const { across, down } = this.components[component];
        return [this.mcuColumns * across, this.mcuRows * down];
    }

    get blockCount() {
        return this.components.reduce((sum, _, number) => {
            const [columns, rows] = this.blocks(number);
            return sum + columns * rows;
        }, 0);
    }
}

function big(data, at) {
    return (data[at] << 8) | data[at + 1];
}

function readFrame(frame, marker, body) {
    check(marker >= 0xc0 && marker <= PROGRESSIVE, `a JPEG frame ${marker.toString(16)}`);
    check(body.length >= 6 && body.length === 6 + 3 * body[5], `a JPEG frame of ${body.length} bytes`);
    check(body[0] === 8 && body[5] >= 1 && body[5] <= 4, `a JPEG frame of ${body[5]} components of ${body[0]} bits`);
    [frame.height, frame.width, frame.progressive] = [big(body, 1), big(body, 3), marker === PROGRESSIVE];
    check(frame.height && frame.width, "a JPEG frame without pixels");
    for (let at = 6; at < body.length; at += 3) {
        const part = { name: body[at], across: body[at + 1] >> 4, down: body[at + 1] & 15, table: body[at + 2] };
        const sound = part.across >= 1 && part.across <= 4 && part.down >= 1 && part.down <= 4 && part.table <= 3;
        check(sound, `a JPEG component of ${part.across} by ${part.down} blocks with the table ${part.table}`);
        frame.components.push(part);
    }
    check(new Set(frame.components.map((part) => part.name)).size === body[5], "two JPEG components of one name");
}

function readSteps(steps, body) {
    for (let at = 0; at < body.length; ) {
        const [size, number] = [1 + (body[at] >> 4), body[at] & 15];
        check(size <= 2 && number <= 3 && at + 1 + 64 * size <= body.length, "a damaged quantization table");
        steps[number] = Array.from({ length: 64 }, (_, i) => (size === 1 ? body[at + 1 + i] : big(body, at + 1 + 2 * i)));
        at += 1 + 64 * size;
    }
}

function readTables(tables, body) {
    for (let at = 0; at < body.length; ) {
        const [kind, number] = [body[at] >> 4, body[at] & 15];
        const counts = body.subarray(at + 1, at + 17);
        const sum = counts.reduce((a, b) => a + b, 0);
        const sound = kind <= 1 && number <= 3 && counts.length === 16 && sum <= 256 && at + 17 + sum <= body.length;
        check(sound, "a damaged Huffman table");
        tables[4 * kind + number] = body.subarray(at + 1, at + 17 + sum);
        at += 17 + sum;
    }
}

function readScan(frame, body, interval, tables, place) {
    check(frame.components.length, "a JPEG scan before the frame");
    const count = body[0] ?? 0;
    check(count >= 1 && count <= frame.components.length && body.length === 4 + 2 * count, `a scan of ${count} components`);
    const parts = [];
    for (let at = 1; at < 1 + 2 * count; at += 2) {
        const component = frame.components.findIndex((part) => part.name === body[at]);
        const [dc, ac] = [body[at + 1] >> 4, body[at + 1] & 15];
        check(component >= 0 && dc <= 3 && ac <= 3, `component ${body[at]} with the tables ${dc} and ${ac} in a scan`);
        parts.push({ component, dc, ac: 4 + ac });
    }
    check(new Set(parts.map((part) => part.component)).size === count, "a component twice in a scan");
    let [first, last, high, low] = [body.at(-3), body.at(-2), body.at(-1) >> 4, body.at(-1) & 15];
    if (!frame.progressive) [first, last, high, low] = [0, 63, 0, 0];
    const ordered = first <= last && last <= 63 && low <= MOST_LOW && (high === 0 || high === low + 1);
    const allowed = !frame.progressive || !((first === 0 && last) || (first && count > 1));
    check(ordered && allowed, `a progressive scan ${first}-${last} ${high} ${low} of ${count} components`);
    for (const part of parts) {
        const missing = (first === 0 && !high && !tables[part.dc].length) || (last && !tables[part.ac].length);
        check(!missing, "a scan whose Huffman table is missing");
    }
    return { parts, first, last, high, low, interval, tables: [...tables], place };
}

/**
 * Follows the markers of an image to its end.
 *
 * @param {Uint8Array} data - a skeleton
 * @param {number} start - where the image begins
 * @param {[number, number][]} cuts - where the other images begin, and how many bytes of each are missing
 */
export function follow(data, start, cuts) {
    const frame = new Frame();
    const tables = Array.from({ length: 8 }, () => new Uint8Array(0));
    const steps = [[], [], [], []];
    const quantized = new Map();
    let [interval, position] = [0, start + 2];
    for (;;) {
        check(position + 2 <= data.length, "a JPEG image whose end is missing");
        check(data[position] === 0xff, `no marker at byte ${position}`);
        const marker = data[position + 1];
        if (marker === 0xff) {
            position++;
            continue;
        }
        position += 2;
        if (marker === EOI) break;
        if (marker === TEM || (marker >= 0xd0 && marker <= 0xd7)) continue;
        let length = big(data, position);
        for (const [place, lost] of cuts) if (position < place && place < position + length) length -= lost;
        check(marker && marker !== SOI && length >= 2 && position + length <= data.length, `a damaged marker at byte ${position}`);
        const body = data.subarray(position + 2, position + length);
        position += length;
        if (marker === DQT) readSteps(steps, body);
        else if (marker === DHT) readTables(tables, body);
        else if (marker === DRI) interval = big(body, 0);
        else if (marker === SOS) {
            const scan = readScan(frame, body, interval, tables, position);
            for (const { component } of scan.parts) {
                if (!quantized.has(component)) quantized.set(component, steps[frame.components[component].table]);
            }
            frame.scans.push(scan);
            check(frame.scans.length <= MOST_SCANS, `more than ${MOST_SCANS} scans`);
        } else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc8 && marker !== 0xcc) {
            check(!frame.components.length, "two frames in a JPEG image");
            readFrame(frame, marker, body);
        } else check((marker >= 0xe0 && marker <= 0xef) || marker === COM, `a marker ${marker.toString(16)}`);
    }
    check(frame.scans.length, "a JPEG image without a scan");
    frame.steps = frame.components.map((_, i) => (quantized.get(i)?.length ? quantized.get(i) : new Array(64).fill(1)));
    return frame;
}
