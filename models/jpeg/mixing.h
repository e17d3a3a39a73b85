/* Binary decisions: counters under several contexts, mixed in the logistic domain by weights that learn. */

#ifndef DZ_JPEG_MIXING_H
#define DZ_JPEG_MIXING_H

#include "engine.h"

#define FRESH ((uint32_t)1 << 31) /* counters stand in memory xor this, so that zeros are even chances */
#define LOGIT_LIMIT 11.99f
#define CORRECTING 0.02f /* how fast final corrections learn */

#define ONES (float)((1 << 22) - 1) /* the chance of a counter that is sure of a 1 */

typedef int32_t Whole __attribute__((vector_size(32)));
typedef uint32_t Unsigned __attribute__((vector_size(32)));

/* Where the decisions of one symbol find their counters and weights. */
typedef struct {
    uint32_t *line[MOST_INPUTS];
    uint32_t *lengths;     /* [16, TAIL]: of lengths in the fast model */
    float *set[SETS];      /* [GROUPS, inputs] */
    float *second;         /* [NODES, SETS] */
    float *correction[2];  /* [NODES, KNOTS] */
} Symbol;

INLINE float sum_of(Eight x) {
    typedef float Four __attribute__((vector_size(16)));
    const Four half = __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
    return (half[0] + half[2]) + (half[1] + half[3]);
}

INLINE float limited(float x) {
    x = x > -LOGIT_LIMIT ? x : -LOGIT_LIMIT;
    return x < LOGIT_LIMIT ? x : LOGIT_LIMIT;
}

/* 1 / (1 + e^-x) from the table. */
INLINE float squash(const Engine *e, float x) { return e->squash[(int)((limited(x) + 12.0f) * 64.0f)]; }

/* Find the lines of keys of at most 32 bits, one for each context. */
INLINE void find_lines(const Engine *e, int lines, const uint32_t *key, uint32_t kind, Symbol *s) {
    UNROLL for (int i = 0; i < lines; i++) {
        uint32_t hash = (key[i] ^ kind * 0x85EBCA6Bu) * 0x9E3779B1u;
        hash = (hash ^ hash >> 15) * 0x2C1B3C6Du;
        hash ^= hash >> 14;
        s->line[i] = e->counter + ((int64_t)i * e->lines + (int64_t)(hash & (uint32_t)(e->lines - 1))) * NODES;
        __builtin_prefetch(s->line[i], 1);
    }
}

INLINE int code_chance(Engine *e, int decoding, int bit, float chance) {
    int64_t part = (int64_t)(chance * (float)(1 << PRECISION));
    part = part < 64 ? 64 : part > (1 << PRECISION) - 64 ? (1 << PRECISION) - 64 : part;
    RangeCoder *coder = e->coder;
    if (decoding) bit = coder->code < (coder->range >> PRECISION) * (uint64_t)part;
    const uint64_t start = bit ? 0 : (uint64_t)part, length = (uint64_t)(bit ? part : (1 << PRECISION) - part);
    if (!decoding)
        range_encode(coder, e->out, start, length, PRECISION);
    else
        range_consume(coder, e->data, e->size, start, length, PRECISION);
    return bit;
}

/* The same by a chance in 2^16, in the coarser steps of the fast model. */
INLINE int code_part(Engine *e, int decoding, int bit, uint64_t part) {
    part = part < 1 ? 1 : part < (1 << BIT_PRECISION) - 1 ? part : (1 << BIT_PRECISION) - 1;
    if (decoding) return (int)range_decode_bit(e->coder, e->data, e->size, part);
    range_encode_bit(e->coder, e->out, bit, part);
    return bit;
}

INLINE void count_bit(const Engine *e, uint32_t *counter, int bit) {
    const uint32_t old = *counter ^ FRESH, events = old & ((1u << COUNT_BITS) - 1);
    int64_t chance = old >> COUNT_BITS;
    chance += ((bit * ((1 << 22) - 1) - chance) * e->rate[events]) >> 16;
    *counter = ((uint32_t)chance << COUNT_BITS | (events + ((int64_t)events < e->limit))) ^ FRESH;
}

/* Code one decision with a counter of its own. */
INLINE int code_directly(Engine *e, int decoding, int inputs, uint32_t *counter, int bit) {
    const uint32_t old = *counter ^ FRESH;
    bit = inputs == FAST ? code_part(e, decoding, bit, old >> (32 - BIT_PRECISION))
                         : code_chance(e, decoding, bit, (float)(old >> COUNT_BITS) * (1.0f / (1 << 22)));
    count_bit(e, counter, bit);
    return bit;
}

/* Code the decision `node` of a symbol, of the kind `group`. */
INLINE int mix_bit(Engine *e, int decoding, int inputs, const Symbol *s, int node, int group, int bit) {
    Eight input[MOST_INPUTS / 8];
    for (int j = 0; j < inputs / 8; j++) input[j] = (Eight){0};
    UNROLL for (int i = 0; i < inputs - 1; i++) {
        const uint32_t counter = s->line[i][node] ^ FRESH;
        input[i / 8][i % 8] = e->stretch[counter >> 20] * e->trust[counter & ((1u << COUNT_BITS) - 1)];
    }
    input[(inputs - 1) / 8][7] = 0.3f;
    const float truth_of[2] = {0.0f, 1.0f};
    float logit[SETS], chance[SETS], total = 0.0f;
    float *second = s->second + node * SETS;
    UNROLL for (int i = 0; i < SETS; i++) {
        const float *weight = s->set[i] + group * inputs;
        Eight sum = input[0] * *(const EightAt *)weight;
        for (int j = 1; j < inputs / 8; j++) sum += input[j] * *(const EightAt *)(weight + 8 * j);
        logit[i] = limited(sum_of(sum));
        chance[i] = squash(e, logit[i]);
        total += logit[i] * second[i];
    }
    total = limited(total);
    const float mixed = squash(e, total), place = total + 12.0f;
    const int knot = (int)place;
    const float part = place - (float)knot;
    float *corrected[2], final = 0.5f * mixed;
    UNROLL for (int i = 0; i < 2; i++) {
        corrected[i] = s->correction[i] + node * KNOTS + knot;
        final += 0.25f * (corrected[i][0] * (1.0f - part) + corrected[i][1] * part);
    }
    bit = code_chance(e, decoding, bit, final);
    const float truth = truth_of[bit], step2 = (truth - mixed) * e->second_pace;
    UNROLL for (int i = 0; i < SETS; i++) {
        float *weight = s->set[i] + group * inputs;
        const float step = (truth - chance[i]) * e->pace;
        for (int j = 0; j < inputs / 8; j++) *(EightAt *)(weight + 8 * j) += step * input[j];
        second[i] += step2 * logit[i];
    }
    UNROLL for (int i = 0; i < 2; i++) {
        corrected[i][0] += (truth - corrected[i][0]) * (CORRECTING * (1.0f - part));
        corrected[i][1] += (truth - corrected[i][1]) * (CORRECTING * part);
    }
    UNROLL for (int i = 0; i < inputs - 1; i++) count_bit(e, s->line[i] + node, bit);
    return bit;
}

typedef float Few __attribute__((vector_size(4 * FAST)));
typedef float FewAt __attribute__((vector_size(4 * FAST), aligned(4), may_alias));
typedef int32_t FewWhole __attribute__((vector_size(4 * FAST)));
typedef uint32_t FewUnsigned __attribute__((vector_size(4 * FAST)));

/* The exponent of floats of 0.5 and more, with a parabola between powers of two: near the logarithm to the base 2. */
INLINE Few rough_log2(Few x) {
    const FewWhole bits = (FewWhole)x, exponent = (bits >> 23) - 127;
    const Few part = (Few)((bits & 0x7FFFFF) | 0x3F800000);
    return __builtin_convertvector(exponent, Few) + part * (2.0f - part * (1.0f / 3.0f));
}

/* The same for the fast model: all contexts at once, one set of weights, and no more. */
INLINE int mix_fast(Engine *e, int decoding, const Symbol *s, int node, int group, int bit) {
    FewWhole counter = {0};
    UNROLL for (int i = 0; i < FAST - 1; i++) counter[i] = (int32_t)s->line[i][node];
    counter ^= (int32_t)FRESH;
    const FewWhole events = counter & ((1 << COUNT_BITS) - 1);
    const FewWhole chances = (FewWhole)((FewUnsigned)counter >> COUNT_BITS);
    const Few number = __builtin_convertvector(events, Few), rate = 1.0f / (number + 1.6f);
    const Few ones = __builtin_convertvector(chances, Few);
    Few input = (rough_log2(ones + 0.5f) - rough_log2(ONES + 0.5f - ones)) * (number * rate * 0.6931472f);
    input[FAST - 1] = 0.3f;
    float *weight = s->set[1] + group * FAST;
    const Few product = input * *(const FewAt *)weight;
    const float chance = squash(e, (product[0] + product[2]) + (product[1] + product[3]));
    const uint64_t part = (uint64_t)(int64_t)(chance * (float)(1 << BIT_PRECISION));
    bit = code_part(e, decoding, bit, part);
    const float truth = (float)bit;
    *(FewAt *)weight += (truth - chance) * e->pace * input;
    const Few moved = ones + (truth * ONES - ones) * rate;
    const FewWhole after = events - (events < (int32_t)e->limit);
    counter = (FewWhole)((FewUnsigned)__builtin_convertvector(moved, FewWhole) << COUNT_BITS | (FewUnsigned)after);
    counter ^= (int32_t)FRESH;
    UNROLL for (int i = 0; i < FAST - 1; i++) s->line[i][node] = (uint32_t)counter[i];
    return bit;
}

/* Code a decision with two counters, by the mean of their chances, which come from two contexts. */
INLINE int code_by_two(Engine *e, int decoding, uint32_t *a, uint32_t *b, int bit) {
    const uint64_t sum = (uint64_t)(*a ^ FRESH) + (*b ^ FRESH);
    bit = code_part(e, decoding, bit, sum >> (33 - BIT_PRECISION));
    count_bit(e, a, bit);
    count_bit(e, b, bit);
    return bit;
}

/* One copy for each larger number of inputs and direction: they are called from many places. */
#define VARIANT(inputs, decoding)                                                                                    \
    static __attribute__((noinline)) int code_bit_##inputs##_##decoding(Engine *e, const Symbol *s, int node,         \
                                                                        int group, int bit) {                         \
        return mix_bit(e, decoding, inputs, s, node, group, bit);                                                     \
    }
VARIANT(16, 0)
VARIANT(16, 1)
VARIANT(24, 0)
VARIANT(24, 1)
#undef VARIANT

INLINE int code_bit(Engine *e, int decoding, int inputs, const Symbol *s, int node, int group, int bit) {
    if (inputs == FAST) return mix_fast(e, decoding, s, node, group, bit);
    if (inputs == 16) return decoding ? code_bit_16_1(e, s, node, group, bit) : code_bit_16_0(e, s, node, group, bit);
    return decoding ? code_bit_24_1(e, s, node, group, bit) : code_bit_24_0(e, s, node, group, bit);
}

#endif
