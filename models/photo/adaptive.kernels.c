/* The last stage: what an image's history left in its samples, learnt while coding.

   Conversions of colour, tone curves and resampling leave values that hardly occur: on their own, given the channels
   before, or given the pixel beside. So a sample of 8 bits is coded bit by bit from the top, a walk down a binary tree.
   At each node the mixture's logit of a 1 and those of adaptive counters, one for each context and node, are mixed by
   weights that learn as well: the sum of three sets. Nodes of which the mixture is sure are coded as it says.

   All nodes of a sample are mixed by what was learnt before the sample; the processor need not wait for one to go on
   with the next. Counters are integers, the rest is in floats, whose sums are taken in a fixed order. */

#include "engine.h"

#define SURE 4.15f        /* of a bit that the mixture gives a logit so far from 0, or farther */
#define MOST_EVENTS 15    /* that a counter remembers */
#define COUNT_BITS 4      /* of a counter; above them stands its probability of a 1, of 12 bits, xor 2^11 */
#define FRESH 0x8000
#define LINE 16           /* counters that stand together, for the nodes of half a sample */
#define RATE 0.0015f
#define MIXED_LIMIT 11.99f
#define PHASES 4
#define SPREADS 8
#define AMBIGUITIES 8
#define KNOWN 256

typedef float Inputs __attribute__((vector_size(4 * STAGE_INPUTS)));
typedef float InputsAt __attribute__((vector_size(4 * STAGE_INPUTS), aligned(4), may_alias));

/* The contexts of channel c of the pixel whose symbols are at `own`, each as one number. */
INLINE void contexts(const Engine *e, const uint16_t *own, int64_t y, int64_t x, int64_t c, uint64_t *key) {
    const uint16_t *above = y > 0 ? own - e->width * e->channels : 0;
    const uint16_t *beside = x > 0 ? own - e->channels : above;
    /* Sample values of the pixels to the west and north, and those known of this one. */
    uint64_t west[4] = {0}, north[4] = {0}, here[4] = {0};
    UNROLL for (int64_t i = 0; i < 3; i++) {
        if (i >= e->channels) break;
        const int64_t *values = e->value + i * e->symbols;
        if (beside) west[i] = (uint64_t)values[beside[i]];
        north[i] = above ? (uint64_t)values[above[i]] : west[i];
        if (i < c) here[i] = (uint64_t)values[own[i]];
    }
    const uint64_t phase = (uint64_t)((x & 1) | (y & 1) << 1);
    /* What is expected if this channel changes as the first one did; 512 keeps it positive. */
    const uint64_t from_west = 512 + west[c] + (c ? here[0] - west[0] : 0);
    const uint64_t from_north = 512 + north[c] + (c ? here[0] - north[0] : 0);
    const uint64_t known = here[0] | here[1] << 8;
    key[0] = known;
    key[1] = from_west | phase << 10;
    key[2] = from_west | from_north << 10;
    key[3] = west[0] | west[1] << 8 | west[2] << 16 | known << 24;
    UNROLL for (int k = 0; k < MOST_HISTORIES; k++) key[k] = key[k] << 7 | (uint64_t)c;
}

/* Find the counters of one half of the bits of a sample: the high ones (`half` is 0), or the low ones of a value whose
   high bits are `half` - 16. Of each context `cell` gets the place of a line, in whose lowest bits stands how its
   counters are shuffled, for lines that share a place do not use all of theirs. */
INLINE void find_cells(const Engine *e, const uint64_t *key, uint64_t half, uint32_t *cell) {
    const uint64_t last = (uint64_t)e->lines - 1;
    UNROLL for (uint32_t k = 0; k < MOST_HISTORIES; k++) {
        if (k >= e->histories) break;
        const uint64_t hash = (key[k] | half << 2) * 0x9E3779B97F4A7C15u;
        cell[k] = (k * (uint32_t)e->lines + (uint32_t)((hash >> 42) & last)) * LINE + (uint32_t)(hash >> 60);
        __builtin_prefetch(e->counter + cell[k], 1);
    }
}

/* The cells of both halves of channel c of pixel b of the batch. */
INLINE uint32_t *cells_of(const Engine *e, int64_t c, int64_t b) {
    return e->cell + (c * BATCH_ROWS + b) * 2 * MOST_HISTORIES;
}

/* Find the counters of channel c of pixel b, whose symbols are at `own`: all of them, or those of the high bits. */
void DZ_KERNEL(photo_seek)(const Engine *e, const uint16_t *own, int64_t y, int64_t x, int64_t c, int64_t b, int all) {
    uint32_t *cell = cells_of(e, c, b);
    uint64_t key[MOST_HISTORIES];
    contexts(e, own, y, x, c, key);
    find_cells(e, key, 0, cell);
    if (all) find_cells(e, key, 16 | (uint64_t)e->value[c * e->symbols + own[c]] >> 4, cell + MOST_HISTORIES);
}

/* A sum of eight in halves. */
INLINE float sum_inputs(Inputs x) {
    const Quad half = __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
    return (half[0] + half[2]) + (half[1] + half[3]);
}

/* The tables that a sample needs, out of reach of what is written meanwhile. */
typedef struct {
    uint16_t *counter;
    float *by_node, *by_spread, *by_events; /* of the sample's channel; and of its phase and spread */
    const float *stretch;
    const uint16_t *squash;
    const int32_t *step;
} Tables;

/* 2^16 / (1 + e^-x) from the table, for x between -12 and 12. */
INLINE uint64_t squash(const Tables *t, float x) { return t->squash[(int32_t)(x * 32.0f + 384.0f)]; }

/* What learns when the sample is known. */
typedef struct {
    Inputs change;
    float *weight[3];
} Lesson;

/* What is mixed at a node. */
typedef struct {
    Inputs input;
    uint16_t *counter[MOST_HISTORIES];
    float *weight[3];
    uint64_t part; /* of 2^16, the probability of a 1 */
} Node;

/* How much a counter is worth that has seen so many events. */
static const uint8_t WORTH[MOST_EVENTS + 1] = {0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3};

/* Mix at a node, the one at `place` of its half of the tree. */
INLINE Node mix_node(const Tables *t, int histories, uint32_t node, uint32_t place, const uint32_t *cell, float logit) {
    Node n;
    Inputs input = {logit, 1.0f};
    uint32_t known = 0;
    UNROLL for (int k = 0; k < histories; k++) {
        n.counter[k] = t->counter + (cell[k] ^ place);
        const uint32_t counter = *n.counter[k] ^ FRESH;
        input[2 + k] = t->stretch[counter >> 8];
        known = known << 2 | WORTH[counter & MOST_EVENTS];
    }
    const uint32_t ambiguity = (uint32_t)(int32_t)__builtin_fabsf(logit);
    n.weight[0] = t->by_node + node * STAGE_INPUTS;
    n.weight[1] = t->by_spread + ambiguity * STAGE_INPUTS;
    n.weight[2] = t->by_events + known * STAGE_INPUTS;
    Inputs weight = *(const InputsAt *)n.weight[0];
    weight += *(const InputsAt *)n.weight[1];
    weight += *(const InputsAt *)n.weight[2];
    n.input = input;
    n.part = squash(t, bounded(sum_inputs(weight * input), MIXED_LIMIT));
    return n;
}

/* Let the counters of a node learn from its bit; the weights' lesson is for later. */
INLINE void learn_node(const Tables *t, int histories, const Node *n, int64_t bit, Lesson *lesson) {
    const float step = (float)(int32_t)((bit << BIT_PRECISION) - (int64_t)n->part) * (RATE * 0x1p-16f);
    lesson->change = step * n->input;
    UNROLL for (int i = 0; i < 3; i++) lesson->weight[i] = n->weight[i];
    const int32_t aim = -(int32_t)bit & 4095;
    UNROLL for (int k = 0; k < histories; k++) {
        const int32_t counter = *n->counter[k] ^ FRESH, count = counter & MOST_EVENTS, chance = counter >> COUNT_BITS;
        const int32_t moved = chance + (((aim - chance) * t->step[count] + (1 << 15)) >> 16);
        *n->counter[k] = (uint16_t)((moved << COUNT_BITS | (count + (count < MOST_EVENTS))) ^ FRESH);
    }
}

/* Code a bit that is 1 with a probability of `part` / 2^16. */
INLINE int64_t code_bit(RangeCoder *coder, int64_t bit, uint64_t part, int encoder, uint8_t *out,
                        const uint8_t *data, uint64_t size, double *probability) {
    if (!encoder) return range_decode_bit(coder, data, size, part);
    range_encode_bit(coder, out, bit, part);
    *probability *= (double)(int32_t)(bit ? part : (1 << BIT_PRECISION) - part) * 0x1p-16;
    return bit;
}

/* Code channel c of pixel b of the batch, at (y, x), bit by bit, after `photo_seek`: for the encoder with `out`, which
   has the logits of the nodes on the sample's way in `split`, else for the decoder. Returns the sample's value. */
INLINE int64_t code_sample(const Engine *e, int histories, RangeCoder *state, const uint16_t *own, int64_t y, int64_t x,
                           int64_t c, int64_t b, int encoder, uint8_t *out, const uint8_t *data, uint64_t size) {
    RangeCoder coder = *state;
    uint32_t node = 1;
    uint32_t *cell = cells_of(e, c, b);
    const int64_t value = encoder ? e->value[c * e->symbols + own[c]] : 0;
    const float *split = e->split + c * DEPTHS * BATCH_ROWS + b;
    NodeMixture mixture;
    float at[16], logits[16], stop = 0.0f;
    int64_t spread;
    if (encoder)
        spread = e->spread[c * BATCH_ROWS + b];
    else {
        DZ_KERNEL(photo_nodes_begin)(e, c, b, &mixture);
        spread = mixture.spread;
        stop = mixture.stop;
    }
    const int64_t phase = (x & 1) | (y & 1) << 1, set = ((c * PHASES + phase) * SPREADS + spread) * AMBIGUITIES;
    const Tables t = {e->counter,
                      e->by_node + c * 256 * STAGE_INPUTS,
                      e->by_spread + set * STAGE_INPUTS,
                      e->by_events + c * KNOWN * STAGE_INPUTS,
                      e->stretch,
                      e->squash,
                      e->step};
    Lesson lessons[DEPTHS];
    int mixed = 0;
    double probability = 1.0;
    for (int half = 0; half < 2; half++) {
        if (half) {
            cell += MOST_HISTORIES;
            if (!encoder) {
                uint64_t key[MOST_HISTORIES];
                contexts(e, own, y, x, c, key);
                find_cells(e, key, node, cell);
            }
        }
        if (!encoder) {
            /* The row's end is in the first row where its other half begins, except for the last row of all. */
            static const int8_t STARTS[16] = {0, 8, 4, 9, 2, 10, 5, 11, 1, 12, 6, 13, 3, 14, 7, 15};
            if (half && node < 31) stop = at[STARTS[node - 15]];
            DZ_KERNEL(photo_nodes)(e, &mixture, c, half ? node - 15 : 0, stop, at, logits);
        }
        uint32_t place = 1;
        for (int depth = 0; depth < DEPTHS / 2; depth++) {
            const int at_depth = half * DEPTHS / 2 + depth;
            int64_t bit = value >> (DEPTHS - 1 - at_depth) & 1;
            const float logit = encoder ? split[at_depth * BATCH_ROWS] : logits[place];
            const float amount = __builtin_fabsf(logit);
            if (amount < SURE) {
                const Node n = mix_node(&t, histories, node, place, cell, logit);
                bit = code_bit(&coder, bit, n.part, encoder, out, data, size, &probability);
                learn_node(&t, histories, &n, bit, &lessons[mixed++]);
            } else if (amount < FORCED)
                bit = code_bit(&coder, bit, squash(&t, logit), encoder, out, data, size, &probability);
            else
                bit = logit > 0.0f;
            node = node << 1 | (uint32_t)bit;
            place = place << 1 | (uint32_t)bit;
        }
    }
    for (int n = 0; n < mixed; n++)
        UNROLL for (int i = 0; i < 3; i++) *(InputsAt *)lessons[n].weight[i] += lessons[n].change;
    if (encoder) e->probability[c * BATCH_ROWS + b] = probability;
    *state = coder;
    return node & 255;
}

void DZ_KERNEL(photo_encode_sample)(const Engine *e, RangeCoder *coder, const uint16_t *own, int64_t y, int64_t x,
                                    int64_t c, int64_t b, uint8_t *out) {
    if (e->histories == 3) /* what is known when this is compiled makes it fast */
        code_sample(e, 3, coder, own, y, x, c, b, 1, out, 0, 0);
    else
        code_sample(e, (int)e->histories, coder, own, y, x, c, b, 1, out, 0, 0);
}

/* Returns the symbol. */
int64_t DZ_KERNEL(photo_decode_sample)(const Engine *e, RangeCoder *coder, const uint16_t *own, int64_t y, int64_t x,
                                       int64_t c, int64_t b, const uint8_t *data, uint64_t size) {
    int64_t value;
    if (e->histories == 3)
        value = code_sample(e, 3, coder, own, y, x, c, b, 0, 0, data, size);
    else
        value = code_sample(e, (int)e->histories, coder, own, y, x, c, b, 0, 0, data, size);
    const int64_t symbol = e->rank[c * 257 + value], last = e->size[c] - 1;
    return symbol < last ? symbol : last; /* damaged data could lead to a value that is not there */
}
