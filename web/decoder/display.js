/* Samples to what a screen shows: eight bits of red, green, blue and alpha, in a size that a canvas takes. */

const MOST_SHOWN = 2 ** 24;
const LONGEST_SHOWN = 2 ** 14;
const COLOURS_OF_HEAT = [
    [6, 8, 30], [45, 17, 96], [113, 31, 129], [182, 54, 121], [236, 99, 90], [252, 168, 94], [252, 237, 178],
];
const BINS_A_BIT = 4;
export const MOST_BITS = 12;
const SHOWN_SHARE = 0.998;

/** By how much sides are divided so that a picture can be shown. */
export function shownFactor(width, height) {
    let factor = 1;
    while (Math.ceil(width / factor) * Math.ceil(height / factor) > MOST_SHOWN || Math.max(width, height) / factor > LONGEST_SHOWN) {
        factor++;
    }
    return factor;
}

/** (pixel's first sample, colour [r, g, b, a] to fill) for a mode; palettes are [r, g, b, a] of each index. */
function painter({ mode, bits }, samples, palette) {
    const shift = mode.endsWith(";16") ? 8 : 0;
    const plain = mode.replace(";16", "");
    if (mode === "P") {
        return (at, colour) => {
            const index = 4 * samples[at];
            for (let i = 0; i < 4; i++) colour[i] = palette[index + i] ?? (i === 3 ? 255 : 0);
        };
    }
    if (plain === "RGB" || plain === "RGBA") {
        return (at, colour) => {
            for (let i = 0; i < 3; i++) colour[i] = samples[at + i] >> shift;
            colour[3] = plain === "RGBA" ? samples[at + 3] >> shift : 255;
        };
    }
    const scale = bits === 1 ? 255 : 1;
    return (at, colour) => {
        colour[0] = colour[1] = colour[2] = scale * (samples[at] >> shift);
        colour[3] = plain === "LA" ? samples[at + 1] >> shift : 255;
    };
}

/**
 * A picture as a screen shows it: pixels stand for themselves, or for the mean of a square of them.
 *
 * @returns {{width: number, height: number, factor: number, rgba: Uint8ClampedArray}}
 */
export function shown(header, samples, palette) {
    const { width, height, channels } = header;
    const factor = shownFactor(width, height);
    const columns = Math.ceil(width / factor);
    const rows = Math.ceil(height / factor);
    const rgba = new Uint8ClampedArray(4 * columns * rows);
    const paint = painter(header, samples, palette);
    const colour = [0, 0, 0, 0];
    for (let y = 0, to = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++, to += 4) {
            const sum = [0, 0, 0, 0];
            let count = 0;
            for (let v = y * factor; v < Math.min(height, (y + 1) * factor); v++) {
                for (let u = x * factor; u < Math.min(width, (x + 1) * factor); u++, count++) {
                    paint((v * width + u) * channels, colour);
                    for (let i = 0; i < 4; i++) sum[i] += colour[i];
                }
            }
            for (let i = 0; i < 4; i++) rgba[to + i] = sum[i] / count;
        }
    }
    return { width: columns, height: rows, factor, rgba };
}

/** The bits of each pixel in colours, from none to as many as all but two in a thousand have at most. */
export function heatShown({ width, height, channels }, bits) {
    const factor = shownFactor(width, height);
    const columns = Math.ceil(width / factor);
    const rows = Math.ceil(height / factor);
    const mean = new Float32Array(columns * rows);
    const count = new Float32Array(columns * rows);
    for (let y = 0, at = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
            const to = Math.floor(y / factor) * columns + Math.floor(x / factor);
            for (let c = 0; c < channels; c++) mean[to] += bits[at++];
            count[to]++;
        }
    }
    for (let i = 0; i < mean.length; i++) mean[i] /= count[i];
    const sorted = mean.slice().sort();
    const most = Math.max(1e-9, sorted[Math.floor((sorted.length - 1) * SHOWN_SHARE)]);
    const rgba = new Uint8ClampedArray(4 * mean.length).fill(255);
    for (let i = 0; i < mean.length; i++) rgba.set(heatColour(mean[i] / most), 4 * i);
    return { width: columns, height: rows, factor, rgba, most };
}

/** The colour of a share from 0 to 1. */
export function heatColour(share) {
    const place = Math.min(1, Math.max(0, share)) * (COLOURS_OF_HEAT.length - 1);
    const low = Math.min(Math.floor(place), COLOURS_OF_HEAT.length - 2);
    return [0, 1, 2].map((i) => {
        const [a, b] = [COLOURS_OF_HEAT[low][i], COLOURS_OF_HEAT[low + 1][i]];
        return Math.round(a + (b - a) * (place - low));
    });
}

/** For each channel the sum of its bits, and how many samples took 0 to 1/4 bit, to 2/4, ...; the last bin has the rest. */
export function ratesByChannel(channels, bits) {
    const rates = Array.from({ length: channels }, () => ({ total: 0, bins: new Array(MOST_BITS * BINS_A_BIT).fill(0) }));
    for (let at = 0; at < bits.length; ) {
        for (const rate of rates) {
            const spent = bits[at++];
            rate.total += spent;
            rate.bins[Math.min(rate.bins.length - 1, Math.floor(spent * BINS_A_BIT))]++;
        }
    }
    return rates;
}

/** The palette of metadata, as [r, g, b, a, ...]; null without one. */
export function paletteOf(chunks) {
    const found = new Map(chunks);
    const colours = found.get("PLTE");
    if (!colours) return null;
    const alpha = found.get("tRNS") ?? [];
    const palette = new Uint8Array((colours.length / 3) * 4);
    for (let i = 0; i < colours.length / 3; i++) {
        palette.set(colours.subarray(3 * i, 3 * i + 3), 4 * i);
        palette[4 * i + 3] = alpha[i] ?? 255;
    }
    return palette;
}
