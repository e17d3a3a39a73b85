/* Decodes files by the page's decoders, outside any browser: node decode.mjs SITE FILES... prints a line of JSON for each. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [site, heat, ...files] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(site, "decoder", path)));
const { Decoder } = await load("decode.js");
const { DensezipError } = await load("errors.js");
const { paletteOf } = await load("display.js");
const { metadataRows } = await load("metadata.js");
const decoder = new Decoder(async (path) => new Uint8Array(readFileSync(join(site, path))));

for (const file of files) {
    let answer;
    try {
        let progress = 0;
        const found = await decoder.decode(new Uint8Array(readFileSync(file)), (done) => (progress = done), { heat: heat === "heat" });
        const { header } = found;
        const bytes = found.file ?? found.array?.bytes ?? new Uint8Array(found.samples.buffer, found.samples.byteOffset, found.samples.byteLength);
        answer = {
            array: found.array ? { type: found.array.type, shape: found.array.shape } : null,
            mode: header.mode, width: header.width, height: header.height, source: header.source, progress,
            sha256: createHash("sha256").update(bytes).digest("hex"),
            chunks: found.chunks.map(([name]) => name),
            rows: metadataRows(found.chunks),
            palette: Array.from(paletteOf(found.chunks) ?? []),
            detail: found.detail ?? "",
            bits: found.bits ? Array.from(found.bits) : null,
        };
    } catch (error) {
        answer = { error: error.message, known: error instanceof DensezipError, kind: error.constructor.name };
    }
    console.log(JSON.stringify(answer));
}
