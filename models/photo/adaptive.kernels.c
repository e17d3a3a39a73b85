/* The last stage: what an image's history left in its samples, learnt while coding.

   Conversions of colour, tone curves and resampling leave values that hardly occur: on their own, given the channels
   before, or given the pixel beside. So a sample of 8 bits is coded bit by bit from the top, a walk down a binary tree.
   At each node the mixture's probability of a 1 and those of adaptive counters, one for each context and node, are mixed
   in the logistic domain by weights that learn as well; nodes of which the mixture is sure are coded as it says.

   Counters are integers. The rest is in floats, whose sums are taken in a fixed order. */

#include "engine.h"

#define SURE 0x1p-7       /* of a bit that is likelier to be the other one */
#define MOST_EVENTS 60    /* that a counter remembers */
#define COUNT_BITS 10     /* of a counter; above them stands its probability of a 1, of 22 bits, xor 2^21 */
#define FRESH ((uint32_t)1 << 31)
#define LINE 16           /* counters in a line of the cache, for the nodes of half a sample */
#define RATE 0.018f
#define BIAS 0.3f
#define LOGIT_LIMIT 11.99f
#define AMBIGUITIES 16
#define SPREADS 8

typedef float Inputs __attribute__((vector_size(4 * STAGE_INPUTS)));
typedef float InputsAt __attribute__((vector_size(4 * STAGE_INPUTS), aligned(4), may_alias));

/* One step of a 32-bit hash. */
INLINE uint32_t mix(uint32_t state, uint32_t value) {
    state = (state + value + 1) * 0x2C1B3C6Du;
    return state ^ (state >> 15);
}

/* Hashes of the contexts of channel c of the pixel whose symbols are at `own`. */
INLINE void hash_contexts(const Engine *e, const uint16_t *own, int64_t y, int64_t x, int64_t c, uint32_t *hash) {
    const uint16_t *above = y > 0 ? own - e->width * e->channels : 0;
    const uint16_t *beside = x > 0 ? own - e->channels : above;
    /* Sample values of the pixels to the west and north, and those known of this one. */
    uint32_t west[4] = {0}, north[4] = {0}, here[4] = {0};
    for (int64_t i = 0; i < e->channels; i++) {
        const int64_t *values = e->value + i * e->symbols;
        if (beside) west[i] = (uint32_t)values[beside[i]];
        north[i] = above ? (uint32_t)values[above[i]] : west[i];
        if (i < c) here[i] = (uint32_t)values[own[i]];
    }
    const uint32_t channel = (uint32_t)c, phase = (uint32_t)((x & 1) | (y & 1) << 1);
    /* What is expected if this channel changes as the first one did; 512 keeps it positive. */
    const uint32_t from_west = 512 + west[c] + (c ? here[0] - west[0] : 0);
    const uint32_t from_north = 512 + north[c] + (c ? here[0] - north[0] : 0);
    const uint32_t second = c > 1 ? here[1] : 0;
    hash[0] = mix(mix(mix(0, channel), here[0]), second);
    hash[1] = mix(mix(mix(1, channel), from_west), phase);
    hash[2] = mix(mix(mix(2, channel), from_west), from_north);
    uint32_t all = mix(3, channel);
    for (int64_t i = 0; i < e->channels; i++) all = mix(all, west[i]);
    hash[3] = mix(mix(all, here[0]), second);
}

/* Find the counters of one half of the bits of a sample: the high ones, or the low ones of a value whose high bits are
   `high`. Of each context `cell` gets the place of a line, in whose lowest bits stands how its counters are shuffled,
   for lines that share a place do not use all of theirs. */
INLINE void find_cells(const Engine *e, const uint32_t *hash, uint32_t high, int64_t *cell) {
    for (int64_t k = 0; k < e->histories; k++) {
        const uint32_t own = mix(hash[k], high) * 0x9E3779B1u;
        cell[k] = (k * e->lines + (int64_t)((own >> 4) & (uint32_t)(e->lines - 1))) * LINE + (own >> 28);
        __builtin_prefetch(e->counter + cell[k], 1);
    }
}

/* The cells of both halves of channel c of pixel b of the batch. */
INLINE int64_t *cells_of(const Engine *e, int64_t c, int64_t b) {
    return e->cell + (c * BATCH_ROWS + b) * 2 * MOST_HISTORIES;
}

/* Find the counters of channel c of pixel b, whose symbols are at `own`: all of them, or those of the high bits. */
void DZ_KERNEL(photo_seek)(const Engine *e, const uint16_t *own, int64_t y, int64_t x, int64_t c, int64_t b, int all) {
    int64_t *cell = cells_of(e, c, b);
    uint32_t hash[MOST_HISTORIES];
    hash_contexts(e, own, y, x, c, hash);
    find_cells(e, hash, 0, cell);
    if (all) find_cells(e, hash, LINE | (uint32_t)e->value[c * e->symbols + own[c]] >> 4, cell + MOST_HISTORIES);
}

/* A sum of eight in halves. */
INLINE float sum_inputs(Inputs x) {
    typedef float Quarter __attribute__((vector_size(16)));
    const Quarter half = __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
    return (half[0] + half[2]) + (half[1] + half[3]);
}

/* 1 / (1 + e^-x) from the table. */
INLINE float squash(const Engine *e, float x) {
    x = x > -LOGIT_LIMIT ? x : -LOGIT_LIMIT;
    x = x < LOGIT_LIMIT ? x : LOGIT_LIMIT;
    return e->squash[(int)((x + 12.0f) * 32.0f)];
}

/* What is mixed at a node, and what learns from its bit. */
typedef struct {
    uint32_t *counter[MOST_HISTORIES];
    float *weight[3];
    float chance[3]; /* of a 1, by each set of weights */
    Inputs input;
} Node;

/* The probability of a 1 at a node of channel c, from the mixture's. */
INLINE float mix_node(const Engine *e, int histories, int64_t c, uint32_t node, int64_t depth, int64_t phase, int64_t spread,
                      const int64_t *cell, double by_mixture, Node *n) {
    const float logit = e->stretch[(int)(by_mixture * 4096.0)];
    Inputs input = {logit, BIAS};
    const uint32_t place = depth < 4 ? node : (1u << (depth - 4)) | (node & ((1u << (depth - 4)) - 1));
    UNROLL for (int k = 0; k < histories; k++) {
        n->counter[k] = e->counter + (cell[k] ^ place);
        input[2 + k] = e->stretch[(*n->counter[k] ^ FRESH) >> 20];
    }
    const int64_t ambiguity = (int64_t)(2.0f * (logit < 0.0f ? -logit : logit));
    n->weight[0] = e->by_node + (c * 256 + node) * STAGE_INPUTS;
    n->weight[1] = e->by_spread + (((c * PHASES + phase) * SPREADS + spread) * AMBIGUITIES + ambiguity) * STAGE_INPUTS;
    n->weight[2] = e->by_depth + ((c * DEPTHS + depth) * AMBIGUITIES + ambiguity) * STAGE_INPUTS;
    n->input = input;
    float total = 0.0f;
    UNROLL for (int i = 0; i < 3; i++) {
        const float sum = sum_inputs(n->input * *(const InputsAt *)n->weight[i]);
        n->chance[i] = squash(e, sum);
        total += sum;
    }
    return squash(e, total * (1.0f / 3.0f));
}

/* Learn from the bit at a node. */
INLINE void learn_node(const Engine *e, int histories, const Node *n, int64_t bit) {
    UNROLL for (int i = 0; i < 3; i++) {
        const float step = ((float)bit - n->chance[i]) * RATE;
        *(InputsAt *)n->weight[i] += step * n->input;
    }
    UNROLL for (int k = 0; k < histories; k++) {
        const uint32_t counter = *n->counter[k] ^ FRESH, count = counter & ((1u << COUNT_BITS) - 1);
        int64_t chance = counter >> COUNT_BITS;
        chance += ((bit * ((1 << 22) - 1) - chance) * e->step[count]) >> 16;
        *n->counter[k] = ((uint32_t)chance << COUNT_BITS | (count < MOST_EVENTS ? count + 1 : count)) ^ FRESH;
    }
}

/* Code a bit that is 1 with a probability of `part` / 2^28; `out` is NULL for the decoder. */
INLINE int64_t code_bit(RangeCoder *coder, int64_t bit, int64_t part, uint8_t *out, const uint8_t *data,
                        uint64_t size) {
    if (!out) bit = coder->code < (coder->range >> PRECISION) * (uint64_t)part;
    const uint64_t first = bit ? 0 : (uint64_t)part, length = (uint64_t)(bit ? part : WHOLE - part);
    if (out)
        range_encode(coder, out, first, length, PRECISION);
    else
        range_consume(coder, data, size, first, length, PRECISION);
    return bit;
}

/* The integer nearest below a probability in units of 2^-28, but neither 0 nor 1. */
INLINE int64_t part_of(double chance) {
    const int64_t part = (int64_t)(chance * (double)WHOLE);
    return part < 1 ? 1 : part < WHOLE - 1 ? part : WHOLE - 1;
}

/* Code channel c of pixel b of the batch, at (y, x), bit by bit, after `photo_seek`. `mixture` is NULL for the encoder, which has the
   mixture's probabilities along the sample's way in `split`. Returns the sample's value. */
INLINE int64_t code_sample(const Engine *e, int histories, RangeCoder *coder, const uint16_t *own, int64_t y, int64_t x, int64_t c,
                           int64_t b, const Mixture *mixture, uint8_t *out, const uint8_t *data, uint64_t size) {
    uint32_t node = 1;
    int64_t *cell = cells_of(e, c, b);
    const int64_t phase = (x & 1) | (y & 1) << 1, spread = e->spread[c * BATCH_ROWS + b];
    const int64_t value = mixture ? 0 : e->value[c * e->symbols + own[c]];
    int64_t low = 0, start = 0, stop = WHOLE, last = 0, ahead[3] = {0};
    double probability = 1.0;
    for (int64_t depth = 0; depth < DEPTHS; depth++) {
        if (depth == DEPTHS / 2) {
            cell += MOST_HISTORIES;
            if (mixture) {
                uint32_t hash[MOST_HISTORIES];
                hash_contexts(e, own, y, x, c, hash);
                find_cells(e, hash, node, cell);
            }
        }
        int64_t middle = 0, bit = value >> (DEPTHS - 1 - depth) & 1;
        double chance;
        if (mixture) {
            if (!(depth & 1)) /* both nodes that may be next, too: they do not wait for this bit */
                for (int i = 0; i < 3; i++) {
                    const int64_t edge = low + ((64 + 64 * (int64_t)i) >> depth);
                    ahead[i] = DZ_KERNEL(photo_cumulative)(e, mixture, c, e->rank[c * 257 + edge]);
                }
            middle = ahead[depth & 1 ? 2 * last : 1];
            chance = (double)(stop - middle) / (double)(stop - start);
        } else
            chance = e->split[(c * DEPTHS + depth) * BATCH_ROWS + b];
        if (chance >= SURE && chance <= 1.0 - SURE) {
            Node n = {0};
            const int64_t part = part_of(mix_node(e, histories, c, node, depth, phase, spread, cell, chance, &n));
            bit = code_bit(coder, bit, part, out, data, size);
            probability *= (double)(bit ? part : WHOLE - part) * (1.0 / (double)WHOLE);
            learn_node(e, histories, &n, bit);
        } else if (chance > 0.0 && chance < 1.0) {
            const int64_t part = part_of(chance);
            bit = code_bit(coder, bit, part, out, data, size);
            probability *= (double)(bit ? part : WHOLE - part) * (1.0 / (double)WHOLE);
        } else
            bit = chance > 0.0; /* no value of the alphabet is in the other half */
        if (bit)
            start = middle, low += 128 >> depth;
        else
            stop = middle;
        node = node << 1 | (uint32_t)bit;
        last = bit;
    }
    e->probability[c * BATCH_ROWS + b] = probability;
    return low;
}

void DZ_KERNEL(photo_encode_sample)(const Engine *e, RangeCoder *coder, const uint16_t *own, int64_t y, int64_t x,
                                    int64_t c, int64_t b, uint8_t *out) {
    if (e->histories == 3) /* what is known when this is compiled makes it fast */
        code_sample(e, 3, coder, own, y, x, c, b, 0, out, 0, 0);
    else
        code_sample(e, (int)e->histories, coder, own, y, x, c, b, 0, out, 0, 0);
}

/* Returns the symbol. */
int64_t DZ_KERNEL(photo_decode_sample)(const Engine *e, RangeCoder *coder, const uint16_t *own, int64_t y, int64_t x,
                                       int64_t c, int64_t b, const uint8_t *data, uint64_t size) {
    Mixture mixture;
    DZ_KERNEL(photo_mixture)(e, c, b, &mixture);
    int64_t value;
    if (e->histories == 3)
        value = code_sample(e, 3, coder, own, y, x, c, b, &mixture, 0, data, size);
    else
        value = code_sample(e, (int)e->histories, coder, own, y, x, c, b, &mixture, 0, data, size);
    const int64_t symbol = e->rank[c * 257 + value], last = e->size[c] - 1;
    return symbol < last ? symbol : last; /* sums that are no numbers could lead astray */
}
