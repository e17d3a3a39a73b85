/* The page: opens files, talks to the worker, and shows what comes back. */

import { byteWords, describe, describeRates } from "./details.js";
import { Stage } from "./stage.js";

const MOST_FILE = 2 ** 31;
const TYPES = { jpg: "jpeg", jpeg: "jpeg", jpe: "jpeg", jfif: "jpeg", png: "png", webp: "webp", gif: "gif", avif: "avif", bmp: "bmp" };

const part = (id) => document.getElementById(id);
const stage = new Stage(part("stage"), part("canvas"), (words) => (part("fit").textContent = words));
let worker = null;
let listed = [];
let shown = null;
let opened = null;

function state(name) {
    document.body.dataset.state = name;
    const picture = name === "shown" && shown?.image;
    for (const id of ["out", "fit", "in"]) part(id).disabled = !picture;
    part("heat").disabled = !picture || Boolean(shown.file);
    // A file that was kept can be saved even if it cannot be shown.
    part("save").disabled = !shown || (name !== "shown" && !(name === "error" && shown.file));
    part("home").hidden = listed.length < 2 || name === "list";
    if (name !== "busy") progress(null);
}

function progress(fraction) {
    const bar = part("progress");
    bar.hidden = fraction === null;
    if (fraction === null) return;
    const percent = Math.round(100 * fraction);
    bar.firstElementChild.style.width = `${percent}%`;
    bar.setAttribute("aria-valuenow", percent);
    part("busy-text").textContent = percent ? `${percent} %` : "";
}

function fail(message, kind = "") {
    part("error-title").textContent = kind === "UnsupportedError" ? "This page cannot decode it" : "This file cannot be shown";
    part("error-text").textContent = `${message[0].toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? "" : "."}`;
    state("error");
}

/** Whatever runs is ended, and with it all that the worker holds. */
function stop() {
    worker?.terminate();
    worker = null;
}

function start() {
    if (worker) return worker;
    worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => ANSWERS[data.type](data);
    worker.onerror = (event) => fail(`a fault of this page: ${event.message ?? "its worker does not start"}`);
    return worker;
}

/** What is looked at while the picture itself is being decoded; null for nothing. */
function showPreview(blob) {
    const image = part("preview");
    URL.revokeObjectURL(image.src);
    image.hidden = !blob;
    if (!blob) return image.removeAttribute("src");
    image.onerror = () => showPreview(null);
    image.src = URL.createObjectURL(blob);
}

function busy(title) {
    part("busy-title").textContent = title;
    part("busy-text").textContent = "";
    state("busy");
    progress(0);
}

async function open(name, read, size) {
    stop();
    shown = null;
    part("title").textContent = name;
    document.title = `${name} – densezip`;
    showPreview(null);
    busy("Decoding");
    part("heat").setAttribute("aria-pressed", "false");
    if (size > MOST_FILE) return fail(`${byteWords(size)} are more than this page takes`);
    try {
        opened = await read();
        start().postMessage({ type: "open", data: opened });
    } catch (error) {
        fail(`the file cannot be read: ${error.message}`);
    }
}

function openFile(file) {
    if (file) open(file.name, () => file.arrayBuffer(), file.size);
}

async function fetched(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    return response.arrayBuffer();
}

async function showFile(answer) {
    const extension = answer.header.extension.toLowerCase();
    const blob = new Blob([answer.file], { type: TYPES[extension] ? `image/${TYPES[extension]}` : "" });
    shown = { ...answer, blob, extension };
    try {
        const image = await createImageBitmap(blob);
        // The browser has turned it already, as its own EXIF data say.
        present(image, image.width, image.height, 1, 1);
    } catch {
        present(null, 0, 0, 1, 1);
    }
}

function present(image, width, height, orientation, factor) {
    shown.image = image;
    state("shown");
    part("save").textContent = shown.file ? `Save .${shown.extension}` : "Save PNG";
    describe(part("details"), shown);
    part("canvas").hidden = !image;
    if (!image) return fail(`It holds a .${shown.extension} file of ${byteWords(shown.file.length)}, which was kept whole and which this browser cannot show. It can be saved.`);
    stage.draw(image, width, height, orientation, factor);
    stage.fit();
}

async function bitmap({ rgba, width, height }) {
    return createImageBitmap(new ImageData(rgba, width, height), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
}

const ANSWERS = {
    progress: ({ fraction }) => progress(fraction),
    preview: ({ blob }) => showPreview(blob),
    error: ({ message, kind }) => fail(message, kind),
    opened: async (answer) => {
        if (answer.file) return showFile(answer);
        shown = answer;
        const { width, height, factor } = answer.view;
        present(await bitmap(answer.view), width, height, answer.orientation, factor);
    },
    heat: async (answer) => {
        shown.heat = { ...answer, image: await bitmap(answer.view) };
        state("shown");
        describeRates(part("details"), answer);
        showHeat(true);
    },
    png: ({ blob }) => {
        state("shown");
        save(blob, `${part("title").textContent.replace(/(\.png)?\.dz$/i, "")}.png`);
    },
};

function showHeat(on) {
    part("heat").setAttribute("aria-pressed", on);
    const { width, height, factor } = shown.view;
    stage.draw(on ? shown.heat.image : shown.image, width, height, shown.orientation, factor);
    stage.place();
}

function toggleHeat() {
    if (part("heat").disabled) return;
    if (shown.heat) return showHeat(part("heat").getAttribute("aria-pressed") !== "true");
    busy("Measuring where the bits went");
    start().postMessage({ type: "heat", data: opened });
}

function save(blob, name) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function savePicture() {
    if (part("save").disabled) return;
    if (shown.file) return save(shown.blob, part("title").textContent.replace(/\.dz$/i, ""));
    busy("Writing a PNG file");
    start().postMessage({ type: "png", data: opened });
}

/** Ends what runs; a picture that was there stays. */
function cancel() {
    if (document.body.dataset.state !== "busy") return;
    stop();
    if (shown) state("shown");
    else home();
}

function home() {
    stop();
    shown = null;
    part("title").textContent = "densezip";
    document.title = "densezip";
    history.replaceState(null, "", location.pathname + location.search);
    state(listed.length > 1 ? "list" : "empty");
}

function openListed(number) {
    const { name, size } = listed[number];
    location.hash = String(number);
    open(name, () => fetched(`files/${number}`), size);
}

function fillList() {
    const items = listed.map(({ name, size, thumbnail }, number) => {
        const button = Object.assign(document.createElement("button"), { type: "button" });
        const image = Object.assign(document.createElement("img"), { className: "thumb", loading: "lazy", alt: "", src: thumbnail ? `thumbnails/${number}` : "icon.svg" });
        const label = (className, text) => Object.assign(document.createElement("span"), { className, textContent: text });
        button.append(image, label("name", name), label("size", byteWords(size)));
        button.addEventListener("click", () => openListed(number));
        const item = document.createElement("li");
        item.append(button);
        return item;
    });
    part("list").querySelector("ul").replaceChildren(...items);
}

const KEYS = {
    o: () => part("file").click(),
    h: toggleHeat,
    s: savePicture,
    0: () => stage.toggle(),
    "+": () => stage.larger(),
    "=": () => stage.larger(),
    "-": () => stage.smaller(),
    ArrowLeft: () => stage.move(-1, 0),
    ArrowRight: () => stage.move(1, 0),
    ArrowUp: () => stage.move(0, -1),
    ArrowDown: () => stage.move(0, 1),
};

function listen() {
    const click = (id, work) => part(id).addEventListener("click", work);
    for (const id of ["open", "choose", "dismiss"]) click(id, () => part("file").click());
    click("cancel", cancel);
    click("heat", toggleHeat);
    click("save", savePicture);
    click("home", home);
    click("in", () => stage.larger());
    click("out", () => stage.smaller());
    click("fit", () => stage.toggle());
    part("file").addEventListener("change", (event) => {
        openFile(event.target.files[0]);
        event.target.value = "";
    });
    addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.key === "Escape") return cancel();
        const moves = event.key.startsWith("Arrow");
        if (moves && document.body.dataset.state !== "shown") return;
        const work = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
        if (!work) return;
        event.preventDefault();
        work();
    });
    let depth = 0;
    const over = (change) => document.body.classList.toggle("over", (depth = Math.max(0, depth + change)) > 0);
    addEventListener("dragenter", () => over(1));
    addEventListener("dragleave", () => over(-1));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
        event.preventDefault();
        over(-depth);
        openFile(event.dataTransfer.files[0]);
    });
}

async function begin() {
    listen();
    try {
        listed = JSON.parse(new TextDecoder().decode(await fetched("files.json")));
    } catch (error) {
        return fail(`the list of files cannot be read: ${error.message}`);
    }
    fillList();
    const wanted = Number(location.hash.slice(1) || (listed.length === 1 ? 0 : NaN));
    if (listed[wanted]) openListed(wanted);
    else state(listed.length > 1 ? "list" : "empty");
}

begin();
