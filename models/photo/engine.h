/* The photo engine in C: what its files share. codec/FORMAT.md says what is computed; the order of every sum is part of
   the format. Python (engine.py) owns all memory and fills an Engine with sizes and addresses; nothing is allocated here.

   Vectors run across outputs, pixels or channels, never across a sum, so their width changes no bit of a result. */

#ifndef DZ_PHOTO_ENGINE_H
#define DZ_PHOTO_ENGINE_H

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../../codec/entropy/rangecoder.h"
#include "../../codec/native.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

/* Bytes of a vector register. */
#if DZ_LEVEL == 4
#define VECTOR 64
#elif DZ_LEVEL == 3
#define VECTOR 32
#else
#define VECTOR 16
#endif

#define FLOATS (VECTOR / 4)
#define DOUBLES (VECTOR / 8)

typedef float Floats __attribute__((vector_size(VECTOR)));
typedef int32_t Ints __attribute__((vector_size(VECTOR)));
typedef uint32_t Uints __attribute__((vector_size(VECTOR)));
typedef int16_t Shorts __attribute__((vector_size(VECTOR / 2))); /* as many as of floats */
typedef double Doubles __attribute__((vector_size(VECTOR)));
typedef int64_t Longs __attribute__((vector_size(VECTOR)));
typedef uint64_t Words __attribute__((vector_size(VECTOR)));
typedef double Four __attribute__((vector_size(32))); /* one pixel's channels; those that it does not have are idle */

typedef float FloatsAt __attribute__((vector_size(VECTOR), aligned(4), may_alias));
typedef int32_t IntsAt __attribute__((vector_size(VECTOR), aligned(4), may_alias));
typedef int16_t ShortsAt __attribute__((vector_size(VECTOR / 2), aligned(2), may_alias));
typedef int32_t PairAt __attribute__((aligned(2), may_alias));
typedef double DoublesAt __attribute__((vector_size(VECTOR), aligned(8), may_alias));
typedef double FourAt __attribute__((vector_size(32), aligned(8), may_alias));

typedef float HalfAt __attribute__((vector_size(VECTOR / 2), aligned(4), may_alias)); /* as many as of doubles */

INLINE Floats load_floats(const float *from) { return *(const FloatsAt *)from; }
INLINE void store_floats(float *to, Floats value) { *(FloatsAt *)to = value; }
INLINE Doubles load_doubles(const double *from) { return *(const DoublesAt *)from; }
INLINE void store_doubles(double *to, Doubles value) { *(DoublesAt *)to = value; }
INLINE Doubles widen(const float *from) {
    const HalfAt half = *(const HalfAt *)from;
    return __builtin_convertvector(half, Doubles);
}
INLINE Four load_four(const double *from) { return *(const FourAt *)from; }
INLINE void store_four(double *to, Four value) { *(FourAt *)to = value; }

/* a where the mask is set, else b. */
INLINE Doubles select_doubles(Longs mask, Doubles a, Doubles b) {
    return (Doubles)(((Longs)a & mask) | ((Longs)b & ~mask));
}

/* x where it is above (below) the bound, else the bound, which also takes the place of what is no number. */
#if defined(__x86_64__)
#if VECTOR == 64
#define MAX_DOUBLES _mm512_max_pd
#define MIN_DOUBLES _mm512_min_pd
#define MAX_FLOATS _mm512_max_ps
#define MIN_FLOATS _mm512_min_ps
#elif VECTOR == 32
#define MAX_DOUBLES _mm256_max_pd
#define MIN_DOUBLES _mm256_min_pd
#define MAX_FLOATS _mm256_max_ps
#define MIN_FLOATS _mm256_min_ps
#else
#define MAX_DOUBLES _mm_max_pd
#define MIN_DOUBLES _mm_min_pd
#define MAX_FLOATS _mm_max_ps
#define MIN_FLOATS _mm_min_ps
#endif
INLINE Doubles above(Doubles x, double bound) { return (Doubles)MAX_DOUBLES(x, (Doubles){} + bound); }
INLINE Doubles below(Doubles x, double bound) { return (Doubles)MIN_DOUBLES(x, (Doubles){} + bound); }
INLINE Floats above_floats(Floats x, float bound) { return (Floats)MAX_FLOATS(x, (Floats){} + bound); }
INLINE Floats below_floats(Floats x, float bound) { return (Floats)MIN_FLOATS(x, (Floats){} + bound); }
#elif defined(__wasm_simd128__)
INLINE Doubles above(Doubles x, double bound) { return (Doubles)__builtin_wasm_pmax_f64x2((Doubles){} + bound, x); }
INLINE Doubles below(Doubles x, double bound) { return (Doubles)__builtin_wasm_pmin_f64x2((Doubles){} + bound, x); }
INLINE Floats above_floats(Floats x, float bound) { return (Floats)__builtin_wasm_pmax_f32x4((Floats){} + bound, x); }
INLINE Floats below_floats(Floats x, float bound) { return (Floats)__builtin_wasm_pmin_f32x4((Floats){} + bound, x); }
#else
INLINE Doubles above(Doubles x, double bound) { return select_doubles(x > bound, x, (Doubles){} + bound); }
INLINE Doubles below(Doubles x, double bound) { return select_doubles(x < bound, x, (Doubles){} + bound); }
INLINE Floats select_floats(Ints mask, Floats a, Floats b) { return (Floats)(((Ints)a & mask) | ((Ints)b & ~mask)); }
INLINE Floats above_floats(Floats x, float bound) { return select_floats(x > bound, x, (Floats){} + bound); }
INLINE Floats below_floats(Floats x, float bound) { return select_floats(x < bound, x, (Floats){} + bound); }
#endif

/* x clamped to +-limit; what is no number, to -limit. */
INLINE float bounded(float x, float limit) {
#if defined(__x86_64__)
    return _mm_cvtss_f32(_mm_min_ss(_mm_max_ss(_mm_set_ss(x), _mm_set_ss(-limit)), _mm_set_ss(limit)));
#else
    x = x > -limit ? x : -limit;
    return x < limit ? x : limit;
#endif
}

/* Vectors of four floats, and the transposition of four of them. */
typedef float Quad __attribute__((vector_size(16)));
typedef float QuadAt __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t FourInts __attribute__((vector_size(16)));
typedef int16_t FourShorts __attribute__((vector_size(8)));
typedef int16_t FourShortsAt __attribute__((vector_size(8), aligned(2), may_alias));

INLINE void transpose_quads(const float *from, int64_t from_step, Quad *to) {
    const Quad a = *(const QuadAt *)from, b = *(const QuadAt *)(from + from_step);
    const Quad c = *(const QuadAt *)(from + 2 * from_step), d = *(const QuadAt *)(from + 3 * from_step);
    const Quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), ef = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Quad cd = __builtin_shufflevector(c, d, 0, 4, 1, 5), gh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    to[0] = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    to[1] = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    to[2] = __builtin_shufflevector(ef, gh, 0, 1, 4, 5);
    to[3] = __builtin_shufflevector(ef, gh, 2, 3, 6, 7);
}

/* Four numbers as floats, rounded to nearest, and floats as numbers. */
INLINE void put_four(float *to, Four value) { *(QuadAt *)to = __builtin_convertvector(value, Quad); }
INLINE Four widen_four(const float *from) { return __builtin_convertvector(*(const QuadAt *)from, Four); }

#define BATCH 128      /* pixels between two steps of learning */
#define BATCH_ROWS 144 /* rows of the batch's buffers: blocks of up to sixteen pixels may reach past the last one */
#define PAD 10         /* columns kept to the left and right of every row */
#define ROWS 8         /* rows kept in the ring buffers, a power of two */
#define MOST_EXPERTS 8
#define MOST_COMPONENTS 8
#define MOST_STATES 12
#define PHASES 4 /* of a place: (x mod 2) + 2 (y mod 2) */
#define MOST_FED 3
#define PRECISION 28
#define WHOLE ((int64_t)1 << PRECISION)
#define DEPTHS 8         /* bits of a sample that is coded bit by bit */
#define STAGE_INPUTS 8   /* of the last stage: the mixture, a bias and the contexts */
#define MOST_HISTORIES 4 /* contexts */
#define SURE 4.15f       /* the logit of a bit of which the mixture is sure */
#define NODES 272        /* of the tree of 8-bit samples: seventeen rows of sixteen */

INLINE int64_t phase_of(int64_t y, int64_t x) { return (y & 1) << 1 | (x & 1); }

/* C channels, K experts, J components, S = width + 2 PAD columns, H units, E extra inputs. */
typedef struct {
    int64_t width, span, channels, experts, reach, components;
    int64_t layers, units, hidden, inputs, input_rows, joined, outputs;
    int64_t places;      /* neighbours listed */
    int64_t seen;        /* of these, those that the largest expert or the network uses */
    int64_t fed_places;  /* those that the largest expert uses which is fed */
    int64_t largest;     /* floats of a vector of regressors */
    int64_t symbols;     /* stride of the alphabets' tables */
    int64_t histories;   /* contexts of the last stage; 0: samples are coded as the mixture says */
    int64_t lines;       /* of counters, for each context */
    int64_t pixels;      /* done */
    double middle;       /* of the sample range */
    double rate_start, rate_end, rate_half;

    const int64_t *neighbour; /* [places, 2] (dy, dx), nearest first */
    const int64_t *count;     /* [K] regressors, padded to sixteen */
    const int64_t *used;      /* [K] regressors */
    const int64_t *start;     /* [K] first element of the covariances */
    const int64_t *fed;       /* [K] */
    const int64_t *states;    /* [K] 1, 4 for each phase, or 12 for each phase and direction */
    const int64_t *parting;   /* [K] pixels after which there are so many */
    int64_t *parted;          /* [K] whether they have been learnt */
    const double *memory;     /* [K] */
    float *covariance;        /* for each state of each expert a matrix [N, N], without what is pending */
    float *scale;             /* [K, MOST_STATES] pending: a covariance is still to become (P - gain gainT) * scale */
    float *gain;              /* [K, MOST_STATES, largest] */
    float *diagonal;          /* [K, MOST_STATES, largest] of each covariance with what is pending, to the same bits */
    float *weight;            /* [K, MOST_STATES, C, largest] */
    double *coupling;         /* [1 + PHASES, C, C, MOST_EXPERTS] of all pixels, and of those of each phase */
    float *regressor;         /* [largest] of this pixel */
    float *fed_regressor;     /* [MOST_FED, largest] */

    double *values;           /* [ROWS, S, 4] samples */
    double *variance;         /* [ROWS, S] of the noise, for the experts */
    double *past;             /* [ROWS, S, 2 + K, 4] error of the blend, mean |error| / ratio, error of each expert */
    double *raw;              /* [4, MOST_EXPERTS] predictions relative to the west pixel */
    double *error;            /* [4, MOST_EXPERTS] errors of `raw` */
    double *level;            /* [PHASES, 4] mean |error| over what the errors near by let expect */
    double *ratio;            /* [4] of the level of this pixel's phase to that of all */
    double *trust;            /* [MOST_EXPERTS, 4] */
    double *centre;           /* [C, K + 1, BATCH_ROWS] predictions in sample values and their blend, of the batch */
    double *activity;         /* [C, BATCH_ROWS] */
    float *look;              /* scratch: four times the inputs, padded to vectors */

    const int64_t *place;     /* [M, 5] of each layer: first weight, rows, columns, first bias, first pair */
    float *parameters, *mean, *square; /* flat; the latter are Adam's moments */
    int32_t *rounded;         /* of each layer: its weights, two rows in one; its biases */
    int32_t *transposed;      /* scratch for one layer */
    int16_t *input;           /* [BATCH_ROWS, input_rows] */
    int16_t *branch;          /* [layers, BATCH_ROWS, H] what a layer adds */
    int16_t *stream;          /* [layers, BATCH_ROWS, H] the sum after it */
    int16_t *join;            /* [C, BATCH_ROWS, joined] inputs of the heads */
    int16_t *middle_units;    /* [C, BATCH_ROWS, hidden] */
    int32_t *partial;         /* [C, hidden] sums of the hidden layers over the trunk's output, for one pixel */
    float *out;               /* [C, BATCH_ROWS, outputs] */
    float *out_gradient;      /* [C, BATCH_ROWS, outputs] */
    int32_t *middle_gradient; /* [BATCH_ROWS, hidden] */
    int32_t *stream_gradient; /* [BATCH_ROWS, H] */
    int16_t *slope;           /* [BATCH_ROWS, columns] gradients of one layer's outputs */
    int32_t *paired_units;    /* [BATCH / 2, rows] inputs of one layer, two pixels in one */
    int32_t *paired_slopes;   /* [BATCH / 2, columns] */
    int32_t *zero;            /* zeros, a bias that is not there */

    const int64_t *size;      /* [C] of the alphabets */
    const int64_t *value;     /* [C, symbols] ascending */
    const double *edge;       /* [C, symbols + 1] where the bins of neighbours meet */
    int64_t *symbol;          /* [C, BATCH_ROWS] of the batch */
    int64_t *lower;           /* [C, BATCH_ROWS] where the symbols' intervals begin and end */
    int64_t *upper;
    double *probability;      /* [C, BATCH_ROWS] of the symbols, by the mixture, or as they were coded (encoder) */
    const int64_t *rank;      /* [C, 257] for samples of 8 bits: how many of the alphabet's values are below a value */
    const float *node_edge;   /* [C, NODES] where the ranges of the tree's nodes are halved, for samples of 8 bits */
    const float *node_floor;  /* [C, NODES] what the values below that have beside the mixture */
    float *logit;             /* [C, DEPTHS, BATCH_ROWS] of a 1 at the nodes on the symbols' ways (encoder) */
    int32_t *part;            /* the same as probabilities, in units of 2^-16 */
    int32_t *unsure;          /* [C, BATCH_ROWS] a bit for each depth at which the mixture is not sure */
    int32_t *spread;          /* [C, BATCH_ROWS] of the mixture, in eight steps */
    uint16_t *counter;        /* [histories, lines, 16] */
    uint32_t *cell;           /* [C, BATCH_ROWS, 2, MOST_HISTORIES] where counters of the batch stand */
    uint64_t *key;            /* [MOST_HISTORIES] contexts of the sample that is decoded next */
    float *by_node;           /* [C, 256, STAGE_INPUTS] weights of the last stage */
    float *by_spread;         /* [C, 4, 8, 8, STAGE_INPUTS] */
    float *by_events;         /* [C, 256, STAGE_INPUTS] */
    const float *stretch;     /* [256] logits of counters by their upper eight bits */
    const uint16_t *squash;   /* [768] probabilities of logits, in units of 2^-16 */
    RangeCoder *coder;
} Engine;

#define MIXTURE_LANES (FLOATS > MOST_COMPONENTS ? FLOATS : MOST_COMPONENTS)

/* One pixel's mixture in binary32: of its components, and the sum of the weights, where the last value ends, and how
   far it spreads. */
typedef struct {
    float weight[MIXTURE_LANES], mean[MIXTURE_LANES], sharpness[MIXTURE_LANES];
    float total, stop;
    int32_t spread;
} NodeMixture;

/* A row of the tree of nodes: the mixture's cumulative distribution, the logits and the probabilities of a 1. */
typedef struct {
    float at[16], logit[16];
    int32_t part[16];
} NodeRow;

/* experts.kernels.c */
void DZ_KERNEL(photo_regressors)(const Engine *e, int64_t y, int64_t x, int64_t places, float *z);
void DZ_KERNEL(photo_predict)(const Engine *e, int64_t y, int64_t x, const float *z);
void DZ_KERNEL(photo_update)(const Engine *e, int64_t k, int64_t state, const float *z, const double *error,
                             int64_t stride, double variance);
void DZ_KERNEL(photo_learn)(const Engine *e, int64_t y, int64_t x, const float *z);

/* context.kernels.c */
void DZ_KERNEL(photo_look)(Engine *e, int64_t y, int64_t x, int64_t b);
int64_t DZ_KERNEL(photo_condition)(const Engine *e, int64_t y, int64_t x, int64_t c, int64_t b, int16_t *extras);
void DZ_KERNEL(photo_reveal)(const Engine *e, int64_t y, int64_t x, int64_t c, int64_t b, double value);
void DZ_KERNEL(photo_end_row)(const Engine *e, int64_t y);

/* network.kernels.c */
void DZ_KERNEL(photo_forward)(const Engine *e, int64_t first, int64_t last);
void DZ_KERNEL(photo_trunk)(const Engine *e, int64_t b);
void DZ_KERNEL(photo_head)(const Engine *e, int64_t c, int64_t b);

/* learning.kernels.c */
void DZ_KERNEL(photo_train)(const Engine *e, float rate);

/* mixture.kernels.c */
void DZ_KERNEL(photo_intervals)(const Engine *e, int64_t c, int64_t first, int64_t last);
int64_t DZ_KERNEL(photo_find)(const Engine *e, int64_t c, int64_t b, int64_t target, int64_t *interval);

/* nodes.kernels.c */
void DZ_KERNEL(photo_slope)(const Engine *e, int64_t c, int64_t first, int64_t last, int ways);
void DZ_KERNEL(photo_nodes_begin)(const Engine *e, int64_t c, int64_t b, NodeMixture *m);
void DZ_KERNEL(photo_row)(const Engine *e, const NodeMixture *m, int64_t c, int64_t row, const NodeRow *root,
                          NodeRow *r);
void DZ_KERNEL(photo_rows)(const Engine *e, const NodeMixture *m, int64_t c, int64_t row, NodeRow *root, NodeRow *r);

/* adaptive.kernels.c */
void DZ_KERNEL(photo_encode_bits)(const Engine *e, const uint16_t *symbols, int64_t y, int64_t x, int64_t first,
                                  int64_t last, uint8_t *out, double *probability);
void DZ_KERNEL(photo_seek)(const Engine *e, const uint16_t *own, int64_t y, int64_t x, int64_t c, int64_t b);
void DZ_KERNEL(photo_foresee)(const Engine *e, int64_t c, int64_t b);
int64_t DZ_KERNEL(photo_decode_sample)(const Engine *e, RangeCoder *coder, int64_t y, int64_t x, int64_t c, int64_t b,
                                       const uint8_t *data, uint64_t size);

#endif
