/* BLAKE2b without a key (RFC 7693). A word of 64 bits is two of 32, the lower one first. */

const START = new Uint32Array([
    0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
    0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19,
]);

const ORDER = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

const ROUNDS = 12;
const BLOCK = 128;

/** v[a] += v[b] + (low, high) */
function add(v, a, b, low, high) {
    const sum = v[a] + v[b] + low;
    v[a + 1] += v[b + 1] + high + Math.floor(sum / 4294967296);
    v[a] = sum;
}

/** v[d] = (v[d] ^ v[a]) rotated to the right. */
function turn(v, d, a, places) {
    let low = v[d] ^ v[a];
    let high = v[d + 1] ^ v[a + 1];
    if (places >= 32) [low, high] = [high, low];
    const rest = places & 31;
    v[d] = rest ? (low >>> rest) | (high << (32 - rest)) : low;
    v[d + 1] = rest ? (high >>> rest) | (low << (32 - rest)) : high;
}

/** To the right by 63: to the left by one. */
function turnLeft(v, b, c) {
    const low = v[b] ^ v[c];
    const high = v[b + 1] ^ v[c + 1];
    v[b] = (low << 1) | (high >>> 31);
    v[b + 1] = (high << 1) | (low >>> 31);
}

function mix(v, m, a, b, c, d, x, y) {
    add(v, a, b, m[x], m[x + 1]);
    turn(v, d, a, 32);
    add(v, c, d, 0, 0);
    turn(v, b, c, 24);
    add(v, a, b, m[y], m[y + 1]);
    turn(v, d, a, 16);
    add(v, c, d, 0, 0);
    turnLeft(v, b, c);
}

/**
 * @param {Uint8Array} data
 * @param {number} size - bytes of the result
 * @returns {Uint8Array}
 */
export function blake2b(data, size) {
    const h = START.slice();
    h[0] ^= 0x01010000 ^ size;
    const v = new Uint32Array(32);
    const m = new Uint32Array(32);
    const bytes = new Uint8Array(m.buffer);
    let position = 0;
    do {
        const part = data.subarray(position, position + BLOCK);
        bytes.fill(0).set(part);
        position += part.length;
        v.set(h);
        v.set(START, 16);
        v[24] ^= position;
        v[25] ^= Math.floor(position / 4294967296);
        if (position === data.length) {
            v[28] = ~v[28];
            v[29] = ~v[29];
        }
        for (let round = 0; round < ROUNDS; round++) {
            const s = ORDER[round % ORDER.length];
            mix(v, m, 0, 8, 16, 24, 2 * s[0], 2 * s[1]);
            mix(v, m, 2, 10, 18, 26, 2 * s[2], 2 * s[3]);
            mix(v, m, 4, 12, 20, 28, 2 * s[4], 2 * s[5]);
            mix(v, m, 6, 14, 22, 30, 2 * s[6], 2 * s[7]);
            mix(v, m, 0, 10, 20, 30, 2 * s[8], 2 * s[9]);
            mix(v, m, 2, 12, 22, 24, 2 * s[10], 2 * s[11]);
            mix(v, m, 4, 14, 16, 26, 2 * s[12], 2 * s[13]);
            mix(v, m, 6, 8, 18, 28, 2 * s[14], 2 * s[15]);
        }
        for (let i = 0; i < 16; i++) h[i] ^= v[i] ^ v[i + 16];
    } while (position < data.length);
    return new Uint8Array(h.buffer).slice(0, size);
}
