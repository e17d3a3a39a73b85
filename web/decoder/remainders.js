/* What beside pixels is known of a picture that came from a file: of PNG files all chunks; of others, nothing yet is read. */

import { Reader } from "./fields.js";

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

/** Metadata as PNG chunks: those of the header, or of the remainder of a PNG file. */
export function chunksOf({ source, remainder, chunks }) {
    if (!remainder || source !== "png") return chunks;
    const reader = new Reader(remainder, "the remainder");
    if (!(reader.byte("the kind of pixels") & CHUNKS_FOLLOW)) return [];
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
