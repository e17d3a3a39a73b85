/* What the blocks around one say about it. */

#ifndef DZ_JPEG_PREDICT_H
#define DZ_JPEG_PREDICT_H

#include "mixing.h"

/* Numbers of coefficients that are not zero: interior ones, and those of the first row and column. */
typedef struct {
    int inner, edges[2];
} Filled;

INLINE Filled count_filled(const int16_t *block) {
    int all = 0, across = 0, down = 0;
    for (int i = 0; i < 64; i++) all += block[i] != 0;
    for (int i = 1; i < 8; i++) across += block[i] != 0, down += block[i * 8] != 0;
    return (Filled){all - across - down - (block[0] != 0), {across, down}};
}

/* Blocks beside, above, above to the left and to the right, two to the left and two above; and this one. */
typedef struct {
    const Seen *left, *above, *corner, *ahead, *left2, *above2;
    Seen *own;
    const int16_t *luma, *chroma; /* blocks of earlier components at this place, or NULL */
    int fine_across, fine_down;   /* whether luma has twice as many blocks or more */
    Filled filled[2];             /* of luma and chroma; zeros where they are absent */
} Place;

INLINE Eight load8(const float *p) { return *(const EightAt *)p; }

INLINE Eight size8(Eight x) {
    return (Eight)((Unsigned)x & 0x7FFFFFFFu);
}

INLINE float size_of(float x) { return x < 0.0f ? -x : x; }

/* The magnitude of luma where a coefficient of chroma stands. */
INLINE float luma_size(const Engine *e, const Place *p, int row, int column) {
    if (!p->luma) return 0.0f;
    const int at = (row >> p->fine_down) * 8 + (column >> p->fine_across);
    const int value = p->luma[at];
    return (float)(value < 0 ? -value : value) * e->step[64 + at];
}

/* What the pixels at an edge of a block are, half a pixel outside: of its right or lower edge, or of those opposite.
   `turned` says along which frequencies to sum; `far` is 1 for the right and the lower edge. */
INLINE Eight edge_of(const Engine *e, const float *value, int far) {
    Eight along = {0}, pixels = {0};
    for (int u = 0; u < 8; u++) {
        const float weight = far && (u & 1) ? -e->basis[64 + u] : e->basis[64 + u];
        along += load8(value + u * 8) * weight;
    }
    for (int v = 0; v < 8; v++) pixels += load8(e->basis + v * 8) * along[v];
    return pixels;
}

typedef struct {
    float mean, from_left, from_above, scale;
} Forecast;

/* Forecast the coefficient at a row and column of frequency, times its step. */
INLINE Forecast forecast(const Engine *e, const Place *p, int row, int column) {
    const int at = row * 8 + column;
    const int64_t class = e->component < 2 ? e->component : 2;
    const float *t = e->taps + (class * 64 + at) * (REGRESSED + SCALED);
    const Seen *own = p->own;
    const Eight l = load8(p->left->value + row * 8), a = load8(p->above->turned + column * 8);
    const Eight r = load8(own->value + row * 8), c = load8(own->turned + column * 8);
    const float chroma = p->chroma ? (float)p->chroma[at] * e->step[128 + at] : 0.0f;
    const Eight around = {p->left->dc - p->corner->dc, p->above->dc - p->corner->dc, p->ahead->dc - p->above->dc,
                          p->corner->value[at], p->ahead->value[at], p->left2->value[at], p->above2->value[at], chroma};
    const Eight by_left = l * load8(t), by_above = a * load8(t + 8);
    const Eight rest = (r * load8(t + 16) + c * load8(t + 24)) + around * load8(t + 32);
    Forecast f;
    f.from_left = sum_of(by_left);
    f.from_above = sum_of(by_above);
    f.mean = (f.from_left + f.from_above) + sum_of(rest);
    const Eight sizes = {size_of(around[3]), size_of(around[4]), size_of(around[5]), size_of(around[6]),
                         luma_size(e, p, row, column), size_of(chroma), size_of(f.mean), e->step[at]};
    t += REGRESSED;
    Eight sum = size8(l) * load8(t) + size8(a) * load8(t + 8);
    sum += size8(r) * load8(t + 16) + size8(c) * load8(t + 24);
    sum += size8(load8(p->left->turned + column * 8)) * load8(t + 32);
    sum += size8(load8(p->above->value + row * 8)) * load8(t + 40);
    sum += sizes * load8(t + 48);
    f.scale = sum_of(sum);
    return f;
}

/* Quarters of octaves of a magnitude from 2^-6 on. */
INLINE int scale_level(float x) {
    union { float number; uint32_t bits; } u = {.number = x > 0.0f ? x : 0.0f};
    const int level = (int)(u.bits >> 21) - (127 - 6) * 4;
    return level < 0 ? 0 : level < SCALES ? level : SCALES - 1;
}

/* Halves of octaves of a number from 2^-3 on, with its sign: -15 to 15. */
INLINE int signed_level(float x) {
    union { float number; uint32_t bits; } u = {.number = x};
    int level = (int)((u.bits & 0x7FFFFFFF) >> 22) - (127 - 3) * 2 + 1;
    level = level < 0 ? 0 : level < 15 ? level : 15;
    return u.bits >> 31 ? -level : level;
}

#endif
