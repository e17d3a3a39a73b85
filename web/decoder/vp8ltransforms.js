/* The inverse transforms of lossless WebP: pixels are numbers of 32 bits, alpha, red, green and blue from the top. */

const BLACK = 0xff000000 | 0;

function average(a, b) {
    return (((a ^ b) & 0xfefefefe) >>> 1) + (a & b);
}

function plus(a, b) {
    const green = (a & 0xff00ff00) + (b & 0xff00ff00);
    const rest = (a & 0x00ff00ff) + (b & 0x00ff00ff);
    return (green & 0xff00ff00) | (rest & 0x00ff00ff);
}

function channel(pixel, shift) {
    return (pixel >>> shift) & 255;
}

function clamp(x) {
    return x < 0 ? 0 : x > 255 ? 255 : x;
}

/** The one of left and top that is nearer to left + top - corner. */
function select(left, top, corner) {
    let [fromLeft, fromTop] = [0, 0];
    for (let shift = 0; shift < 32; shift += 8) {
        fromLeft += Math.abs(channel(top, shift) - channel(corner, shift));
        fromTop += Math.abs(channel(left, shift) - channel(corner, shift));
    }
    return fromLeft < fromTop ? left : top;
}

function each(work) {
    let pixel = 0;
    for (let shift = 0; shift < 32; shift += 8) pixel |= clamp(work(shift)) << shift;
    return pixel;
}

function full(left, top, corner) {
    return each((shift) => channel(left, shift) + channel(top, shift) - channel(corner, shift));
}

function half(mean, corner) {
    return each((shift) => {
        const a = channel(mean, shift);
        return a + Math.trunc((a - channel(corner, shift)) / 2);
    });
}

/** left, top, top right and top left give what is expected. */
const PREDICTORS = [
    () => BLACK,
    (l) => l,
    (l, t) => t,
    (l, t, tr) => tr,
    (l, t, tr, tl) => tl,
    (l, t, tr) => average(average(l, tr), t),
    (l, t, tr, tl) => average(l, tl),
    (l, t) => average(l, t),
    (l, t, tr, tl) => average(tl, t),
    (l, t, tr) => average(t, tr),
    (l, t, tr, tl) => average(average(l, tl), average(t, tr)),
    (l, t, tr, tl) => select(l, t, tl),
    (l, t, tr, tl) => full(l, t, tl),
    (l, t, tr, tl) => half(average(l, t), tl),
    () => BLACK,
    () => BLACK,
];

export function undoPrediction(pixels, { width, height, bits, image }) {
    const blocks = Math.ceil(width / 2 ** bits);
    pixels[0] = plus(pixels[0], BLACK);
    for (let x = 1; x < width; x++) pixels[x] = plus(pixels[x], pixels[x - 1]);
    for (let y = 1; y < height; y++) {
        let at = y * width;
        pixels[at] = plus(pixels[at], pixels[at - width]);
        for (let x = 1; x < width; x++) {
            at++;
            const predict = PREDICTORS[(image[(y >> bits) * blocks + (x >> bits)] >> 8) & 15];
            const above = at - width;
            // To the right of the last column stands the first pixel of this row.
            pixels[at] = plus(pixels[at], predict(pixels[at - 1], pixels[above], pixels[above + 1], pixels[above - 1]));
        }
    }
    return pixels;
}

function delta(factor, value) {
    return ((factor << 24) >> 24) * ((value << 24) >> 24) >> 5;
}

export function undoColour(pixels, { width, height, bits, image }) {
    const blocks = Math.ceil(width / 2 ** bits);
    for (let y = 0, at = 0; y < height; y++) {
        for (let x = 0; x < width; x++, at++) {
            const factors = image[(y >> bits) * blocks + (x >> bits)];
            const green = channel(pixels[at], 8);
            const red = (channel(pixels[at], 16) + delta(factors, green)) & 255;
            const blue = (channel(pixels[at], 0) + delta(factors >> 8, green) + delta(factors >> 16, red)) & 255;
            pixels[at] = (pixels[at] & 0xff00ff00) | (red << 16) | blue;
        }
    }
    return pixels;
}

export function addGreen(pixels) {
    for (let i = 0; i < pixels.length; i++) {
        const green = channel(pixels[i], 8);
        pixels[i] = plus(pixels[i], (green << 16) | green);
    }
    return pixels;
}

export function undoIndices(pixels, { width, height, bits, image }) {
    const packed = Math.ceil(width / 2 ** bits);
    const [depth, mask] = [8 >> bits, 2 ** bits - 1];
    const found = new Int32Array(width * height);
    for (let y = 0, at = 0; y < height; y++) {
        for (let x = 0; x < width; x++, at++) {
            const green = channel(pixels[y * packed + (x >> bits)], 8);
            found[at] = image[(green >> ((x & mask) * depth)) & (2 ** depth - 1)] ?? 0;
        }
    }
    return found;
}

export { plus };
