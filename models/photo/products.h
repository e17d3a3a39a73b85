/* Products of 16-bit integers, on which the photo network and its learning stand.

   Sums are modulo 2^32. They are exact, so they may run in any order, and a product may be cut into blocks of pixels and
   of outputs in any way; the blocks are as large as there are registers for their sums. Two neighbouring rows of a
   matrix share an element of 32 bits, the first one its lower half, since processors multiply and add pairs. */

#ifndef DZ_PHOTO_PRODUCTS_H
#define DZ_PHOTO_PRODUCTS_H

#include "engine.h"

/* Binary places of integers: of inputs and units, of weights, of their products and biases, and of gradients (with more
   of these, a batch whose pixels agree has gradients of weights beyond 2^31). */
#define UNIT_PLACES 10
#define WEIGHT_PLACES 12
#define SUM_PLACES (UNIT_PLACES + WEIGHT_PLACES)
#define GRADIENT_PLACES 11
#define LARGEST 32767

/* The sums over pairs: of the lower halves' product and of the upper halves'. */
INLINE Ints pair_products(Ints a, Ints b) {
#if defined(__wasm_simd128__)
    typedef int16_t Halves __attribute__((vector_size(16)));
    return (Ints)__builtin_wasm_dot_s_i32x4_i16x8((Halves)a, (Halves)b);
#elif !defined(__x86_64__)
    const Ints low = ((Ints)((Uints)a << 16) >> 16) * ((Ints)((Uints)b << 16) >> 16);
    return (Ints)((Uints)low + (Uints)((a >> 16) * (b >> 16)));
#elif VECTOR == 64
    return (Ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif VECTOR == 32
    return (Ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return (Ints)_mm_madd_epi16((__m128i)a, (__m128i)b);
#endif
}

INLINE Ints plus(Ints a, Ints b) { return (Ints)((Uints)a + (Uints)b); }

/* x with so many binary places less, rounded half up. */
INLINE Ints shortened(Ints x, int places) { return ((x >> (places - 1)) + 1) >> 1; }

/* x where it is at most `LARGEST`, else that; x where it is at least 0 (-LARGEST), else that. */
INLINE Ints at_most(Ints x) {
    const Ints mask = x < LARGEST;
    return (x & mask) | (LARGEST & ~mask);
}
INLINE Ints at_least(Ints x, int32_t bound) {
    const Ints mask = x > bound;
    return (x & mask) | (bound & ~mask);
}

/* What a product's sums become: sums; units, which are at least 0; or the outputs of the network. */
typedef enum { SUMS, UNITS, OUTPUTS } Form;

/* A product: for each pixel p, out[p] = bias[p] + x[p] w, over pairs of rows of w. */
typedef struct {
    const int32_t *w;
    const int16_t *x;
    const int32_t *bias;
    void *out;                         /* [pixels, out_step] of the form's type */
    int64_t pairs, columns;            /* of w */
    int64_t x_step, bias_step, out_step; /* from a pixel to the next */
    Form form;
} Product;

INLINE void put_sums(const Product *a, int64_t at, Ints sum) {
    if (a->form == SUMS)
        *(IntsAt *)((int32_t *)a->out + at) = sum;
    else if (a->form == UNITS)
        *(ShortsAt *)((int16_t *)a->out + at) =
            __builtin_convertvector(at_most(shortened(at_least(sum, 0), WEIGHT_PLACES)), Shorts);
    else
        store_floats((float *)a->out + at, __builtin_convertvector(sum, Floats) * (1.0f / (1 << SUM_PLACES)));
}

/* P pixels from p on, V vectors of outputs from `column` on. */
#define BLOCK(P, V)                                                                                        \
    static void block_##P##_##V(const Product *a, int64_t p, int64_t column) {                             \
        Ints sum[P][V];                                                                                    \
        const int32_t *w = a->w + column;                                                                  \
        const int16_t *x = a->x + p * a->x_step;                                                           \
        const int64_t columns = a->columns, step = a->x_step, pairs = a->pairs;                            \
        UNROLL for (int q = 0; q < P; q++)                                                                 \
            UNROLL for (int k = 0; k < V; k++)                                                             \
                sum[q][k] = *(const IntsAt *)(a->bias + (p + q) * a->bias_step + column + k * FLOATS);     \
        _Pragma("GCC unroll 4") for (int64_t i = 0; i < pairs; i++, w += columns, x += 2) {                \
            Ints own[V];                                                                                   \
            UNROLL for (int k = 0; k < V; k++) own[k] = *(const IntsAt *)(w + k * FLOATS);                 \
            UNROLL for (int q = 0; q < P; q++) {                                                           \
                const Ints xi = (Ints){} + *(const PairAt *)(x + q * step);                                \
                UNROLL for (int k = 0; k < V; k++) sum[q][k] = plus(sum[q][k], pair_products(xi, own[k])); \
            }                                                                                              \
        }                                                                                                  \
        UNROLL for (int q = 0; q < P; q++)                                                                 \
            UNROLL for (int k = 0; k < V; k++)                                                             \
                put_sums(a, (p + q) * a->out_step + column + k * FLOATS, sum[q][k]);                       \
    }

#if VECTOR == 64
BLOCK(4, 6) BLOCK(4, 5) BLOCK(4, 4) BLOCK(8, 3) BLOCK(8, 2) BLOCK(8, 1)
#else
BLOCK(4, 2) BLOCK(4, 1)
#endif

#define BLOCKS(P, V)                                                               \
    {                                                                              \
        for (int64_t p = first; p < last; p += P) block_##P##_##V(a, p, column);   \
        column += V * FLOATS;                                                      \
        break;                                                                     \
    }

/* The product of the pixels [first, last); up to seven more are computed, for which there is room. */
static void multiply(const Product *a, int64_t first, int64_t last) {
    int64_t column = 0;
    while (column < a->columns) {
        const int64_t left = (a->columns - column) / FLOATS;
#if VECTOR == 64
        switch (left == 10 ? 5 : left == 8 ? 4 : left > 6 ? 6 : left) {
        case 6: BLOCKS(4, 6)
        case 5: BLOCKS(4, 5)
        case 4: BLOCKS(4, 4)
        case 3: BLOCKS(8, 3)
        case 2: BLOCKS(8, 2)
        default: BLOCKS(8, 1)
        }
#else
        switch (left > 1 ? 2 : 1) {
        case 2: BLOCKS(4, 2)
        default: BLOCKS(4, 1)
        }
#endif
    }
}

typedef struct {
    int64_t first, rows, columns, bias, pair; /* the first weight, bias, and pair of rounded weights */
} Layer;

INLINE Layer layer_at(const Engine *e, int64_t number) {
    const int64_t *place = e->place + 5 * number;
    return (Layer){place[0], place[1], place[2], place[3], place[4]};
}

/* A layer's rounded biases, which stand behind its rounded weights. */
INLINE int32_t *offsets(const Engine *e, Layer layer) { return e->rounded + layer.pair + layer.rows / 2 * layer.columns; }

#endif
