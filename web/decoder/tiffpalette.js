/* The colours of a TIFF file with a palette, from what is kept of it beside its pixels: "TIFF" in codec/REMAINDERS.md.

   The script is read up to the colour map. Of what it expects, only that counts here on which depends what comes next. */

import { check } from "./errors.js";
import { Reader } from "./fields.js";

const KINDS = 15;
const [FIRST_KIND, LAST_KIND] = [4, 7]; // of palettes: 1, 2, 4 and 8 bits
/** Compression and predictor. */
const CODINGS = [[1, 1], [8, 1], [8, 2], [5, 1], [5, 2], [32773, 1], [4, 1], [3, 1]];
const STRIP_SIZES = [2 ** 13, 2 ** 16, 2 ** 18];
const [NONE, ZIPS] = [1, [8, 32946]];
const PADDING_FOLLOWS = 3;
const RECIPE_BYTES = 2; // of the recipe that is expected first
const [COLOUR_MAP, MOST_COLOUR_BYTES] = [320, 1536];
const [SHORT, LONG, RATIONAL, LONG8] = [3, 4, 5, 16];
const SIZES = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8 };
const NUMBERS = [1, 3, 4, 13, 16, 18];
const TYPES = {
    254: 4, 269: 2, 270: 2, 271: 2, 272: 2, 282: 5, 283: 5, 305: 2, 306: 2, 315: 2, 316: 2, 318: 5, 319: 5, 700: 1,
    33432: 2, 33723: 7, 34377: 7, 34665: 4, 34675: 7, 34853: 4,
};
/** Habits: the directory is ahead; sizes are wide; defaults are spared; alignment; ranked; further tags; unit. */
const WRITERS = [
    [true, true, true, 2, false, [284], 2],
    [false, false, true, 2, true, [284], 2],
    [false, false, false, 2, true, [284, 282, 283, 296], 1],
    [false, false, false, 2, true, [266, 274, 284, 297, 318, 319], 2],
    [false, false, true, 2, true, [274, 284], 2],
    [false, false, false, 2, true, [284, 339], 2],
    [true, true, false, 16, false, [270, 282, 283, 284, 296, 305], 1],
].map(([ahead, wide, spare, align, ranked, tags, unit]) => ({ ahead, wide, spare, align, ranked, tags, unit }));
const RANKED = [282, 283, 258, 279, 325, 273, 324, 320, 338, 339, 319];
const SOFTWARE_BYTES = 12;
const [MOST_SEGMENTS, MOST_ENTRIES] = [2 ** 20, 4096];

/** Numbers and bytes of which most are as expected. */
class Script {
    constructor(reader) {
        this.events = new Reader(reader.take(reader.varint("the length of the events"), "events"), "the events");
        this.literals = new Reader(reader.rest(), "the literals");
        this.advance();
    }

    advance() {
        this.passed = this.events.left ? this.events.varint("an event") : Infinity;
    }

    number(expected) {
        if (this.passed) {
            this.passed--;
            return expected;
        }
        const code = this.events.varint("a difference");
        this.advance();
        const value = expected + (code % 2 ? (code + 1) / 2 : -code / 2);
        check(code > 0 && value >= 0, `a number of ${value} in the remainder`);
        return value;
    }

    /** Bytes; null for those that are expected, of which `known` says how many these are. */
    data(length, known = null) {
        if (known === length && !this.number(0)) return null;
        return this.literals.take(length, "bytes");
    }
}

/** How the pixels lie in the file. */
function readLayout(script, width, height, bits) {
    const layout = { width, height, bits, bigEndian: script.number(0) === 1, big: script.number(0) === 1 };
    check(script.number(3) === 3, "a palette that is none");
    const coding = script.number(0);
    [layout.compression, layout.predictor] = CODINGS[coding] ?? [script.number(1), script.number(1)];
    script.number(1); // planar configuration
    layout.reversed = script.number(0) === 1;
    layout.tiled = script.number(0) === 1;
    layout.across = layout.tiled ? script.number(256) : width;
    const row = Math.ceil((width * bits) / 8);
    const usual = layout.tiled ? [256] : [height, ...STRIP_SIZES.map((size) => Math.min(height, Math.max(1, Math.floor(size / row))))];
    layout.down = usual[script.number(0)] ?? script.number(height);
    check(layout.across > 0 && layout.down > 0, `strips or tiles of ${layout.across} by ${layout.down} pixels`);
    layout.columns = Math.ceil(width / layout.across);
    layout.segments = layout.columns * Math.ceil(height / layout.down);
    check(layout.segments <= MOST_SEGMENTS, `${layout.segments} strips or tiles`);
    return layout;
}

/** Passes over the streams; their lengths, 0 where these take the pixels to know. */
function skipStreams(script, layout) {
    const { width, height, across, down, columns, bits, compression, segments } = layout;
    const rowsOf = (index) => Math.min(down, height - down * Math.floor(index / columns));
    const whole = (index) => (layout.tiled ? down : rowsOf(index));
    if (script.number(0) === PADDING_FOLLOWS) {
        const unit = Math.max(1, Math.floor(8 / bits));
        const padded = Math.ceil(across / unit) * unit;
        for (let i = 0; i < segments; i++) {
            script.data(whole(i) * padded - rowsOf(i) * Math.min(across, width - across * (i % columns)));
        }
    }
    if (compression === NONE) return Array.from({ length: segments }, (_, i) => Math.ceil((across * bits) / 8) * whole(i));
    const rest = () => script.data(script.number(0));
    let recipe = RECIPE_BYTES;
    for (let i = 0; i < segments; i++) {
        if (ZIPS.includes(compression)) {
            const plain = script.number(1);
            const length = script.number(recipe);
            script.data(length, recipe);
            if (plain) recipe = length;
            rest();
        } else script.number(0);
        rest();
    }
    const lengths = new Array(segments).fill(0);
    if (script.number(0)) for (let i = 0, last = 0; i < segments; i++) lengths[i] = last = script.number(last);
    return lengths;
}

/** The tags that a writer puts into the directory of such a picture. */
function tagsOf({ spare, tags, unit }, { bits, predictor, tiled }) {
    const found = new Set([256, 257, 259, 262, COLOUR_MAP, ...tags, ...(tiled ? [322, 323, 324, 325] : [273, 278, 279])]);
    if (bits > 1 || !spare) found.add(258);
    if (!spare) found.add(277);
    if (unit === 1) found.delete(284);
    if (predictor === 2) found.add(317);
    return [...found].sort((a, b) => a - b);
}

function typeOf(writer, layout, tag, lengths, last) {
    const { big, across, down, width, height } = layout;
    if (tag === 273 || tag === 324) return big && (last >= 2 ** 32 || lengths.length === 1) ? LONG8 : LONG;
    if (tag === 279 || tag === 325) {
        if (lengths.length === 1) return big ? LONG8 : LONG;
        return lengths.every((length) => length < 2 ** 16) ? SHORT : LONG;
    }
    const size = { 256: width, 257: height, 278: down, 322: across, 323: down }[tag];
    if (size !== undefined) return writer.wide || size >= 2 ** 16 ? LONG : SHORT;
    return TYPES[tag] ?? SHORT;
}

function countOf(layout, tag, segments) {
    if ([273, 279, 324, 325].includes(tag)) return segments;
    const { width, height, bits } = layout;
    return { 297: 2, 305: SOFTWARE_BYTES, 318: 2, 319: 6, 320: 3 << bits, 270: `{"shape": [${height}, ${width}]}`.length + 1 }[tag] ?? 1;
}

/** How many bytes are expected of a tag's values; null if nothing is known of them. */
function knownBytes(layout, { tag, type, count }, offsets, counts, before) {
    if (tag === 270 || tag === 305) return countOf(layout, tag, 0);
    if (tag === 283 && before.has(282)) return before.get(282);
    const two = { 282: 2, 283: 2, 297: 2, 318: 4, 319: 12 }[tag];
    const { width, height, compression, bits, down, across } = layout;
    let numbers = null;
    if (tag === 273 || tag === 324) numbers = offsets;
    else if (tag === 279 || tag === 325) numbers = counts;
    else if (tag === 258 || tag === 339) numbers = new Array(Math.min(count, 4)).fill(bits);
    else if (two) numbers = new Array(two).fill(0);
    else {
        const one = { 256: width, 257: height, 259: compression, 262: 3, 278: down, 322: across, 323: down };
        for (const other of [266, 274, 277, 284, 296, 317, 338]) one[other] = 1;
        if (tag in one) numbers = [one[tag]];
    }
    const each = type === RATIONAL ? 2 : NUMBERS.includes(type) ? 1 : 0;
    if (!numbers || !each || numbers.length !== count * each) return null;
    const top = 2 ** ((8 * SIZES[type]) / each);
    return numbers.every((number) => number < top) ? count * SIZES[type] : null;
}

/** The colours in the values of a colour map. */
function readColours(script, length, bigEndian) {
    const form = length % 6 || length > MOST_COLOUR_BYTES ? 2 : script.number(0);
    if (form < 2) return script.data(length / 2);
    const values = script.data(length);
    const third = Math.floor(length / 6);
    return Uint8Array.from({ length: 3 * third }, (_, i) => values[2 * ((i % 3) * third + Math.floor(i / 3)) + (bigEndian ? 0 : 1)]);
}

export function chunksOfTiff(reader) {
    const first = reader.varint("the writer");
    const [writer, kind] = [WRITERS[Math.floor(first / KINDS)], first % KINDS];
    const [width, height] = [reader.varint("the width"), reader.varint("the height")];
    if (!writer || kind < FIRST_KIND || kind > LAST_KIND) return [];
    const script = new Script(reader);
    const layout = readLayout(script, width, height, 2 ** (kind - FIRST_KIND));
    const lengths = skipStreams(script, layout);
    const counts = lengths.map((length) => script.number(length));
    const [head, room] = layout.big ? [16, 8] : [8, 4];
    const offsets = [];
    const place = (expected) => {
        for (const length of lengths) {
            offsets.push(script.number(expected));
            expected = offsets.at(-1) + length;
        }
    };
    if (!writer.ahead) place(head);
    const end = offsets.reduce((most, at, i) => Math.max(most, at + lengths[i]), head);
    const position = script.number(end + (end % 2));
    const usual = tagsOf(writer, layout);
    const items = [];
    for (let tag = 0; ; ) {
        tag = script.number(usual.find((other) => other > tag) ?? 0);
        if (!tag) break;
        check(items.length < MOST_ENTRIES, `more than ${MOST_ENTRIES} entries`);
        const type = script.number(typeOf(writer, layout, tag, counts, offsets.at(-1) ?? 0));
        const count = script.number(countOf(layout, tag, counts.length));
        items.push({ tag, type, count, length: count * (SIZES[type] ?? 0), outside: false, here: true });
    }
    const rank = ({ tag }) => (writer.ranked && RANKED.includes(tag) ? RANKED.indexOf(tag) : RANKED.length + tag);
    const waiting = items.filter(({ length }) => length > room).sort((a, b) => rank(a) - rank(b));
    let cursor = position + (layout.big ? 16 : 6) + items.length * (layout.big ? 20 : 12);
    while (waiting.length) {
        const [item] = waiting.splice(script.number(0), 1);
        check(item, "a value that is none");
        cursor += cursor % 2;
        const at = script.number(cursor);
        item.outside = true;
        item.here = !script.number(0);
        if (item.here) cursor = at + item.length;
    }
    if (writer.ahead) place(Math.ceil(cursor / writer.align) * writer.align);
    const before = new Map();
    for (const item of items) {
        if (!item.here) continue;
        const length = item.outside ? item.length : room;
        if (item.tag === COLOUR_MAP && item.type === SHORT && item.outside) {
            return [["PLTE", readColours(script, length, layout.bigEndian)]];
        }
        const known = knownBytes(layout, item, offsets, counts, before);
        script.data(length, item.outside ? known : Math.max(room, known ?? 0));
        before.set(item.tag, item.length);
    }
    return [];
}
