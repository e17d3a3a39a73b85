/* Pictures that were JPEG files: coefficients, what a decoder makes of them, and corrections; models/jpeg/tile.py. */

import { check } from "./errors.js";
import { hex, Reader } from "./fields.js";
import { Frame } from "./jpegframe.js";
import { RenderedCoder } from "./rendered.js";

const [BROAD, TALL, SINGLE] = [1, 2, 4];
const LARGEST_QUALITY = 100;
const MODES = ["L", "LA", "RGB", "RGBA"];
const MOST_MARGIN = 32;
const MOST_MCU_ROWS = 2 ** 16;
const CENTRE = 2 ** 21;
const SIDE = 8;
const READ_AHEAD = 16;

/** The steps of luma or chroma as libjpeg scales them, in zigzag order. */
function standardSteps(table, quality) {
    const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
    return table.map((step) => Math.min(255, Math.max(1, Math.floor((step * scale + 50) / 100))));
}

function readSteps(reader, tables) {
    const code = reader.byte("the steps");
    if (code) {
        check(code >= 2 && code <= 2 * LARGEST_QUALITY + 1, `steps of kind ${code}`);
        return standardSteps(code & 1 ? tables.chroma_steps : tables.luma_steps, code >> 1);
    }
    const steps = Array.from(reader.take(64, "the steps"));
    check(steps.every((step) => step), "a step of 0");
    return steps;
}

/** What precedes the coefficients of a picture, and what follows. */
function readHead(data, { height, width, channels: all }, tables) {
    const channels = all - (all % 2 ? 0 : 1);
    const reader = new Reader(data, "a picture that was a JPEG file");
    const [flags, top, left, below, right] = reader.take(5, "the canvas");
    const margins = [top, left, below, right];
    check(flags <= (BROAD | TALL | SINGLE) && Math.max(...margins) < MOST_MARGIN, `flags ${flags} and margins ${margins}`);
    const single = Boolean(flags & SINGLE);
    check(channels === 3 ? !single || flags === SINGLE : channels === 1 && !flags, `flags ${flags} of ${channels} channels`);
    const model = reader.text("the model");
    const digest = hex(reader.take(4, "the digest"));
    const steps = [readSteps(reader, tables)];
    if (channels === 3 && !single) {
        const chroma = readSteps(reader, tables);
        steps.push(chroma, chroma);
    }
    const alpha = channels < all ? reader.take(reader.varint("the length of alpha"), "alpha") : null;
    const frame = new Frame();
    [frame.height, frame.width, frame.steps] = [top + height + below, left + width + right, steps];
    const [across, down] = [flags & BROAD ? 2 : 1, flags & TALL ? 2 : 1];
    frame.components = steps.map((_, i) => (i ? { across: 1, down: 1 } : { across, down }));
    const segment = reader.take(reader.varint("the length of the coefficients"), "coefficients");
    return { model, digest, frame, top, left, across, down, alpha, segment, differences: reader.rest() };
}

/** Planes of differences out of their bytes, one after the other; models/jpeg/differences.py. */
class Differences {
    constructor(core, data, counters) {
        this.core = core;
        this.counters = new Uint32Array(counters).fill(CENTRE * 2 ** 10);
        this.size = data.length;
        this.coder = core.put(new BigUint64Array([0n, 2n ** 64n - 1n, 0n, 0n]));
        this.data = core.put(data);
        core.functions.dz_range_start(this.coder, this.data, BigInt(this.size));
    }

    get used() {
        return Number(this.core.view(BigUint64Array, this.coder, 4)[3]);
    }

    /** Adds to a plane what it differs by; gives where the differences are, int16 in the core. */
    correct(samples, classes, width, height) {
        const { core } = this;
        const plane = core.reserve(2 * width * height);
        const marks = core.reserve(2 + Math.floor(width / SIDE));
        const counters = core.put(this.counters);
        for (let top = 0; top < height; top += SIDE) {
            check(this.used <= this.size + READ_AHEAD, `differences that go on behind their ${this.size} bytes`);
            const rows = [width, top, Math.min(top + SIDE, height)].map(BigInt);
            core.functions.dz_history_differences_1(
                plane, classes, ...rows, marks, counters, this.coder, 0, this.data, BigInt(this.size),
            );
        }
        const differences = core.view(Int16Array, plane, width * height);
        for (let i = 0; i < differences.length; i++) samples[i] += differences[i];
        return differences;
    }

    finish() {
        const { used, size } = this;
        check(used >= size && used <= size + READ_AHEAD, `differences of ${used} bytes in ${size}`);
    }
}

/** Part of the rows and columns of a plane. */
function cut(plane, columns, { top, left }, width, height) {
    const found = new Uint8Array(width * height);
    for (let y = 0; y < height; y++) {
        const from = (top + y) * columns + left;
        found.set(plane.subarray(from, from + width), y * width);
    }
    return found;
}

/** Decodes one tile, which names its model of coefficients. */
export class HistoryCoder {
    /**
     * @param {Core} core
     * @param {object} tables - tables.json
     * @param {function(object): Promise<JpegModel>} modelOf - loads the model of a name and a digest
     * @param {object} header - of the picture
     */
    static async of(core, tables, modelOf, header) {
        check(header.entries.length === 1 && MODES.includes(header.mode), "a JPEG file of other pixels, or in tiles");
        const head = readHead(header.tile(0), header, tables.history);
        return new HistoryCoder(core, tables, await modelOf(head), head);
    }

    constructor(core, tables, model, head) {
        Object.assign(this, { core, tables, model, head });
        this.measures = "";
    }

    /** As of the photo model. */
    decode(data, { height, width, channels }, depth, progress) {
        const { core, head } = this;
        return core.during(() => {
            const stream = new Differences(core, head.differences, this.tables.history.counters);
            const samples = core.during(() => this.samples(stream, width * height, progress));
            const shown = core.during(() => this.pixels(samples, width, height));
            const coded = shown.length / (width * height);
            this.correctPixels(stream, shown, width * height, width, coded);
            stream.finish();
            if (coded === channels) return shown;
            const whole = new Uint8Array(width * height * channels);
            for (let i = 0; i < whole.length; i++) {
                const at = Math.floor(i / channels) * coded;
                whole[i] = shown[coded === 1 ? at : at + (i % channels)];
            }
            if (head.alpha) this.addAlpha(whole, { height, width, channels });
            return whole;
        });
    }

    /** Puts alpha into the last of some channels. */
    addAlpha(pixels, { height, width, channels }) {
        const coder = new RenderedCoder(this.core, this.tables);
        const alpha = coder.decode(this.head.alpha, { height, width, channels: 1 }, 8, () => {});
        for (let i = 0; i < alpha.length; i++) pixels[(i + 1) * channels - 1] = alpha[i];
    }

    /** Of each component all samples of its blocks, corrected: {columns, samples}. */
    samples(stream, pixels, progress) {
        const { core, head } = this;
        const { frame } = head;
        const planes = this.model.planes(frame);
        const blocks = frame.blockCount;
        const advance = (count) => progress((pixels * count) / blocks);
        core.during(() => this.model.segment(head.segment, [frame], [planes], [{ image: 0, first: 0, last: MOST_MCU_ROWS }], advance));
        const { zigzag } = this.model.tables.sizes;
        return planes.map(({ address, columns, rows }, number) =>
            core.during(() => {
                const step = new Int32Array(64);
                frame.steps[number].forEach((own, i) => (step[zigzag[i]] = own));
                const size = 64 * columns * rows;
                const [made, classes] = [core.reserve(size), core.reserve(size)];
                core.functions.dz_history_samples_1(address, core.put(step), BigInt(columns), 0n, BigInt(rows), made, classes);
                const samples = core.view(Uint8Array, made, size).slice();
                stream.correct(samples, classes, SIDE * columns, SIDE * rows);
                return { columns: SIDE * columns, samples };
            }),
        );
    }

    /** The pixels that a decoder makes of samples: one channel, or three. */
    pixels([luma, ...chroma], width, height) {
        const { core, head } = this;
        const grey = cut(luma.samples, luma.columns, head, width, height);
        if (!chroma.length) return grey;
        const planes = chroma.map((plane) => core.put(core.during(() => this.fine(plane, width, height))));
        const rgb = core.reserve(3 * width * height);
        core.functions.dz_history_colours_1(core.put(grey), ...planes, BigInt(width * height), rgb);
        return core.view(Uint8Array, rgb, 3 * width * height).slice();
    }

    /** Chroma of every pixel. */
    fine({ columns, samples }, width, height) {
        const { core, head } = this;
        const { frame, across, down } = head;
        const fine = core.reserve(frame.width * frame.height);
        const sizes = [columns, Math.ceil(frame.width / across), Math.ceil(frame.height / down), across - 1, down - 1].map(BigInt);
        core.functions.dz_history_upsample_1(core.put(samples), ...sizes, fine, BigInt(frame.width), BigInt(frame.height));
        return cut(core.view(Uint8Array, fine, frame.width * frame.height), frame.width, head, width, height);
    }

    /** Takes into pixels of some channels by what they differ. */
    correctPixels(stream, shown, pixels, width, channels) {
        const { core } = this;
        const classes = new Uint8Array(pixels);
        for (let i = 0; i < shown.length; i++) {
            if (shown[i] === 0 || shown[i] === 255) classes[Math.floor(i / channels)] = 8;
        }
        for (let c = 0; c < channels; c++) {
            core.during(() => {
                const plane = new Uint8Array(pixels);
                for (let i = 0; i < pixels; i++) plane[i] = shown[i * channels + c];
                const differences = stream.correct(plane, core.put(classes), width, pixels / width);
                for (let i = 0; i < pixels; i++) {
                    shown[i * channels + c] = plane[i];
                    classes[i] = (classes[i] & 8) + 2 * (c + 1) + (differences[i] ? 1 : 0);
                }
            });
        }
    }
}
