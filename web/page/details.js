/* What the page says about a file, beside its picture. */

import { KINDS, FILE, JPEG, MODEL, STORED } from "../decoder/container.js";
import { heatColour, MOST_BITS } from "../decoder/display.js";

const MODES = {
    1: "black and white", L: "grey", LA: "grey and alpha", RGB: "RGB", RGBA: "RGB and alpha", P: "palette",
    "I;16": "grey", "LA;16": "grey and alpha", "RGB;16": "RGB", "RGBA;16": "RGB and alpha", "": "other colours",
};
const EFFORTS = { 1: "1 to 3", 5: "4 to 6", 9: "7 to 9" };
const CHANNELS = { 1: ["grey"], 2: ["grey", "alpha"], 3: ["red", "green", "blue"], 4: ["red", "green", "blue", "alpha"] };
const DETAILS = {
    sample: "Measured for every sample: −log₂ of the probability by which it was coded.",
    row: "Measured for every row, spread evenly within it.",
    tile: "Known for every tile, spread evenly within it.",
};

function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
}

export function byteWords(bytes) {
    if (bytes < 1000) return `${bytes} bytes`;
    const unit = bytes < 1e6 ? [1e3, "kB"] : [1e6, "MB"];
    return `${Number((bytes / unit[0]).toPrecision(3))} ${unit[1]}`;
}

function timeWords(seconds) {
    return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${Number(seconds.toPrecision(2))} s`;
}

function rows(pairs) {
    return element("dl", {}, ...pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function section(title, ...parts) {
    return [element("h2", {}, title), ...parts];
}

function modelWords({ kind, model, extension }) {
    if (kind === MODEL || kind === JPEG) {
        const effort = /-(\d)$/.exec(model)?.[1];
        if (model === "history") return "history: the coefficients of a JPEG file";
        return EFFORTS[effort] ? `${model} (efforts ${EFFORTS[effort]})` : model;
    }
    if (kind === STORED || kind === FILE) return `kept whole, as .${extension}`;
    return KINDS[kind] + (model ? `, ${model}` : "");
}

function codingRows(header, seconds) {
    const { sheet } = header;
    const samples = sheet ? sheet.numbers : header.width * header.height * (header.channels ?? 0);
    const found = [["Coded by", modelWords(header)], ["Format", `version ${header.version}`]];
    if (samples) {
        found.push(["Rate", `${((8 * header.size) / samples).toFixed(3)} bits a ${sheet ? "number" : "sample"}`]);
        const plain = Math.ceil((samples * (sheet ?? header).bits) / 8);
        found.push(["Of plain", `${((100 * header.size) / plain).toFixed(1)} % of ${byteWords(plain)}`]);
    }
    if (header.kind === JPEG) found.push(["JPEG file", `${byteWords(header.length)}, comes back byte for byte`]);
    if (header.tiles > 1) found.push([header.kind === JPEG ? "Segments" : "Tiles", String(header.tiles - (header.kind === JPEG ? 1 : 0))]);
    if (header.source) {
        const back = header.exact ? "comes back byte for byte" : header.hasRemainder ? "pixels and all else come back" : "pixels come back";
        found.push(["Source", `a ${header.source.toUpperCase()} file, ${back}`]);
    }
    if (header.previewBytes) found.push(["Preview", byteWords(header.previewBytes)]);
    found.push(["Decoded in", timeWords(seconds)]);
    return found;
}

function numberWords(number) {
    return String(Number(number.toPrecision(6)));
}

function arrayRows({ type, shape, planes, range }) {
    const found = [["Type", type], ["Shape", shape.join(" × ")], ["Planes", String(planes)]];
    if (range) found.push(["Numbers", `${numberWords(range[0])} to ${numberWords(range[1])}`]);
    return [...found, ["Shown", type === "uint8" ? "as they are" : "from the least, black, to the greatest, white"]];
}

/** Fills the panel for an opened file. */
export function describe(panel, { header, seconds, rows: metadata, sha256, view }) {
    const picture = header.sheet ? arrayRows(header.sheet) : [];
    if (header.width && !header.sheet) {
        const pixels = (header.width * header.height) / 1e6;
        picture.push(["Size", `${header.width} × ${header.height}${pixels >= 0.1 ? ` · ${Number(pixels.toPrecision(2))} MP` : ""}`]);
        picture.push(["Pixels", `${MODES[header.mode]}, ${header.bits} ${header.bits === 1 ? "bit" : "bits"} a sample`]);
    }
    picture.push(["File", byteWords(header.size)]);
    if (view?.factor > 1) picture.push(["Shown at", `1 : ${view.factor}`]);
    const hash = sha256 && rows([["SHA-256", element("span", { className: "mono", id: "sha256" }, sha256)]]);
    const checked = header.kind === STORED || header.kind === JPEG || header.kind === FILE ? "of the file" : header.sheet ? "of all planes" : "of the samples";
    panel.replaceChildren(
        ...section(header.sheet ? "Array" : "Picture", rows(picture)),
        ...section("Coding", rows(codingRows(header, seconds))),
        ...(metadata.length ? section("Metadata", rows(metadata)) : []),
        element("div", { id: "rates" }),
        ...section("Checked", element("p", {}, `The checksum ${checked} is right.`), ...(hash ? [hash] : [])),
    );
}

function scale() {
    const stops = Array.from({ length: 13 }, (_, i) => `rgb(${heatColour(i / 12).join(" ")})`);
    const bar = element("div", { className: "scale" });
    bar.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
    return bar;
}

const SVG = "http://www.w3.org/2000/svg";

function drawn(tag, attributes, text = "") {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
}

/** The samples of each channel by the bits that they took, as lines. */
function histogram(rates, names) {
    const [width, height, left] = [284, 110, 0];
    const chart = drawn("svg", { viewBox: `0 0 ${width} ${height + 26}`, class: "chart", role: "img" });
    chart.append(drawn("title", {}, "Samples of each channel by the bits that they took"));
    const most = Math.max(...rates.flatMap((rate) => rate.bins));
    const step = (width - left) / rates[0].bins.length;
    for (let bits = 0; bits <= MOST_BITS; bits += 2) {
        const x = left + ((width - left) * bits) / MOST_BITS;
        chart.append(drawn("line", { x1: x, x2: x, y1: 0, y2: height }));
        const anchor = bits === 0 ? "start" : bits === MOST_BITS ? "end" : "middle";
        chart.append(drawn("text", { x, y: height + 12, "text-anchor": anchor }, bits === MOST_BITS ? `${bits}+` : String(bits)));
    }
    rates.forEach((rate, c) => {
        const points = rate.bins.map((count, i) => `${(left + (i + 0.5) * step).toFixed(1)},${(height * (1 - count / most)).toFixed(1)}`);
        chart.append(drawn("path", { d: `M${points.join("L")}`, class: names[c] }));
    });
    chart.append(drawn("text", { x: width / 2, y: height + 25, "text-anchor": "middle" }, "bits a sample"));
    return chart;
}

/** Fills in where the bits went. */
export function describeRates(panel, { view, detail, pixels, rates }) {
    const names = CHANNELS[rates.length];
    const total = rates.reduce((sum, rate) => sum + rate.total, 0);
    const shares = element("div", { className: "share" });
    const keys = element("div", { className: "keys" });
    rates.forEach((rate, c) => {
        const part = element("div", { className: names[c] });
        part.style.width = `${(100 * rate.total) / (total || 1)}%`;
        shares.append(part);
        const words = `${names[c]} ${(rate.total / pixels).toFixed(2)}`;
        keys.append(element("span", { className: names[c] }, element("b", {}, words)));
    });
    panel.querySelector("#rates").replaceChildren(
        ...section(
            "Where the bits went",
            scale(),
            element("div", { className: "ends" }, element("span", {}, "0"), element("span", {}, `${view.most.toFixed(1)} bits a pixel`)),
            element("p", {}, DETAILS[detail]),
        ),
        // What is known of rows and tiles only says nothing of channels.
        ...(detail === "sample" ? section("Rate by channel", shares, keys, histogram(rates, names)) : []),
    );
}
