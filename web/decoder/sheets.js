/* Arrays that are no images, out of the sheets of planes that stand for them; codec/images/sheets.py. */

import { ARRAY_CHUNK } from "./container.js";
import { check } from "./errors.js";
import { Reader } from "./fields.js";

/** Of each type its name, its bits, and what holds its numbers; of 16-bit floating-point numbers their bits. */
const TYPES = [
    ["bool", 8, Uint8Array],
    ["uint8", 8, Uint8Array],
    ["int8", 8, Int8Array],
    ["uint16", 16, Uint16Array],
    ["int16", 16, Int16Array],
    ["uint32", 32, Uint32Array],
    ["int32", 32, Int32Array],
    ["uint64", 64, BigUint64Array],
    ["int64", 64, BigInt64Array],
    ["float16", 16, Uint16Array],
    ["float32", 32, Float32Array],
    ["float64", 64, Float64Array],
];
const DIVISORS = [0, 1, 255, 65535];
const MOST_DIMENSIONS = 16;

function product(numbers) {
    return numbers.reduce((all, number) => all * number, 1);
}

/** What the metadata say of an array; `rows` are those of the sheet, `deep` how many planes a pixel of an image has. */
function readSheet(data) {
    const reader = new Reader(data, "the kind of the array");
    const [code, flags, group, ndim] = reader.take(4, "its first fields");
    const known = code < TYPES.length && flags < 16 && (group === 1 || group === 3) && ndim >= 2 && ndim <= MOST_DIMENSIONS;
    check(known, `an array of kind ${data.subarray(0, 4)}`);
    const shape = Array.from({ length: ndim }, () => reader.varint("an extent"));
    const [channelsLast, narrow] = [Boolean(flags & 1), Boolean(flags & 2)];
    check(!reader.left && shape.every((extent) => extent) && (!channelsLast || ndim > 2), `an array of shape ${shape}`);
    const [type, bits, Numbers] = TYPES[code];
    const divisor = DIVISORS[flags >> 2];
    const digits = Math.max(1, (divisor ? 16 : bits) / 16);
    check(!(divisor && !type.startsWith("float")) && !(narrow && digits > 1), `an array of kind ${data.subarray(0, 4)}`);
    const [height, width] = channelsLast ? shape.slice(-3, -1) : shape.slice(-2);
    const deep = channelsLast ? shape.at(-1) : 1;
    const planes = product(shape) / (height * width);
    const rows = digits * Math.ceil(planes / group) * height;
    return { type, bits, Numbers, shape, narrow, group, divisor, digits, height, width, deep, planes, rows };
}

/** Whole numbers that a 16-bit floating-point number has between two powers of two. */
const HALF_STEPS = 1024;

/** The number that bits of 16 are. */
function numberOfHalf(bits) {
    const [exponent, fraction] = [(bits >> 10) & 31, bits & (HALF_STEPS - 1)];
    const size = exponent === 31 ? (fraction ? NaN : Infinity) : exponent ? 2 ** (exponent - 25) * (HALF_STEPS + fraction) : fraction * 2 ** -24;
    return bits & 0x8000 ? -size : size;
}

/** The bits of a number from 0 to 65535 that is rounded to 16 of them, to even ones in the middle. */
function halfOfNumber(number) {
    if (number === 0) return 0;
    const exponent = Math.max(-14, Math.floor(Math.log2(number)));
    const steps = number * 2 ** (10 - exponent);
    const low = Math.floor(steps);
    const up = steps - low > 0.5 || (steps - low === 0.5 && low % 2);
    // One more than the last fraction is the next power of two; beyond the last of these stands infinity.
    return Math.min(0x7c00, HALF_STEPS * (exponent + 14) + low + up);
}

/** Codes back to the bits of numbers: of the highest digit, and of the others, which follow its sign. */
function undoer({ type, bits }) {
    const top = bits === 8 ? 0x80 : 0x8000;
    if (type.startsWith("int")) return (high) => [high ^ top, 0];
    if (type.startsWith("float")) return (high) => (high & top ? [high ^ top, 0] : [high ^ 0xffff, 0xffff]);
    return type === "bool" ? (high) => [high & 1, 0] : (high) => [high, 0];
}

/** Of an array, which is laid out as Python lays it out. */
class SheetArray {
    constructor(sheet) {
        Object.assign(this, sheet);
        this.numbers = new this.Numbers(product(this.shape));
    }

    /** Where a plane's first number stands; the others follow at distances of `deep`. */
    start(plane) {
        return Math.floor(plane / this.deep) * this.height * this.width * this.deep + (plane % this.deep);
    }

    /** Calls with (place of a sample on the sheet, place of its number, digit) for all samples but copies. */
    eachSample(work) {
        const { height, width, group, planes, digits, deep } = this;
        const size = height * width;
        const groups = Math.ceil(planes / group);
        for (let digit = 0; digit < digits; digit++) {
            for (let plane = 0; plane < planes; plane++) {
                let from = (digit * groups + Math.floor(plane / group)) * size * group + (plane % group);
                let to = this.start(plane);
                for (let i = 0; i < size; i++, from += group, to += deep) work(from, to, digit);
            }
        }
    }

    fill(samples) {
        const { type, divisor, digits, numbers } = this;
        if (divisor) {
            const half = type === "float16";
            this.eachSample((from, to) => {
                const quotient = samples[from] / divisor;
                numbers[to] = half ? halfOfNumber(Math.fround(quotient)) : quotient;
            });
            return;
        }
        const undo = undoer(this);
        const words = new (this.bits === 8 ? Uint8Array : Uint16Array)(numbers.buffer);
        const others = digits > 1 ? new Uint16Array(numbers.length) : null;
        this.eachSample((from, to, digit) => {
            const place = to * digits + digits - 1 - digit;
            if (digit) words[place] = samples[from] ^ others[to];
            else {
                const [word, other] = undo(samples[from]);
                words[place] = word;
                if (others) others[to] = other;
            }
        });
    }

    /** A number, as near as one of 64 bits is. */
    at(place) {
        return this.type === "float16" ? numberOfHalf(this.numbers[place]) : Number(this.numbers[place]);
    }

    get bytes() {
        return new Uint8Array(this.numbers.buffer);
    }

    /** The bits of each number: those of all its digits. */
    bitsOfNumbers(bits) {
        const found = new Float32Array(this.numbers.length);
        this.eachSample((from, to) => (found[to] += bits[from]));
        return found;
    }

    /** The least and the greatest of the numbers that are finite; null without any. */
    range() {
        let [least, most] = [Infinity, -Infinity];
        for (let i = 0; i < this.numbers.length; i++) {
            const number = this.at(i);
            if (!Number.isFinite(number)) continue;
            if (number < least) least = number;
            if (number > most) most = number;
        }
        return least <= most ? [least, most] : null;
    }

    /** How planes are shown: three channels in colour, others side by side so that a square is filled. */
    layout() {
        const channels = this.deep === 3 ? 3 : 1;
        const count = this.planes / channels;
        const across = Math.min(count, Math.max(1, Math.round(Math.sqrt((count * this.height) / this.width))));
        return { channels, count, width: across * this.width, height: Math.ceil(count / across) * this.height, across };
    }

    /** What `valueOf` gives for the place of each number, in an array of some type, where it is shown. */
    laidOut(Type, valueOf) {
        const { channels, count, width, height, across } = this.layout();
        const shown = new Type(width * height * channels);
        for (let image = 0; image < count; image++) {
            const [top, left] = [Math.floor(image / across) * this.height, (image % across) * this.width];
            for (let c = 0; c < channels; c++) {
                let from = this.start(image * channels + c);
                for (let y = 0; y < this.height; y++) {
                    let to = ((top + y) * width + left) * channels + c;
                    for (let x = 0; x < this.width; x++, to += channels, from += this.deep) shown[to] = valueOf(from);
                }
            }
        }
        return shown;
    }

    /** A picture of 8 bits: bytes as they are, other numbers from the least to the greatest, what is no number black. */
    picture() {
        const { channels, width, height } = this.layout();
        const [least, most] = this.type === "uint8" ? [0, 255] : (this.range() ?? [0, 0]);
        // Of halves, as the distance of two numbers may be infinite.
        const span = most / 2 - least / 2;
        const samples = this.laidOut(Uint8ClampedArray, (place) => {
            const number = this.at(place);
            if (!Number.isFinite(number)) return number > 0 ? 255 : 0;
            return span ? (255 * (number / 2 - least / 2)) / span : 0;
        });
        const header = { mode: channels === 3 ? "RGB" : "L", bits: 8, width, height, channels };
        return { header, samples: new Uint8Array(samples.buffer) };
    }
}

/**
 * The array that a sheet of samples stands for.
 *
 * @returns {SheetArray}
 */
export function arrayOf({ chunks, width, height, channels, sampleBytes }, samples) {
    const sheet = readSheet(new Map(chunks).get(ARRAY_CHUNK));
    const fits = width === sheet.width && height === sheet.rows && channels === sheet.group && (sampleBytes === 1) === sheet.narrow;
    check(fits, `a sheet of ${height} by ${width} by ${channels} samples for an array of shape ${sheet.shape}`);
    const array = new SheetArray(sheet);
    array.fill(samples);
    return array;
}
