/* The state of the photo engine, as models/photo/engine.py makes it: sizes, start values and calls of the core. */

import { check } from "./errors.js";
import { unpackArray } from "./tables.js";

const BATCH = 128;
const BATCH_ROWS = 144;
const PAD = 10;
const ROWS = 8;
const MOST = 8;
const MOST_FED = 3;
const PHASES = 4;
const MOST_STATES = 12;
const ROW_MULTIPLE = 4;
const NODES = 272;
const LINE = 16;
const MOST_HISTORIES = 4;
const STAGE_INPUTS = 8;
const DEPTHS = 8;
const [FEWEST_LINES, MOST_LINES] = [2 ** 6, 2 ** 18];
const WEIGHT_SCALE = 2 ** 12;
const SUM_SCALE = 2 ** 22;
const LARGEST_WEIGHT = 32767;
const LARGEST_SUM = 2 ** 30;
const PRIOR_VARIANCE = Math.fround(0.01);
const COUPLING_PRIOR = 0.9;
const [LEAST, OUTSIDE] = [2 ** -20, 2 ** 30];

/** Most bytes of a sample, and of the coder's end. */
export const SAMPLE_BYTES = 27;
export const FLUSH_BYTES = 9;

function padded(length, multiple = 16) {
    return Math.ceil(length / multiple) * multiple;
}

function clamp(x, limit) {
    return Math.min(Math.max(x, -limit), limit);
}

/** To the nearest integer, even ones first. */
function rounded(x) {
    const low = Math.floor(x);
    const rest = x - low;
    return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

function integers(numbers) {
    return BigInt64Array.from(numbers, (number) => BigInt(number));
}

function product(numbers) {
    return numbers.reduce((a, b) => a * b, 1);
}

/** Lines of counters for each context: a power of two, one for two pixels or more, where that is not too many. */
function counterLines(pixels) {
    let lines = 1;
    while (lines <= Math.floor((pixels - 1) / 2)) lines *= 2;
    return Math.min(MOST_LINES, Math.max(FEWEST_LINES, lines));
}

/** One network's weights, and the second moments with which the learning begins, flat and padded. */
export function flatWeights(group, name, tensors) {
    const parameters = [];
    const square = [];
    for (const [layer, [rows, columns]] of group.matrices) {
        for (const [parts, suffix] of [[parameters, ""], [square, "_rms"]]) {
            const matrix = new Float32Array(padded(rows, ROW_MULTIPLE) * columns);
            matrix.set(tensors.get(`${name}.${layer}.weight${suffix}`));
            parts.push(matrix, tensors.get(`${name}.${layer}.bias${suffix}`));
        }
    }
    const joined = (parts) => {
        const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
        parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
        return whole;
    };
    // Squares round once: the products of two floats are exact before they become one again.
    return { parameters: joined(parameters), square: joined(square).map((x) => x * x) };
}

/** Of a model; measurements, which were never stored as colours, have no phases. */
function expertsOf({ experts }, channels, depth) {
    return depth === 16 && channels === 1 ? experts.map((expert) => ({ ...expert, states: 1 })) : experts;
}

/** What codes one group of channels of one tile. It lives in the core's memory until that is released. */
export class PhotoSession {
    /**
     * @param {Core} core
     * @param {object} tables - the part "photo" of tables.json
     * @param {object} spec - a model of it
     * @param {object} group - the sizes of its network for these channels
     * @param {object} weights - by `flatWeights`
     * @param {number[][]} alphabet - the ascending values of each channel
     */
    constructor(core, tables, spec, group, weights, alphabet, width, depth, height) {
        const channels = alphabet.length;
        this.core = core;
        this.width = width;
        this.channels = channels;
        const histories = depth === 8 ? spec.histories : 0;
        const lines = histories ? counterLines(width * height) : 1;
        const symbols = Math.max(...alphabet.map((values) => values.length));
        const largest = padded(Math.max(spec.reach, ...spec.experts.map((e) => e.neighbours)) * channels + 4);
        const sizes = {
            width, channels, histories, lines, symbols, largest,
            span: width + 2 * PAD,
            experts: spec.experts.length,
            reach: spec.reach,
            components: spec.components,
            layers: spec.layers,
            units: spec.width,
            hidden: spec.hidden,
            inputs: group.inputs,
            input_rows: padded(group.inputs, ROW_MULTIPLE),
            joined: padded(spec.width + Math.max(...group.extras), ROW_MULTIPLE),
            outputs: padded(3 * spec.components),
            places: spec.neighbours.length,
            seen: spec.neighbours.length,
            fed_places: Math.max(0, ...spec.experts.filter((e) => e.fed).map((e) => e.neighbours)),
            pixels: 0,
            middle: 2 ** (depth - 1),
            rate_start: spec.schedule[0],
            rate_end: spec.schedule[1],
            rate_half: spec.schedule[2],
        };
        const values = {
            ...sizes,
            ...this.experts(expertsOf(spec, channels, depth), channels, largest),
            neighbour: core.put(integers(spec.neighbours.flat())),
            ...this.context(sizes),
            ...this.network(group, sizes, weights),
            ...this.alphabets(alphabet, symbols),
            ...this.stage(tables, channels, histories),
            counter: core.reserve(2 * Math.max(1, histories) * lines * LINE),
        };
        this.coder = core.put(new BigUint64Array([0n, 2n ** 64n - 1n, 0n, 0n]));
        this.engine = core.structure(tables.fields, { ...values, coder: this.coder }).address;
    }

    floats(...shape) {
        return this.core.reserve(4 * product(shape));
    }

    filled(Type, value, ...shape) {
        return this.core.put(new Type(product(shape)).fill(value));
    }

    experts(experts, channels, largest) {
        const used = experts.map((e) => e.neighbours * channels);
        const count = used.map((n) => padded(n));
        const start = [];
        let elements = 0;
        experts.forEach((e, k) => {
            start.push(elements);
            elements += e.states * count[k] ** 2;
        });
        const covariance = new Float32Array(elements);
        const diagonal = new Float32Array(experts.length * MOST_STATES * largest);
        experts.forEach((e, k) => {
            for (let state = 0; state < e.states; state++) {
                const matrix = start[k] + state * count[k] ** 2;
                for (let i = 0; i < used[k]; i++) covariance[matrix + i * (count[k] + 1)] = PRIOR_VARIANCE;
            }
            for (let state = 0; state < MOST_STATES; state++) {
                const first = (k * MOST_STATES + state) * largest;
                diagonal.fill(PRIOR_VARIANCE, first, first + used[k]);
            }
        });
        const coupling = new Float64Array((1 + PHASES) * channels * channels * MOST).fill(COUPLING_PRIOR);
        for (let i = 0; i < coupling.length; i++) {
            const pair = Math.floor(i / MOST) % (channels * channels);
            if (pair % (channels + 1) === 0) coupling[i] = 1;
        }
        const states = experts.length * MOST_STATES;
        return {
            count: this.core.put(integers(count)),
            used: this.core.put(integers(used)),
            start: this.core.put(integers(start)),
            fed: this.core.put(integers(experts.map((e) => e.fed))),
            states: this.core.put(integers(experts.map((e) => e.states))),
            parting: this.core.put(integers(experts.map((e) => e.parting))),
            parted: this.core.reserve(8 * experts.length),
            memory: this.core.put(Float64Array.from(experts, (e) => e.memory)),
            covariance: this.core.put(covariance),
            scale: this.filled(Float32Array, 1, states),
            gain: this.floats(states, largest),
            diagonal: this.core.put(diagonal),
            weight: this.floats(states, channels, largest),
            coupling: this.core.put(coupling),
            regressor: this.floats(largest),
            fed_regressor: this.floats(MOST_FED, largest),
        };
    }

    context({ span, experts, channels, inputs }) {
        return {
            values: this.core.reserve(8 * ROWS * span * 4),
            variance: this.filled(Float64Array, 1, ROWS, span),
            past: this.core.reserve(8 * ROWS * span * (2 + experts) * 4),
            raw: this.core.reserve(8 * 4 * MOST),
            error: this.filled(Float64Array, 1, 4, MOST),
            level: this.filled(Float64Array, 1, PHASES, 4),
            ratio: this.filled(Float64Array, 1, 4),
            trust: this.core.reserve(8 * MOST * 4),
            centre: this.core.reserve(8 * channels * (experts + 1) * BATCH_ROWS),
            activity: this.filled(Float64Array, 1, channels, BATCH_ROWS),
            look: this.floats(4, padded(inputs)),
        };
    }

    network(group, sizes, { parameters, square }) {
        const { channels, layers, units, hidden } = sizes;
        const places = [];
        let at = 0;
        let pair = 0;
        for (const [, [inputs, columns]] of group.matrices) {
            const rows = padded(inputs, ROW_MULTIPLE);
            places.push([at, rows, columns, at + rows * columns, pair]);
            at += rows * columns + columns;
            pair += (rows / 2) * columns + columns;
        }
        const most = [1, 2].map((i) => Math.max(...places.map((place) => place[i])));
        const shorts = (...shape) => this.core.reserve(2 * BATCH_ROWS * product(shape));
        return {
            place: this.core.put(integers(places.flat())),
            parameters: this.core.put(parameters),
            mean: this.floats(at),
            square: this.core.put(square),
            rounded: this.core.put(roundedWeights(parameters, places, pair)),
            transposed: this.floats(Math.max(...places.map(([, rows, columns]) => (rows / 2) * columns))),
            input: shorts(sizes.input_rows),
            branch: shorts(layers, units),
            stream: shorts(layers, units),
            join: shorts(channels, sizes.joined),
            middle_units: shorts(channels, hidden),
            partial: this.floats(channels, hidden),
            out: this.floats(channels, BATCH_ROWS, sizes.outputs),
            out_gradient: this.floats(channels, BATCH_ROWS, sizes.outputs),
            middle_gradient: this.floats(BATCH_ROWS, hidden),
            stream_gradient: this.floats(BATCH_ROWS, units),
            slope: shorts(most[1]),
            paired_units: this.floats(BATCH / 2, most[0]),
            paired_slopes: this.floats(BATCH / 2, most[1]),
            zero: this.floats(most[1]),
        };
    }

    alphabets(alphabet, symbols) {
        const channels = alphabet.length;
        const value = new BigInt64Array(channels * symbols);
        const edge = new Float64Array(channels * (symbols + 1));
        const rank = new BigInt64Array(channels * 257);
        const nodeEdge = new Float32Array(channels * NODES);
        const nodeFloor = new Float32Array(channels * NODES);
        alphabet.forEach((values, c) => {
            values.forEach((v, i) => {
                value[c * symbols + i] = BigInt(v);
                if (i) edge[c * (symbols + 1) + i] = (values[i - 1] + v) * 0.5;
            });
            const below = new Array(257);
            for (let v = 0, i = 0; v <= 256; v++) {
                while (i < values.length && values[i] < v) i++;
                below[v] = Math.min(i, symbols);
                rank[c * 257 + v] = BigInt(i);
            }
            // Where each node of the tree of 8-bit samples halves its range: seventeen rows, from the root of sixteen down.
            for (let row = 0; row <= 16; row++) {
                for (let node = 0; node < 16; node++) {
                    const depth = node ? 31 - Math.clz32(node) : 0;
                    const half = node ? (2 * (node - 2 ** depth) + 1) * (8 >> depth) : 0;
                    const i = below[row ? 16 * (row - 1) + half : 16 * half];
                    const at = c * NODES + 16 * row + node;
                    nodeEdge[at] = i === 0 ? -OUTSIDE : i >= values.length ? OUTSIDE : edge[c * (symbols + 1) + i];
                    nodeFloor[at] = i * LEAST;
                }
            }
        });
        const batch = (bytes) => this.core.reserve(bytes * channels * BATCH_ROWS);
        return {
            size: this.core.put(integers(alphabet.map((values) => values.length))),
            value: this.core.put(value),
            edge: this.core.put(edge),
            symbol: batch(8),
            lower: batch(8),
            upper: batch(8),
            probability: batch(8),
            rank: this.core.put(rank),
            node_edge: this.core.put(nodeEdge),
            node_floor: this.core.put(nodeFloor),
        };
    }

    stage(tables, channels, histories) {
        const weights = new Float32Array(STAGE_INPUTS);
        weights[0] = 1;
        weights.fill(0.1, 2, 2 + histories);
        const third = weights.map((x) => x / 3);
        const sets = (...shape) => {
            const all = new Float32Array(channels * product(shape) * STAGE_INPUTS);
            for (let i = 0; i < all.length; i += STAGE_INPUTS) all.set(third, i);
            return this.core.put(all);
        };
        return {
            logit: this.floats(channels, DEPTHS, BATCH_ROWS),
            part: this.floats(channels, DEPTHS, BATCH_ROWS),
            unsure: this.floats(channels, BATCH_ROWS),
            spread: this.floats(channels, BATCH_ROWS),
            cell: this.floats(channels, BATCH_ROWS, 2, MOST_HISTORIES),
            key: this.core.reserve(8 * MOST_HISTORIES),
            by_node: sets(256),
            by_spread: sets(PHASES, 8, 8),
            by_events: sets(256),
            stretch: this.core.put(unpackArray(tables.stretch)),
            squash: this.core.put(unpackArray(tables.squash)),
        };
    }

    /** Bytes read or written so far. */
    get position() {
        return Number(this.core.view(BigUint64Array, this.coder, 4)[3]);
    }

    /** The first bytes of the coded ones, at an address. */
    start(data, size) {
        this.core.functions.dz_range_start(this.coder, data, BigInt(size));
    }

    /** The rows from first to last, into symbols [H, W, C] of 16 bits, at an address. */
    decode(symbols, first, last, data, size) {
        this.core.functions.dz_photo_decode_1(this.engine, symbols, BigInt(first), BigInt(last), data, BigInt(size));
    }

    /** Codes rows again; writes the probability of each symbol to an address. */
    encode(symbols, first, last, data, capacity, probability) {
        const { dz_photo_encode_1: encode } = this.core.functions;
        const result = encode(this.engine, symbols, BigInt(first), BigInt(last), data, BigInt(capacity), probability);
        check(result === 0n, `the coder stopped with ${result}`);
    }
}

/** Weights as integers, two rows in one, and the biases of each layer behind them. */
function roundedWeights(parameters, places, size) {
    const found = new Int32Array(size);
    for (const [first, rows, columns, bias, pair] of places) {
        const weight = (row, column) => {
            const x = Math.fround(parameters[first + row * columns + column] * WEIGHT_SCALE);
            return rounded(clamp(x, LARGEST_WEIGHT));
        };
        for (let row = 0; row < rows; row += 2) {
            for (let column = 0; column < columns; column++) {
                const both = (weight(row, column) & 0xffff) | (weight(row + 1, column) << 16);
                found[pair + (row / 2) * columns + column] = both;
            }
        }
        for (let column = 0; column < columns; column++) {
            const x = Math.fround(parameters[bias + column] * SUM_SCALE);
            found[pair + (rows / 2) * columns + column] = Math.trunc(clamp(x, LARGEST_SUM));
        }
    }
    return found;
}
