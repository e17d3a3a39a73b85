/* The coder of rendered pictures: what its files share. Python (engine.py) owns all memory and fills a State with sizes
   and addresses; nothing is allocated here. codec/FORMAT.md says what is computed.

   Floats are used by the predictors only, in operations that IEEE 754 fixes and in the order that is written, so that
   vectors of any width give the same numbers. */

#ifndef DZ_RENDERED_H
#define DZ_RENDERED_H

#include "../../codec/native.h"
#include "../logistic.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    MARGIN = 4,         /* columns on both sides of the tile, and rows above it, that are looked at */
    MOST_CHANNELS = 4,
    REGRESSORS = 24,    /* of the largest least-squares predictor; the others take the first ones */
    MIDDLE = 12,
    SMALL = 6,
    PREDICTORS = 16,
    RIVALS = 3,         /* predictions among which the latest errors choose */
    CONTEXTS = 24,
    LANES = 26,         /* the contexts, the match and the bias */
    INPUTS = 52,        /* logits, then how sure each context is */
    LINE = 16,          /* counters of a context that lie together: 64 bytes, a line of the processor's cache */
    NODES = 64,         /* kinds of decisions */
    ENERGIES = 80,
    KNOTS = 33,
    PLAIN_BITS = 17 * 16,
    LONGEST_MATCH = 31,
    TRUSTED_MATCH = 24, /* from this length on a match is the prediction */
    LONGEST_RUN = 40
};

/* One least-squares predictor: what it has seen, and its weights. */
typedef struct {
    double products[REGRESSORS * REGRESSORS]; /* upper triangle; row by row, as many as it has regressors */
    double targets[REGRESSORS];
    double weights[REGRESSORS];
} Squares;

typedef struct {
    int64_t height, width, channels, maximum, decoding, lines, size, seen;
    uint16_t *canvas;         /* [MARGIN + height, width + 2 MARGIN, channels] samples */
    int32_t *residuals;       /* the same, of samples less their predictions */
    float *errors;            /* [2, width + 2 MARGIN, channels, PREDICTORS], of even and of odd rows */
    int32_t *changes;         /* [2, width, channels]: in the finished row, columns to the next change; and above it */
    const int32_t *offsets;   /* [channels, REGRESSORS, 2]: places in the canvas, the minuend and the subtrahend */
    Squares *squares;         /* [channels, 3] */
    double *rivals;           /* [channels, RIVALS], decayed errors */
    uint32_t *counters;       /* [CONTEXTS, lines, LINE] */
    uint32_t *match_counters; /* [2 * LONGEST_MATCH + 2] */
    uint32_t *plain;          /* [PLAIN_BITS], of bits that are not mixed */
    int32_t *places;          /* [lines], where each hash of surroundings was seen last */
    int32_t *node_weights;    /* [NODES * MOST_CHANNELS, INPUTS] */
    int32_t *energy_weights;  /* [NODES * ENERGIES, INPUTS] */
    int32_t *pattern_weights; /* [NODES * 128, INPUTS] */
    int32_t *final_weights;   /* [NODES, 4] */
    uint16_t *corrections;    /* [2, 1 << 16, KNOTS] */
    const int32_t *squash;    /* [4096] */
    const int32_t *stretch;   /* [4096] */
    const int32_t *rate;      /* [COUNT_LIMIT + 1] */
    uint8_t *data;
    int64_t *registers;       /* the arithmetic coder, then the match's place and length */
} State;

/* What is known of a sample before it is coded. */
typedef struct {
    int32_t prediction, fraction, energy, match, length;
    uint32_t pattern, hashes[CONTEXTS];
    float guesses[PREDICTORS];
    double regressors[REGRESSORS], rivals[RIVALS], base;
} Outlook;

INLINE int32_t clamp(int32_t x, int32_t low, int32_t high) { return larger(low, smaller(x, high)); }

#endif
