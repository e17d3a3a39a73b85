/* What the probabilities of a sample depend on: hashes of its surroundings, taken relative to its prediction where the
   same shape means the same at any level. */

#ifndef DZ_RENDERED_CONTEXTS_H
#define DZ_RENDERED_CONTEXTS_H

#include "rendered.h"

/* A difference: exact where it is small, else by its size in steps of half an octave. */
INLINE uint32_t coarse(int32_t difference) {
    const uint32_t size = (uint32_t)(difference < 0 ? -difference : difference);
    if (size < 12)
        return 128u + (uint32_t)difference;
    const uint32_t octave = 31u - (uint32_t)__builtin_clz(size);
    const uint32_t level = 2 * octave + (size >> (octave - 1) & 1) + 6;
    return difference < 0 ? 128u - level : 128u + level;
}

/* Sign and size of a difference in a few steps. */
INLINE uint32_t rough(int32_t difference) {
    const uint32_t size = (uint32_t)(difference < 0 ? -difference : difference);
    const uint32_t level = size < 3 ? size : 34u - (uint32_t)__builtin_clz(size); /* 3: 4, 4 to 7: 5, ... */
    return difference < 0 ? 32u - level : 32u + level;
}

/* A sum of absolute differences in steps of a quarter of an octave, below ENERGIES. */
INLINE int32_t level_of(uint32_t energy) {
    if (energy < 8)
        return (int32_t)energy;
    const int32_t octave = 31 - __builtin_clz(energy);
    return smaller(ENERGIES - 1, 4 * octave - 4 + (int32_t)(energy >> (octave - 2) & 3));
}

INLINE int32_t amount(int32_t x) { return x < 0 ? -x : x; }

/* Hash of the pixel whose first channel is at p. */
INLINE uint32_t whole(uint32_t hash, const uint16_t *p, int64_t channels) {
    for (int64_t c = 0; c < channels; c++)
        hash = mix(hash, p[c]);
    return hash;
}

/* Fill in what surrounds channel c of the pixel at `p`; `expected` is the match's sample or -1. */
INLINE void look_around(const State *state, const uint16_t *p, const int32_t *residual, int64_t stride, int64_t c,
                        int64_t x, int64_t y, int32_t run, Outlook *out) {
    const int64_t channels = state->channels;
    const uint16_t *above = p - stride, *second = above - stride, *first = p - c;
    const int32_t middle = out->prediction;
    const int32_t w = p[-channels] - middle, ww = p[-2 * channels] - middle, n = above[0] - middle;
    const int32_t nw = above[-channels] - middle, ne = above[channels] - middle, nn = second[0] - middle;
    const int32_t nne = second[channels] - middle, nww = above[-2 * channels] - middle;
    const int32_t nee = above[2 * channels] - middle;
    const int32_t rw = residual[-channels], rn = residual[-stride], rnw = residual[-stride - channels];
    const int32_t rne = residual[-stride + channels], rww = residual[-2 * channels], rnn = residual[-2 * stride];
    const int32_t before = c ? residual[-1] : 0, older = c > 1 ? residual[-2] : 0;
    const uint32_t energy = (uint32_t)(2 * (amount(rw) + amount(rn)) + amount(rnw) + amount(rne) + amount(rww)
                                       + amount(rnn) + 2 * amount(before));
    const int32_t level = level_of(energy);
    const uint32_t fraction = (uint32_t)out->fraction, octave = (uint32_t)level >> 1;
    out->energy = level;
    out->pattern = (uint32_t)((w == n) | (n == nw) << 1 | (w == nw) << 2 | (n == ne) << 3 | (w == ww) << 4
                              | (n == nn) << 5 | (ne == nee) << 6);
    int32_t d[PREDICTORS]; /* what the others say, in halves */
    for (int k = 0; k < PREDICTORS; k++)
        d[k] = (int32_t)(out->guesses[k] * 2.0f + 0.5f) - 2 * middle;
    const int32_t next = state->changes[x * channels + c];
    const int32_t drift = next - state->changes[(state->width + x) * channels + c];
    uint32_t values = 0; /* of the channels before in this pixel */
    for (int64_t k = 0; k < c; k++)
        values = mix(values, first[k]);
    const uint32_t west = whole(1, first - channels, channels), north = whole(2, first - stride, channels);
    const uint32_t cross = mix(mix((uint32_t)w, (uint32_t)n), (uint32_t)c), level_at = (uint32_t)middle;
    const uint32_t four = mix(mix(cross, (uint32_t)nw), (uint32_t)ne);
    const uint32_t six = mix(mix(four, (uint32_t)ww), (uint32_t)nn);
    uint32_t *h = out->hashes;
    h[0] = mix((uint32_t)level, fraction);
    h[1] = mix(mix(mix(octave, rough(rw)), rough(rn)), rough(before));
    h[2] = mix(mix(fraction, coarse(d[8])), octave);
    h[3] = mix(mix(mix(octave, coarse(d[10])), coarse(d[9])), coarse(d[2]));
    h[4] = cross;
    h[5] = four;
    h[6] = six;
    h[7] = mix(mix(mix(six, (uint32_t)nne), (uint32_t)nww), (uint32_t)nee);
    h[8] = mix(cross, level_at);
    h[9] = mix(mix(mix(west, north), values), level_at);
    h[10] = mix(mix(mix(mix(h[9], whole(3, first - stride - channels, channels)),
                        whole(4, first - stride + channels, channels)), 0), 0);
    h[11] = mix(mix(cross, (uint32_t)run), (uint32_t)next);
    h[12] = mix(mix(cross, (uint32_t)next), (uint32_t)drift);
    h[13] = mix(mix(mix((uint32_t)before, (uint32_t)older), coarse(d[13])), fraction);
    h[14] = mix(mix(values, level_at), 0);
    h[15] = mix(mix(values, west), level_at);
    h[16] = mix(mix(mix(coarse(d[13]), coarse(d[14])), coarse(d[15])), fraction >> 2);
    h[17] = mix(mix(cross, (uint32_t)(x & 7)), (uint32_t)(y & 7));
    h[18] = mix(mix(mix(mix(coarse(d[8]), fraction), (uint32_t)(x & 3)), (uint32_t)(y & 3)), 0);
    h[19] = out->match < 0 ? 0 : mix(mix((uint32_t)(out->match - middle), (uint32_t)smaller(out->length, 15)), 0);
    h[20] = mix(mix(mix(coarse(d[2]), coarse(d[3])), rough(d[4])), rough(d[5]));
    h[21] = mix(mix(mix(coarse(d[6]), coarse(d[7])), rough(before)), fraction >> 2);
    h[22] = mix(mix(octave, coarse(before)), mix(coarse(older), fraction >> 1));
    h[23] = mix(mix(mix((uint32_t)rw, (uint32_t)rn), (uint32_t)rww), (uint32_t)rnw);
    for (uint32_t i = 0; i < CONTEXTS; i++)
        h[i] = mix(mix(h[i], i), (uint32_t)c);
}

#endif
