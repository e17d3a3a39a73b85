/* JPEG files again from the outline and the coded coefficients; models/jpeg/engine.py and codec/file/recoding.py. */

import { check, DensezipError, UnsupportedError } from "./errors.js";
import { inflate } from "./inflate.js";
import { checkBlocks, join, readOutline } from "./jpegoutline.js";
import { writeScan } from "./jpegscan.js";
import { bytesOfBase64, unpackArray } from "./tables.js";

const MOST_SEGMENTS = 256;
const BAND = 2 ** 12;
const MOST_WEIGHTS = 2 ** 24;

/** The rows of MCUs of all images, shared out among segments. */
function segmentsOf(frames, count) {
    const total = frames.reduce((sum, frame) => sum + frame.blockCount, 0);
    const segments = Array.from({ length: count }, () => []);
    let before = 0;
    frames.forEach((frame, image) => {
        const rows = frame.mcuRows;
        const blocks = frame.blockCount;
        const start = (number) => {
            const exact = BigInt(number) * BigInt(total) - BigInt(before) * BigInt(count);
            const whole = exact * BigInt(rows);
            const by = BigInt(blocks) * BigInt(count);
            const up = whole > 0n ? (whole + by - 1n) / by : 0n;
            return Math.min(Number(up), rows);
        };
        for (let number = 0; number < count; number++) {
            const [first, last] = [start(number), number + 1 < count ? start(number + 1) : rows];
            if (first < last) segments[number].push({ image, first, last });
        }
        before += blocks;
    });
    return segments;
}

/** Of one shipped model of coefficients. */
export class JpegModel {
    /**
     * @param {Core} core
     * @param {object} tables - the part "jpeg" of tables.json
     * @param {string} name
     * @param {Uint8Array} file - of its weights
     */
    constructor(core, tables, name, file) {
        this.core = core;
        this.tables = tables;
        this.model = tables.models[name];
        const { selections, groups, nodes, sets, weight_unit: unit } = tables.sizes;
        const values = Float32Array.from(new Int8Array(inflate(file, MOST_WEIGHTS).data), (x) => x / unit);
        let at = 0;
        const next = (length) => values.subarray(at, (at += length));
        this.weights = selections.map((n) => next(n * groups * this.model.inputs));
        this.second = next(selections[0] * nodes * sets);
    }

    static file(tables, header) {
        if (tables.models[header.model]?.digest === header.digest) return `models/${header.model}.weights`;
        throw new UnsupportedError(`coded by the model ${header.model} (${header.digest}), which this page does not have`);
    }

    /** The bytes of the file that a header and its tiles stand for. */
    decode(header, progress, mostPixels) {
        const outline = readOutline(header.tile(0), header.length, bytesOfBase64(this.tables.dictionary));
        const frames = outline.images.map((image) => image.frame);
        const [first] = frames;
        check(
            first.width === header.width && first.height === header.height,
            `a JPEG file of ${first.width} by ${first.height} pixels, announced as ${header.width} by ${header.height}`,
        );
        if (frames.some((frame) => frame.width * frame.height > mostPixels)) {
            throw new DensezipError(`a JPEG file with an image of more than ${mostPixels} pixels`);
        }
        const blocks = checkBlocks(outline.images, header.length);
        const most = Math.min(MOST_SEGMENTS, first.mcuRows);
        check(header.segments >= 1 && header.segments <= most, `${header.segments} segments of a JPEG file`);
        let done = 0;
        const advance = (count) => progress((done += count) / blocks);
        return this.core.during(() => {
            const planes = frames.map((frame) => this.planes(frame));
            segmentsOf(frames, header.segments).forEach((parts, number) => {
                this.core.during(() => this.segment(header.tile(1 + number), frames, planes, parts, advance));
            });
            let left = header.length;
            const coded = outline.images.map(({ frame, leftovers }, image) => {
                const scans = frame.scans.map((scan, i) => writeScan(this.core, frame, scan, planes[image], leftovers[i], left));
                left -= scans.reduce((sum, scan) => sum + scan.length, 0);
                check(left >= 0, "a JPEG file that becomes longer than it was");
                return scans;
            });
            return join(outline, coded);
        });
    }

    planes(frame) {
        return frame.components.map((_, number) => {
            const [columns, rows] = frame.blocks(number);
            return { columns, rows, address: this.core.reserve(2 * 64 * columns * rows) };
        });
    }

    lines(frames, parts) {
        let blocks = 0;
        for (const { image, first, last } of parts) {
            const mcu = frames[image].components.reduce((sum, part) => sum + part.across * part.down, 0);
            blocks += (last - first) * frames[image].mcuColumns * mcu;
        }
        let lines = 1;
        while (lines <= 4 * blocks) lines *= 2;
        return Math.min(this.model.lines, Math.max(this.tables.sizes.fewest_lines, lines));
    }

    engine(coded, lines) {
        const { core, tables } = this;
        const { sizes } = tables;
        const { inputs } = this.model;
        const put = Object.fromEntries(Object.entries(tables.tables).map(([name, table]) => [name, core.put(unpackArray(table))]));
        const squash = unpackArray(tables.tables.squash);
        const knots = Float32Array.from({ length: sizes.knots }, (_, i) => squash[Math.min(squash.length - 1, 64 * i)]);
        const corrections = sizes.corrections.map((n) => {
            const all = new Float32Array(n * sizes.nodes * sizes.knots);
            for (let at = 0; at < all.length; at += sizes.knots) all.set(knots, at);
            return core.put(all);
        });
        const coder = core.put(new BigUint64Array([0n, 2n ** 64n - 1n, 0n, 0n]));
        const data = core.put(coded);
        core.functions.dz_range_start(coder, data, BigInt(coded.length));
        const values = Object.fromEntries(tables.fields.map(([name]) => [name, 0]));
        this.weights.forEach((weights, i) => (values[`weight${i}`] = core.put(weights)));
        corrections.forEach((address, i) => (values[`correction${i}`] = address));
        const engine = core.structure(tables.fields, {
            ...values, ...put, inputs, lines, coder, data,
            pace: sizes.pace,
            second_pace: sizes.second_pace,
            limit: sizes.limit,
            counter: core.reserve(4 * (inputs - 1) * lines * sizes.nodes),
            second: core.put(this.second),
            tail: core.reserve(4 * 4 * 64 * 16 * sizes.tail),
            taps: core.put(unpackArray(tables.taps)),
            size: coded.length,
        });
        return { engine, coder };
    }

    segment(coded, frames, planes, parts, advance) {
        const { engine, coder } = this.engine(coded, this.lines(frames, parts));
        for (const part of parts) this.codePart(engine, frames[part.image], planes[part.image], part, advance);
        const position = Number(this.core.view(BigUint64Array, coder, 4)[3]);
        check(position >= coded.length, `a segment of ${coded.length} bytes that ends earlier`);
    }

    codePart(engine, frame, planes, part, advance) {
        const { core } = this;
        const { sizes } = this.tables;
        const steps = frame.steps.map((own) => {
            const rows = new Float32Array(64);
            own.forEach((step, i) => (rows[sizes.zigzag[i]] = Math.max(step, 1)));
            return rows;
        });
        planes.forEach((plane, number) => {
            const component = frame.components[number];
            const [luma] = frame.components;
            const alike = number >= 2 && planes[1].columns === plane.columns && planes[1].rows === plane.rows;
            const step = new Float32Array(4 * 64);
            [steps[number], steps[0], steps[alike ? 1 : number], steps[number].map((x) => 1 / x)].forEach((x, i) => step.set(x, 64 * i));
            core.during(() => {
                const values = {
                    plane: plane.address,
                    columns: plane.columns,
                    component: number,
                    next: 0,
                    luma: number ? planes[0].address : 0,
                    luma_columns: planes[0].columns,
                    luma_rows: planes[0].rows,
                    luma_across: luma.across,
                    luma_down: luma.down,
                    across: component.across,
                    down: component.down,
                    chroma: alike ? planes[1].address : 0,
                    step: core.put(step),
                    seen: core.reserve(3 * (plane.columns + 4) * sizes.seen_bytes),
                };
                for (const [name, value] of Object.entries(values)) engine.set(name, value);
                this.codeRows(engine, plane, part.first * component.down, part.last * component.down, advance);
            });
        });
    }

    codeRows(engine, plane, from, to, advance) {
        const end = Math.min(to, plane.rows);
        const band = Math.max(1, Math.floor(BAND / plane.columns));
        // The core itself goes on to the row that it has come to.
        for (let first = Math.min(from, plane.rows), fresh = true; first < end; first += band, fresh = false) {
            const last = Math.min(end, first + band);
            if (fresh) engine.set("first", first);
            engine.set("last", last);
            this.core.functions.dz_jpeg_code_1(engine.address);
            advance((last - first) * plane.columns);
        }
    }
}
