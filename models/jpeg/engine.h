/* The model of JPEG coefficients: what its C files share.

   engine.py owns every buffer, has checked every size, and lays out this structure member for member. Sums of floats
   are taken in a fixed order and tables come from Python, so that the model says the same on every machine. */

#ifndef DZ_JPEG_ENGINE_H
#define DZ_JPEG_ENGINE_H

#include "../../codec/entropy/rangecoder.h"
#include "../../codec/native.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

enum {
    NODES = 16,        /* binary decisions that share a line of counters */
    GROUPS = 6,        /* kinds of decisions that share weights */
    MOST_INPUTS = 24,
    FAST = 4,          /* inputs of the fast model, which has few contexts and one set of weights */
    SETS = 3,          /* sets of weights, one of which each of three contexts selects */
    PRECISION = 28,    /* bits of a probability as it is coded */
    COUNT_BITS = 10,   /* of a counter; above them stands its probability of a 1, of 22 bits */
    SCALES = 48,       /* quarters of octaves of an expected magnitude */
    LARGEST = 2047,    /* magnitude of a coefficient */
    KNOTS = 25,        /* of a final correction, one logit apart */
    TAIL = 64,         /* counters for the low bits of a magnitude */
    REGRESSED = 8 * 5, /* inputs of the predictor of a coefficient */
    SCALED = 8 * 7     /* and of its magnitude */
};

typedef float Eight __attribute__((vector_size(32)));
typedef float EightAt __attribute__((vector_size(32), aligned(4), may_alias));

/* A block as its neighbours see it. */
typedef struct {
    float value[64];  /* coefficients times their steps, in rows, without DC */
    float turned[64]; /* the same in columns */
    float right[8];   /* what the pixels would be at its right edge, and at its lower one */
    float below[8];
    float dc;
    int32_t error;    /* DC less its prediction, in steps */
    int32_t count;    /* interior coefficients that are not zero */
    int32_t edges[2]; /* likewise in the first row and column */
    int32_t present;
    int16_t number[64]; /* the coefficients themselves, without DC */
} Seen;

typedef struct {
    /* the component at work */
    int16_t *plane;   /* [rows, columns, 64] */
    int64_t columns, first, last; /* block rows to code; the first one of a segment has nothing above it */
    int64_t next;     /* column to go on with */
    int64_t component;            /* 0: luma, 1: first chroma, 2: second, 3: a fourth */
    int16_t *luma;    /* the first component, or NULL: its blocks are at [y * luma_down / down, ..] */
    int64_t luma_columns, luma_rows, luma_across, luma_down, across, down;
    int16_t *chroma;  /* the second component where it has the same blocks as this one, else NULL */
    const float *step; /* [4, 64], in rows: of this component, luma and chroma; and 1 / those of this component */
    /* the model */
    int64_t inputs;   /* contexts and a bias: FAST, 16 or 24 */
    float pace, second_pace; /* of the weights' learning */
    int64_t lines;    /* of each context, a power of two */
    uint32_t *counter;   /* [inputs, lines, NODES] */
    float *weight[SETS]; /* [selections, GROUPS, inputs] */
    float *second;       /* [selections, SETS] */
    float *correction[2];/* [selections, KNOTS] */
    uint32_t *tail;      /* [4, 64, 16, TAIL] */
    const float *stretch, *squash, *trust;
    const float *basis;  /* [9, 8]: the inverse transform, pixel and frequency; then that of half a pixel outside */
    const int64_t *rate; /* of a counter, 16 bits behind the point */
    int64_t limit;       /* of the events that a counter remembers */
    const float *taps;   /* [3, 64, REGRESSED + SCALED] */
    Seen *seen;          /* [3, columns + 4] */
    /* the coder */
    RangeCoder *coder;
    uint8_t *out;        /* NULL for the decoder */
    uint64_t capacity;
    const uint8_t *data;
    uint64_t size;
} Engine;

#endif
