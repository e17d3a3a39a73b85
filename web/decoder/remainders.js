/* What beside pixels is read of a picture that came from a file: all chunks of PNG files, the palettes of GIF, BMP, TGA and
   TIFF files, the EXIF data of JPEG files. codec/REMAINDERS.md tells the rest. */

import { check } from "./errors.js";
import { Reader } from "./fields.js";
import { chunksOfBmp, chunksOfTga } from "./palettes.js";
import { patched } from "./patch.js";
import { chunksOfTiff } from "./tiffpalette.js";

const CHUNKS_FOLLOW = 32;

function chunkList(reader) {
    const chunks = [];
    for (let left = reader.varint("the number of chunks"); left > 0; left--) {
        const name = String.fromCharCode(...reader.take(4, "a name"));
        const number = reader.varint(`the length of ${name}`);
        chunks.push([name, reader.take(Math.floor(number / 2), name)]);
        if (number % 2) reader.take(4, "a CRC");
    }
    return chunks;
}

/** The index that an extension in front of a GIF's picture calls transparent, or -1. */
function transparentIndex(extensions) {
    for (let at = 0; at + 8 <= extensions.length; at++) {
        const control = extensions[at] === 0x21 && extensions[at + 1] === 0xf9 && extensions[at + 2] === 4;
        if (control && extensions[at + 7] === 0) return extensions[at + 3] & 1 ? extensions[at + 6] : -1;
    }
    return -1;
}

/** Palette and transparency of a GIF file, as PNG has them. */
function chunksOfGif(reader) {
    const screen = reader.varint("the number of colours");
    check(screen <= 256, `${screen} colours of a screen`);
    patched(reader, new Uint8Array(13));
    const common = reader.take(3 * screen, "the screen's colours");
    const before = reader.take(reader.varint("what precedes the picture"), "what precedes the picture");
    const flags = patched(reader, new Uint8Array(10))[9];
    const own = flags & 128 ? reader.take(3 * (2 << (flags & 7)), "the picture's colours") : common;
    if (!own.length) return [];
    const index = transparentIndex(before);
    if (index < 0) return [["PLTE", own]];
    return [["PLTE", own], ["tRNS", Uint8Array.from({ length: index + 1 }, (_, i) => (i === index ? 0 : 255))]];
}

const PALETTES = { bmp: chunksOfBmp, gif: chunksOfGif, tga: chunksOfTga, tif: chunksOfTiff };

/** Metadata as PNG chunks: those of the header, or what is read of the remainder of the file that the picture came from. */
export function chunksOf({ source, remainder, chunks, mode, width, height }) {
    if (!remainder) return chunks;
    const reader = new Reader(remainder, "the remainder");
    if (PALETTES[source]) return mode === "P" ? PALETTES[source](reader, width, height) : [];
    if (source !== "png" || !(reader.byte("the kind of pixels") & CHUNKS_FOLLOW)) return [];
    return [...chunkList(reader), ...chunkList(reader)].filter(([name]) => /^([a-z][A-Za-z]{3}|PLTE)$/.test(name));
}

const EXIF = [0x45, 0x78, 0x69, 0x66, 0, 0];

/** The EXIF data of a JPEG file, as a chunk; nothing for other files. */
export function chunksOfJpeg(file) {
    let at = 2;
    while (file[0] === 0xff && file[1] === 0xd8 && file[at] === 0xff && file[at + 1] >= 0xe0 && file[at + 1] <= 0xef) {
        const end = at + 2 + ((file[at + 2] << 8) | file[at + 3]);
        if (file[at + 1] === 0xe1 && EXIF.every((byte, i) => file[at + 4 + i] === byte)) return [["eXIf", file.subarray(at + 10, end)]];
        at = end;
    }
    return [];
}
