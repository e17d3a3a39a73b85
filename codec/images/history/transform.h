/* The cosine transform of blocks of 8x8 samples in real numbers, for searches of the encoder. */

#ifndef DZ_HISTORY_TRANSFORM_H
#define DZ_HISTORY_TRANSFORM_H

#include "../../native.h"

typedef float Eight __attribute__((vector_size(32)));
typedef int32_t Mask __attribute__((vector_size(32)));
typedef uint8_t EightBytes __attribute__((vector_size(8)));
typedef int16_t EightShorts __attribute__((vector_size(16)));

enum { SIDE = 8, AREA = 64 };

/* cos(k pi / 16) / 2 */
#define C1 0.49039264f
#define C2 0.46193977f
#define C3 0.41573481f
#define C4 0.35355339f
#define C5 0.27778512f
#define C6 0.19134172f
#define C7 0.09754516f

static inline Eight all(float x) { return (Eight){x, x, x, x, x, x, x, x}; }

static inline Eight least_of(Eight x, Eight y) {
    const Mask under = x < y;
    return (Eight)(((Mask)x & under) | ((Mask)y & ~under));
}

static inline Eight most_of(Eight x, Eight y) {
    const Mask over = x > y;
    return (Eight)(((Mask)x & over) | ((Mask)y & ~over));
}

static inline Eight magnitude(Eight x) { return (Eight)((Mask)x & 0x7FFFFFFF); }

/* To the nearest integer, of less than 2^22. */
static inline Eight nearest(Eight x) { return (x + 12582912.0f) - 12582912.0f; }

static inline float sum_of(Eight x) {
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

static inline Eight bytes_at(const uint8_t *p) {
    EightBytes x;
    __builtin_memcpy(&x, p, sizeof x);
    return __builtin_convertvector(x, Eight);
}

static inline Eight shorts_at(const int16_t *p) {
    EightShorts x;
    __builtin_memcpy(&x, p, sizeof x);
    return __builtin_convertvector(x, Eight);
}

static inline void put_shorts(int16_t *p, Eight x) {
    const EightShorts whole = __builtin_convertvector(__builtin_convertvector(x, Mask), EightShorts);
    __builtin_memcpy(p, &whole, sizeof whole);
}

static inline void transpose(Eight *r) {
    Eight a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        a[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4)
        for (int k = 0; k < 2; k++) {
            b[i + 2 * k] = __builtin_shufflevector(a[i + k], a[i + k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            b[i + 2 * k + 1] = __builtin_shufflevector(a[i + k], a[i + k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        r[i] = __builtin_shufflevector(b[i], b[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        r[i + 4] = __builtin_shufflevector(b[i], b[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* Of eight rows, each lane of which is a column. */
static inline void forward_pass(Eight *x) {
    const Eight a = x[0] + x[7], b = x[1] + x[6], c = x[2] + x[5], d = x[3] + x[4];
    const Eight p = x[0] - x[7], q = x[1] - x[6], r = x[2] - x[5], s = x[3] - x[4];
    const Eight outer = a + d, inner = b + c, left = a - d, right = b - c;
    x[0] = (outer + inner) * C4, x[4] = (outer - inner) * C4;
    x[2] = left * C2 + right * C6, x[6] = left * C6 - right * C2;
    x[1] = (p * C1 + q * C3) + (r * C5 + s * C7);
    x[3] = (p * C3 - q * C7) - (r * C1 + s * C5);
    x[5] = (p * C5 - q * C1) + (r * C7 + s * C3);
    x[7] = (p * C7 - q * C5) + (r * C3 - s * C1);
}

static inline void inverse_pass(Eight *x) {
    const Eight sum = (x[0] + x[4]) * C4, difference = (x[0] - x[4]) * C4;
    const Eight low = x[2] * C2 + x[6] * C6, high = x[2] * C6 - x[6] * C2;
    const Eight even[4] = {sum + low, difference + high, difference - high, sum - low};
    const Eight odd[4] = {
        (x[1] * C1 + x[3] * C3) + (x[5] * C5 + x[7] * C7),
        (x[1] * C3 - x[3] * C7) - (x[5] * C1 + x[7] * C5),
        (x[1] * C5 - x[3] * C1) + (x[5] * C7 + x[7] * C3),
        (x[1] * C7 - x[3] * C5) + (x[5] * C3 - x[7] * C1),
    };
    for (int i = 0; i < 4; i++) x[i] = even[i] + odd[i], x[7 - i] = even[i] - odd[i];
}

/* Samples, less 128, to coefficients, both in rows. */
static inline void to_frequencies(Eight *x) {
    forward_pass(x);
    transpose(x);
    forward_pass(x);
    transpose(x);
}

static inline void to_samples(Eight *x) {
    inverse_pass(x);
    transpose(x);
    inverse_pass(x);
    transpose(x);
}

#endif
