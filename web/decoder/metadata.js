/* What metadata says in words: EXIF, texts, colour profiles. Nothing here is trusted, and nothing fails. */

import { inflate } from "./inflate.js";

const MOST_TEXT = 2 ** 16;
const MOST_SHOWN = 400;
const MOST_ENTRIES = 200;
const TYPE_SIZES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];
const [EXIF_POINTER, GPS_POINTER] = [0x8769, 0x8825];

/** The numbers or the text of tags, by their number; of the tag's own list and of EXIF's. */
function readTags(exif) {
    const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
    const little = view.getUint16(0) === 0x4949;
    if (!little && view.getUint16(0) !== 0x4d4d) return new Map();
    const tags = new Map();
    const lists = [view.getUint32(4, little)];
    for (let list = 0; list < lists.length && list < 3; list++) {
        const start = lists[list];
        const count = Math.min(MOST_ENTRIES, view.getUint16(start, little));
        for (let i = 0; i < count; i++) {
            const entry = start + 2 + 12 * i;
            const tag = view.getUint16(entry, little);
            const type = view.getUint16(entry + 2, little);
            const length = view.getUint32(entry + 4, little);
            const size = (TYPE_SIZES[type] ?? 0) * length;
            const at = size <= 4 ? entry + 8 : view.getUint32(entry + 8, little);
            if (!size || at + size > exif.length) continue;
            if (tag === EXIF_POINTER || tag === GPS_POINTER) lists.push(view.getUint32(entry + 8, little));
            // Tags of places have small numbers, which mean other things elsewhere.
            if (tag >= 0x100) tags.set(tag, readValue(view, exif, type, length, at, little));
            if (tag === GPS_POINTER) tags.set("place", true);
        }
    }
    return tags;
}

function readValue(view, exif, type, length, at, little) {
    if (type === 2) return new TextDecoder().decode(exif.subarray(at, at + Math.min(length, MOST_SHOWN))).replace(/\0.*$/s, "").trim();
    if (type === 3) return view.getUint16(at, little);
    if (type === 4) return view.getUint32(at, little);
    if (type === 5) return view.getUint32(at, little) / view.getUint32(at + 4, little);
    if (type === 11) return view.getFloat32(at, little);
    if (type === 12) return view.getFloat64(at, little);
    return undefined;
}

/** 1 to 8: how the picture is to be turned; 1 where nothing says so. */
export function orientationOf(chunks) {
    try {
        const exif = new Map(chunks).get("eXIf");
        const found = exif ? readTags(exif).get(0x112) : 1;
        return found >= 1 && found <= 8 ? found : 1;
    } catch {
        return 1;
    }
}

function number(value, digits) {
    return Number(value.toFixed(digits)).toString();
}

/** Of the camera's notes the ones that people look for. [name, words] */
function exifRows(exif) {
    const tags = readTags(exif);
    const get = (tag) => tags.get(tag);
    const rows = [];
    const make = get(0x10f);
    const model = get(0x110);
    if (make || model) rows.push(["Camera", make && model && !model.startsWith(make.split(" ")[0]) ? `${make} ${model}` : (model ?? make)]);
    if (get(0xa434)) rows.push(["Lens", get(0xa434)]);
    if (get(0x9003) ?? get(0x132)) rows.push(["Taken", (get(0x9003) ?? get(0x132)).replace(/^(\d+):(\d+):/, "$1-$2-")]);
    const time = get(0x829a);
    const exposure = [
        time > 0 && (time < 0.4 ? `1/${Math.round(1 / time)} s` : `${number(time, 1)} s`),
        get(0x829d) > 0 && `f/${number(get(0x829d), 1)}`,
        get(0x8827) > 0 && `ISO ${get(0x8827)}`,
        get(0x920a) > 0 && `${number(get(0x920a), 1)} mm`,
    ].filter(Boolean);
    if (exposure.length) rows.push(["Exposure", exposure.join(" · ")]);
    for (const [tag, name] of [[0x10e, "Description"], [0x13b, "Artist"], [0x8298, "Copyright"], [0x131, "Software"]]) {
        if (get(tag)) rows.push([name, get(tag)]);
    }
    if (get("place")) rows.push(["Place", "recorded in the EXIF data"]);
    return rows;
}

function latin(bytes) {
    return new TextDecoder("latin1").decode(bytes.subarray(0, MOST_SHOWN));
}

function textRow(name, data) {
    const end = data.indexOf(0);
    const keyword = latin(data.subarray(0, end));
    if (name === "tEXt") return [keyword, latin(data.subarray(end + 1))];
    if (name === "zTXt") return [keyword, latin(inflate(data.subarray(end + 2), MOST_TEXT).data)];
    if (keyword === "XML:com.adobe.xmp") return ["XMP", `${data.length} bytes`];
    let rest = end + 3;
    for (let i = 0; i < 2; i++) rest = data.indexOf(0, rest) + 1;
    const raw = data.subarray(rest);
    const text = data[end + 1] ? inflate(raw, MOST_TEXT).data : raw;
    return [keyword, new TextDecoder().decode(text.subarray(0, MOST_SHOWN))];
}

function row(name, data) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    if (name === "iCCP") return [["Colour profile", latin(data.subarray(0, data.indexOf(0)))]];
    if (name === "sRGB") return [["Colour space", "sRGB"]];
    if (name === "gAMA") return [["Gamma", number(view.getUint32(0) / 100000, 4)]];
    if (name === "pHYs" && data[8] === 1) return [["Resolution", `${Math.round(view.getUint32(0) * 0.0254)} dpi`]];
    if (name === "PLTE") return [["Palette", `${data.length / 3} colours`]];
    if (name === "eXIf") return exifRows(data);
    if (/^(tEXt|zTXt|iTXt)$/.test(name)) return [textRow(name, data)];
    return name === "tRNS" || name === "cHRM" || name === "pHYs" ? [] : [[name, `${data.length} bytes`]];
}

/**
 * @param {[string, Uint8Array][]} chunks - names and data of PNG chunks
 * @returns {[string, string][]} what they are, and what they say
 */
export function metadataRows(chunks) {
    return chunks.flatMap(([name, data]) => {
        try {
            return row(name, data);
        } catch {
            return [[name, `${data.length} bytes that make no sense`]];
        }
    });
}
