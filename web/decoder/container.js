/* The bytes of a .dz file: its header, and where its tiles are. codec/FORMAT.md says what stands there. */

import { check, UnsupportedError } from "./errors.js";
import { crc32, hex, Reader, sameBytes } from "./fields.js";
import { inflateExactly } from "./inflate.js";
import { unpack, PACKINGS } from "./packing.js";

export const MODEL = 0;
export const WEBP = 1;
export const PNG = 2;
export const STORED = 3;
export const BATCH = 4;
export const FILE = 5;
export const JPEG = 6;
export const CHAINED = 7;
export const KINDS = ["model", "WebP", "PNG", "stored", "batch", "file", "JPEG", "chained"];

const MAGIC = [0x89, 0x44, 0x5a, 0x0a];
const OLDEST_VERSION = 2;
const NEWEST_VERSION = 9;
const MODES = ["1", "L", "LA", "RGB", "RGBA", "P", "I;16", "LA;16", "RGB;16", "RGBA;16"];
const CHANNELS = [1, 1, 2, 3, 4, 1, 1, 2, 3, 4];
const DEPTHS = [[0], [0, 2, 4], [0], [0], [0], [0, 1, 2, 4], [0], [0], [0], [0]];
export const ARRAY_CHUNK = "arRy";
const NO_MODE = 15;
const SOURCES = ["", "png", "tif", "bmp", "gif", "webp", "pnm", "tga", "qoi"];
const MOST_METADATA = 2 ** 26;
const MOST_SIDE = 2 ** 32 - 1;
const MOST_JPEG_SIDE = 65535;
const LEAST_TILE_ENTRY = 5;
const PREVIEW_VERSION = 7;
const MOST_PREVIEW = 4096;

/**
 * @param {Uint8Array} data - a whole file
 * @returns an object with the header's fields, and `tile(number)`, which checks a tile's CRC
 */
export function parse(data) {
    check(sameBytes(data.subarray(0, 4), MAGIC), `this is no .dz file: it begins with the bytes ${hex(data.subarray(0, 4))}`);
    const reader = new Reader(data, "the file");
    reader.take(MAGIC.length, "its first field");
    const version = reader.byte("the version");
    if (version < OLDEST_VERSION || version > NEWEST_VERSION) {
        throw new UnsupportedError(
            `a file of format version ${version}; this page reads versions ${OLDEST_VERSION} to ${NEWEST_VERSION}`,
        );
    }
    const body = reader.take(reader.varint("the length of the header"), "the header");
    const crc = crc32(data.subarray(0, reader.position));
    check(crc === reader.uint32("the header's CRC"), "the header is damaged: its CRC is another");
    const header = parseHeader(new Reader(body, "the header"), version);
    header.size = data.length;
    const tiles = header.entries.map(([size], number) => reader.take(size, `tile ${number + 1} of ${header.entries.length}`));
    check(!reader.left, `${reader.left} bytes follow the end of the file`);
    const { entries } = header;
    header.tile = (number) => {
        check(crc32(tiles[number]) === entries[number][1], `tile ${number + 1} of ${tiles.length} is damaged: its CRC is another`);
        return tiles[number];
    };
    return header;
}

/** Whether the picture stands for an array of another kind. */
export function isSheet({ array, chunks }) {
    return Boolean(array) && chunks.some(([name]) => name === ARRAY_CHUNK);
}

/** A picture's tiles, row by row. */
export function boxes({ height, width, tileHeight, tileWidth }) {
    const found = [];
    for (let top = 0; top < height; top += tileHeight) {
        for (let left = 0; left < width; left += tileWidth) {
            const bottom = Math.min(top + tileHeight, height);
            found.push({ top, left, height: bottom - top, width: Math.min(left + tileWidth, width) - left });
        }
    }
    return found;
}

export function tileCount({ height, width, tileHeight, tileWidth }) {
    return Math.ceil(height / tileHeight) * Math.ceil(width / tileWidth);
}

function parseHeader(reader, version) {
    const flags = reader.byte("the flags");
    const kind = flags & 7;
    const header = { version, kind, model: "", digest: "", extension: "", chunks: [], source: "", remainder: null };
    header.lossy = Boolean(flags & 32);
    let count = 1;
    if (kind === FILE) parseFile(reader, header, flags);
    else if (kind === JPEG) count = parseJpeg(reader, header, flags);
    else count = parseImage(reader, header, flags);
    check(count * LEAST_TILE_ENTRY <= reader.left, `${count} tiles announced in the last ${reader.left} bytes of a header`);
    header.entries = [];
    for (let i = 0; i < count; i++) header.entries.push([reader.varint("the length of a tile"), reader.uint32("a tile's CRC")]);
    if (kind !== FILE && kind !== JPEG && flags & 16) header.chunks = parseMetadata(reader);
    if (header.hasRemainder) header.remainder = unpackRemainder(reader);
    if (version >= PREVIEW_VERSION) {
        const size = reader.varint("the length of the preview");
        check(size <= MOST_PREVIEW, `a preview of ${size} bytes`);
        header.preview = reader.take(size, "the preview");
    }
    check(!reader.left, `${reader.left} bytes follow the header's last field`);
    check(version >= oldestVersion(header), `format version ${version} for what came with version ${oldestVersion(header)}`);
    return header;
}

function oldestVersion(header) {
    const { kind, source, sampleBytes } = header;
    if (isSheet(header)) return 6;
    if (kind === JPEG || kind === CHAINED) return 5;
    if (source || kind === FILE || (kind === PNG && sampleBytes === 1)) return 4;
    return kind === BATCH ? 3 : 2;
}

function parseExtension(reader, header) {
    header.extension = reader.text("the extension");
    check(/^[0-9A-Za-z]+$/.test(header.extension), `a stored file with the extension ${header.extension}`);
}

function parseFile(reader, header, flags) {
    check((flags & ~0x27) === 0, `flags ${flags} of a file that was not looked into`);
    parseExtension(reader, header);
    header.packed = lengthAndPacking(reader, "the file");
    header.checksum = reader.take(8, "the checksum");
}

/** The number of its tiles. */
function parseJpeg(reader, header, flags) {
    check(flags === (JPEG | 32), `flags ${flags} of a JPEG file`);
    const mode = reader.byte("the mode");
    check(mode === NO_MODE || mode === 1 || mode === 3, `pixel mode ${mode} of a JPEG file`);
    header.mode = MODES[mode] ?? "";
    header.channels = CHANNELS[mode] ?? 4;
    header.bits = 8;
    parseExtension(reader, header);
    [header.width, header.height] = [reader.varint("the width"), reader.varint("the height")];
    check(
        header.width >= 1 && header.width <= MOST_JPEG_SIDE && header.height >= 1 && header.height <= MOST_JPEG_SIDE,
        `a JPEG file of ${header.width} by ${header.height} pixels`,
    );
    header.model = reader.text("the model's name");
    header.digest = hex(reader.take(4, "the model's digest"));
    header.length = reader.varint("the length of the file");
    header.segments = reader.varint("the number of segments");
    header.checksum = reader.take(8, "the checksum");
    return 1 + header.segments;
}

function parseSource(reader, header, flags) {
    const code = reader.byte("the source");
    if (!code) return;
    check((code & 31) < SOURCES.length && code & 31 && code < 128, `a source of kind ${code}`);
    check(header.kind !== STORED && header.kind !== BATCH && !(flags >> 6), `a source with a payload of kind ${header.kind}`);
    header.source = SOURCES[code & 31];
    header.exact = Boolean(code & 32);
    header.hasRemainder = Boolean(code & 64);
    check(header.hasRemainder || !header.exact, "a file that comes back, of which nothing but the pixels is there");
}

/** The number of its tiles. */
function parseImage(reader, header, flags) {
    const { kind } = header;
    const code = reader.byte("the mode");
    const mode = code & 15;
    check(mode < MODES.length && DEPTHS[mode].includes(code >> 4), `${code >> 4} bits a sample in pixel mode ${mode}`);
    header.mode = MODES[mode];
    header.channels = CHANNELS[mode];
    header.sampleBytes = mode >= 6 ? 2 : 1;
    header.bits = code >> 4 || (mode === 0 ? 1 : 8 * header.sampleBytes);
    if (header.version >= 4) parseSource(reader, header, flags);
    [header.width, header.height] = [reader.varint("the width"), reader.varint("the height")];
    check(
        header.width >= 1 && header.width <= MOST_SIDE && header.height >= 1 && header.height <= MOST_SIDE,
        `an image of ${header.width} by ${header.height} pixels`,
    );
    check(!header.lossy || kind === STORED, `a lossy source with a payload of kind ${kind}`);
    if (kind === MODEL || kind === BATCH || kind === CHAINED) {
        header.model = reader.text("the model's name");
        header.digest = hex(reader.take(4, "the model's digest"));
    }
    if (kind === STORED) parseExtension(reader, header);
    [header.tileWidth, header.tileHeight] = [header.width, header.height];
    if (flags & 8) [header.tileWidth, header.tileHeight] = [reader.varint("a tile's width"), reader.varint("a tile's height")];
    check(
        header.tileWidth >= 1 && header.tileWidth <= header.width && header.tileHeight >= 1 && header.tileHeight <= header.height,
        `tiles of ${header.tileWidth} by ${header.tileHeight} in an image of ${header.width} by ${header.height} pixels`,
    );
    const array = flags >> 6;
    header.array = array ? array + 1 : 0;
    check(array < 3 && !(array === 1 && header.channels > 1) && !(array && (mode === 0 || mode === 5)), `an array of kind ${array}`);
    header.checksum = reader.take(8, "the checksum");
    if (header.exact) header.sourceChecksum = reader.take(4, "the checksum of the source");
    const count = tileCount(header);
    const whole = kind === STORED || kind === BATCH || kind === CHAINED;
    check(Boolean(flags & 8) === count > 1 && !(whole && count > 1), `${count} tiles where the flags say otherwise`);
    return count;
}

function parseMetadata(reader) {
    const code = reader.varint("the length of the metadata");
    const length = Math.floor(code / 2);
    check(length <= MOST_METADATA, `${length} bytes of metadata`);
    let raw;
    if (code % 2) {
        const packed = reader.take(reader.varint("the length of the packed metadata"), "metadata");
        raw = inflateExactly(packed, length, "the metadata");
    } else raw = reader.take(length, "metadata");
    const inner = new Reader(raw, "the metadata");
    const chunks = [];
    while (inner.left) {
        const name = inner.text("a name");
        check(/^([a-z][A-Za-z]{3}|PLTE)$/.test(name), `metadata called ${name.slice(0, 16)}`);
        chunks.push([name, inner.take(inner.varint(`the length of ${name}`), name)]);
    }
    check(chunks.length, "an empty list of metadata");
    return chunks;
}

/** Length and method share a number. */
export function lengthAndPacking(reader, what) {
    const number = reader.varint(`the length of ${what}`);
    const found = { length: Math.floor(number / 4), method: number % 4 };
    check(found.method < PACKINGS, `${what} is packed by method ${found.method}`);
    return found;
}

function unpackRemainder(reader) {
    const { length, method } = lengthAndPacking(reader, "the remainder");
    check(length <= MOST_METADATA, `${length} bytes beside the pixels`);
    const size = method ? reader.varint("the length of the packed remainder") : length;
    return unpack(method, reader.take(size, "the remainder"), length);
}
