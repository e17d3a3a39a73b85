/* Files to pictures: which decoder takes which payload, and the checksum over all that comes out.

   Runs in a worker of the page and in Node. Nothing here touches a document. */

import { blake2b } from "./blake2b.js";
import { BATCH, boxes, FILE, isSheet, JPEG, MODEL, parse, PNG, STORED, WEBP } from "./container.js";
import { Core } from "./core.js";
import * as enlarging from "./enlarged.js";
import { check, DensezipError, UnsupportedError } from "./errors.js";
import { sameBytes } from "./fields.js";
import { HistoryCoder } from "./history.js";
import { IndexedCoder } from "./indexed.js";
import { JpegModel } from "./jpeg.js";
import { unpack } from "./packing.js";
import { PhotoModel } from "./phototile.js";
import { pngCoder } from "./pngread.js";
import { chunksOf, chunksOfJpeg } from "./remainders.js";
import { RenderedCoder } from "./rendered.js";
import { arrayOf } from "./sheets.js";
import { WEBP_CODER } from "./vp8l.js";

export const MOST_PIXELS = 2 ** 28;
const MOST_FILE = 2 ** 30;

/** Decodes files, one after the other, with one core and with models that are loaded once. */
export class Decoder {
    /** @param {function(string): Promise<Uint8Array>} load - gives a file of the page by its path */
    constructor(load) {
        this.load = load;
        this.models = new Map();
    }

    async prepare() {
        if (this.core) return;
        const [core, tables] = await Promise.all([this.load("core.wasm"), this.load("tables.json")]);
        this.tables = JSON.parse(new TextDecoder().decode(tables));
        this.core = await Core.load(core);
    }

    /**
     * @param {Uint8Array} data - a whole .dz file
     * @param {function(number)} progress - is told the fraction done
     * @param {{heat: boolean, parsed: function(object)}} wanted - whether the bits of each sample are, too; what is told
     *     the header before the work begins
     * @returns {Promise<{header: object, samples: Uint8Array|Uint16Array, array: ?SheetArray, bits: ?Float32Array, detail: string}>}
     */
    async decode(data, progress, wanted = { heat: false }) {
        const header = parse(data);
        wanted.parsed?.(header);
        await this.prepare();
        if (header.width * header.height > MOST_PIXELS) {
            throw new DensezipError(`an image of ${header.width} by ${header.height} pixels; this page shows up to ${MOST_PIXELS}`);
        }
        if (header.kind === STORED || header.kind === FILE || header.kind === JPEG) return this.keptFile(header, progress);
        const enlarged = header.kind === MODEL && header.model === enlarging.NAME && header.digest === enlarging.DIGEST;
        const outline = enlarged ? enlarging.unwrap(header) : null;
        const inner = outline?.inner ?? header;
        const picture = decodeTiles(inner, await this.coderOf(inner), progress, wanted.heat);
        if (outline) {
            const { width, channels } = inner;
            picture.samples = enlarging.enlarge(picture.samples, outline, width, channels);
            if (picture.bits) picture.bits = enlarging.enlarge(picture.bits, outline, width, channels, true);
        }
        const bytes = new Uint8Array(picture.samples.buffer, picture.samples.byteOffset, picture.samples.byteLength);
        checkSum(bytes, header.checksum, "the picture");
        const array = isSheet(header) ? arrayOf(header, picture.samples) : null;
        return { header, chunks: chunksOf(header), array, ...picture };
    }

    /** The bytes of a file that was kept whole, or of a JPEG file. */
    async keptFile(header, progress) {
        let file;
        if (header.kind === JPEG) {
            check(header.length <= MOST_FILE, `a JPEG file of ${header.length} bytes`);
            file = (await this.jpegModel(header)).decode(header, progress, MOST_PIXELS);
        } else {
            const tile = header.tile(0);
            check(header.kind === STORED || header.packed.length <= MOST_FILE, `a file of ${header.packed?.length} bytes`);
            file = header.kind === FILE ? unpack(header.packed.method, tile, header.packed.length) : tile;
        }
        checkSum(file, header.checksum, "the file");
        return { header, chunks: chunksOfJpeg(file), file };
    }

    /** What decodes the tiles of a header: its `decode` takes (tile, shape, depth, progress, bits) and gives samples. */
    async coderOf(header) {
        if (header.kind === WEBP) return WEBP_CODER;
        if (header.kind === PNG) return pngCoder(header);
        if (header.kind === MODEL) {
            const { indexed, rendered, history } = this.tables;
            const named = ({ name, digest }) => header.model === name && header.digest === digest;
            if (named(indexed)) return new IndexedCoder(this.core, indexed);
            if (named(rendered)) return new RenderedCoder(this.core, this.tables);
            if (named(history)) return HistoryCoder.of(this.core, this.tables, (head) => this.jpegModel(head), header);
            return this.photoModel(header);
        }
        const many = header.kind === BATCH ? "several images" : "an image";
        throw new UnsupportedError(
            `${many} coded by the density model ${header.model}, which needs torch: \`densezip decompress\` decodes it`,
        );
    }

    async jpegModel({ model, digest }) {
        const { core, tables } = this;
        const file = JpegModel.file(tables.jpeg, { model, digest });
        return this.once(file, (weights) => new JpegModel(core, tables.jpeg, model, weights));
    }

    async photoModel(header) {
        const { core, tables } = this;
        const file = PhotoModel.file(tables.photo, header);
        return this.once(file, (weights) => new PhotoModel(core, tables.photo, header.model, weights));
    }

    /** A model of a file of weights, which is loaded at the first use. */
    async once(file, make) {
        if (!this.models.has(file)) this.models.set(file, make(await this.load(file)));
        return this.models.get(file);
    }
}

function checkSum(bytes, expected, what) {
    check(sameBytes(blake2b(bytes, expected.length), expected), `${what} came out wrong: its checksum is another`);
}

/** All tiles of a picture, in their places. */
function decodeTiles(header, coder, progress, heat) {
    const { width, height, channels, sampleBytes } = header;
    const samples = new (sampleBytes > 1 ? Uint16Array : Uint8Array)(width * height * channels);
    const bits = heat ? new Float32Array(samples.length) : null;
    let done = 0;
    const advance = (pixels) => progress(Math.min(1, (done += pixels) / (width * height)));
    boxes(header).forEach((box, number) => {
        const shape = { height: box.height, width: box.width, channels };
        const measured = heat && coder.measures ? new Float32Array(box.height * box.width * channels) : null;
        const data = header.tile(number);
        const tile = coder.decode(data, shape, 8 * sampleBytes, advance, measured);
        place(tile, samples, box, width, channels);
        if (measured) place(measured, bits, box, width, channels);
        else if (heat) place(new Float32Array(tile.length).fill((8 * data.length) / tile.length), bits, box, width, channels);
    });
    return { samples, bits, detail: heat ? coder.measures || "tile" : "" };
}

function place(tile, whole, { top, left, height, width }, columns, channels) {
    for (let y = 0; y < height; y++) {
        whole.set(tile.subarray(y * width * channels, (y + 1) * width * channels), ((top + y) * columns + left) * channels);
    }
}
