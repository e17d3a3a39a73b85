/* The worker: one file at a time, from its bytes to what the page shows. Ending the worker cancels the work. */

import { ARRAY_CHUNK } from "../decoder/container.js";
import { Decoder } from "../decoder/decode.js";
import { heatShown, paletteOf, ratesByChannel, shown } from "../decoder/display.js";
import { DensezipError } from "../decoder/errors.js";
import { hex } from "../decoder/fields.js";
import { metadataRows, orientationOf } from "../decoder/metadata.js";
import { writePng } from "../decoder/pngwrite.js";

const ROOT = new URL("../", import.meta.url);
const PROGRESS_MILLISECONDS = 60;

async function load(path) {
    const response = await fetch(new URL(path, ROOT));
    if (!response.ok) throw new DensezipError(`${path} of this page cannot be loaded (${response.status})`);
    return new Uint8Array(await response.arrayBuffer());
}

const decoder = new Decoder(load);
let picture = null;

function reporter() {
    let last = 0;
    return (fraction) => {
        const now = performance.now();
        if (now - last < PROGRESS_MILLISECONDS) return;
        last = now;
        postMessage({ type: "progress", fraction });
    };
}

/** What of a header the page shows. */
function summary({ tile, entries, remainder, checksum, chunks, preview, ...rest }, array) {
    const bytes = { remainderBytes: remainder?.length ?? 0, previewBytes: preview?.length ?? 0 };
    const about = { ...rest, ...bytes, tiles: entries.length, checksum: hex(checksum) };
    if (!array) return about;
    const { type, shape, planes, bits } = array;
    return { ...about, sheet: { type, shape, planes, numbers: array.numbers.length, bits, range: array.range() } };
}

/** What is seen of a file: its picture, or that of an array's planes. */
function visible({ header, samples, chunks, array }) {
    return array ? { ...array.picture(), chunks: [] } : { header, samples, chunks };
}

async function sha256(bytes) {
    // Only pages that came over a safe connection, or from this machine, have it.
    return crypto.subtle ? hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))) : "";
}

async function open({ data }) {
    const started = performance.now();
    const parsed = ({ preview }) => preview?.length && postMessage({ type: "preview", blob: new Blob([preview]) });
    const found = await decoder.decode(new Uint8Array(data), reporter(), { parsed });
    const { header } = found;
    const seconds = (performance.now() - started) / 1000;
    picture = found;
    const rows = metadataRows(found.chunks.filter(([name]) => !found.array || name !== ARRAY_CHUNK));
    if (header.mode === "P" && !paletteOf(found.chunks)) {
        rows.push(["Palette", `in parts of a ${header.source.toUpperCase()} file that this page does not read: indices are shown as grey`]);
    }
    const result = { type: "opened", header: summary(header, found.array), seconds, rows, orientation: orientationOf(found.chunks) };
    if (found.file) {
        postMessage({ ...result, file: found.file, sha256: await sha256(found.file) });
        return;
    }
    const seen = visible(found);
    const view = shown(seen.header, seen.samples, paletteOf(seen.chunks) ?? greys());
    const { buffer, byteOffset, byteLength } = found.samples;
    const samples = found.array?.bytes ?? new Uint8Array(buffer, byteOffset, byteLength);
    postMessage({ ...result, view, sha256: await sha256(samples) }, [view.rgba.buffer]);
}

/** For indices whose colours the file does not tell. */
function greys() {
    return Uint8Array.from({ length: 1024 }, (_, i) => (i % 4 === 3 ? 255 : i >> 2));
}

async function heat({ data }) {
    const { header, array, bits, detail } = await decoder.decode(new Uint8Array(data), reporter(), { heat: true });
    const each = array?.bitsOfNumbers(bits);
    const spent = array ? array.laidOut(Float32Array, (place) => each[place]) : bits;
    const { width, height, channels } = array ? array.layout() : header;
    const view = heatShown({ width, height, channels }, spent);
    const pixels = array ? array.numbers.length / channels : width * height;
    postMessage({ type: "heat", view, detail, pixels, rates: ratesByChannel(channels, each ?? bits) }, [view.rgba.buffer]);
}

/** After a task that was cancelled, which ended the worker before, the picture has to be decoded again. */
async function png({ data }) {
    picture ??= await decoder.decode(new Uint8Array(data), reporter());
    const { header, samples, chunks } = visible(picture);
    postMessage({ type: "png", blob: await writePng(header, samples, chunks) });
}

const TASKS = { open, heat, png };

onmessage = async ({ data: task }) => {
    try {
        await TASKS[task.type](task);
    } catch (error) {
        const known = error instanceof DensezipError;
        const memory = error instanceof RangeError;
        const message = known ? error.message : memory ? "the browser has not enough memory for this file" : `a fault of this page: ${error.stack ?? error}`;
        postMessage({ type: "error", message, kind: known ? error.constructor.name : "Error" });
    }
};
