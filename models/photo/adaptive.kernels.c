/* The last stage: what an image's history left in its samples, learnt while coding.

   Conversions of colour, tone curves and resampling leave values that hardly occur: on their own, given the channels
   before, or given the pixel beside. So a sample of 8 bits is coded bit by bit from the top, a walk down a binary tree.
   At each node the mixture's logit of a 1 and those of adaptive counters, one for each context and node, are mixed by
   weights that learn as well: the sum of three sets. Nodes of which the mixture is sure are coded as it says.

   All nodes of a sample are mixed by what was learnt before the sample; the processor need not wait for one to go on
   with the next. Counters are integers, the rest is in floats, whose sums are taken in a fixed order. */

#include "engine.h"

#define MOST_EVENTS 15    /* that a counter remembers */
#define COUNT_BITS 4      /* of a counter; above them stands its probability of a 1, of 12 bits, xor 2^11 */
#define FRESH 0x8000
#define FIRST_EVENTS 1.3f /* what the number of events is taken for when there are none */
#define LINE 16           /* counters that stand together, for the nodes of half a sample */
#define RATE 0.0015f
#define MIXED_LIMIT 11.99f
#define SPREADS 8
#define AMBIGUITIES 8
#define KNOWN 256
#define AHEAD 8           /* pixels whose counters are on their way to the cache */

typedef float Inputs __attribute__((vector_size(4 * STAGE_INPUTS)));
typedef float InputsAt __attribute__((vector_size(4 * STAGE_INPUTS), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(16)));

/* The contexts of channel c of the pixel whose symbols are at `own`, each as one number. */
INLINE void contexts(const Engine *e, int64_t channels, const uint16_t *own, int64_t y, int64_t x, int64_t c,
                     uint64_t *key) {
    const uint16_t *above = y > 0 ? own - e->width * channels : 0;
    const uint16_t *beside = x > 0 ? own - channels : above;
    /* Sample values of the pixels to the west and north, and those known of this one. */
    uint64_t west[4] = {0}, north[4] = {0}, here[4] = {0};
    UNROLL for (int64_t i = 0; i < 3; i++) {
        if (i >= channels) break;
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

/* The tables that a sample needs, out of reach of what is written meanwhile. */
typedef struct {
    uint16_t *counter;
    float *by_node, *by_spread, *by_events; /* of the sample's channel; and of its phase and spread */
    const float *stretch;
    const uint16_t *squash;
} Tables;

/* What is mixed at a node, and what learns from its bit. */
typedef struct {
    Inputs input;
    uint16_t *counter[MOST_HISTORIES];
    float *weight[3];
} Node;

/* Gather what is mixed at a node, the one at `place` of its half of the tree; returns the products with the weights. */
INLINE Inputs mix(const Tables *t, int histories, uint32_t node, uint32_t place, const uint32_t *cell, float logit,
                  Node *n) {
    Inputs input = {logit, 1.0f};
    uint32_t known = 0;
    UNROLL for (int k = 0; k < histories; k++) {
        n->counter[k] = t->counter + (cell[k] ^ place);
        const uint32_t counter = *n->counter[k];
        input[2 + k] = t->stretch[counter >> 8];
        known = known << 2 | (counter >> 2 & 3);
    }
    const uint32_t ambiguity = (uint32_t)(int32_t)__builtin_fabsf(logit);
    n->weight[0] = t->by_node + node * STAGE_INPUTS;
    n->weight[1] = t->by_spread + ambiguity * STAGE_INPUTS;
    n->weight[2] = t->by_events + known * STAGE_INPUTS;
    n->input = input;
    Inputs weight = *(const InputsAt *)n->weight[0];
    weight += *(const InputsAt *)n->weight[1];
    weight += *(const InputsAt *)n->weight[2];
    return weight * input;
}

INLINE Quad halves(Inputs x) {
    return __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
}

/* 2^16 / (1 + e^-x) from the table. */
INLINE int32_t squash(const Tables *t, float x) {
    return t->squash[(int32_t)(bounded(x, MIXED_LIMIT) * 32.0f + 384.0f)];
}

/* How far the weights move after a bit that was 1 with a probability of `part` / 2^16. */
INLINE float step_of(int32_t bit, int32_t part) { return (float)((bit << BIT_PRECISION) - part) * (RATE * 0x1p-16f); }

/* Let the counters of a node learn from its bit: by the difference over the number of events, rounded. */
INLINE void count(int histories, const Node *n, int32_t bit) {
    Integers counter = {0};
    UNROLL for (int k = 0; k < histories; k++) counter[k] = *n->counter[k];
    counter ^= FRESH;
    const Integers events = counter & MOST_EVENTS, chance = counter >> COUNT_BITS;
    const Quad far = __builtin_convertvector((-bit & 4095) - chance, Quad);
    const Quad moved = far / (__builtin_convertvector(events, Quad) + FIRST_EVENTS) + 12582912.0f;
    /* The integer nearest to the quotient stands in the lowest bits of the sum. */
    const Integers now = chance + ((Integers)moved - 0x4B400000);
    counter = (now << COUNT_BITS | (events - (events < MOST_EVENTS))) ^ FRESH;
    UNROLL for (int k = 0; k < histories; k++) *n->counter[k] = (uint16_t)counter[k];
}

/* Let the weights of a node learn. */
INLINE void learn(const Node *n, float step) {
    const Inputs change = step * n->input;
    UNROLL for (int i = 0; i < 3; i++) *(InputsAt *)n->weight[i] += change;
}

INLINE Tables tables_of(const Engine *e, int64_t y, int64_t x, int64_t c, int64_t spread) {
    const int64_t phase = (x & 1) | (y & 1) << 1, set = ((c * PHASES + phase) * SPREADS + spread) * AMBIGUITIES;
    return (Tables){e->counter,
                    e->by_node + c * 256 * STAGE_INPUTS,
                    e->by_spread + set * STAGE_INPUTS,
                    e->by_events + c * KNOWN * STAGE_INPUTS,
                    e->stretch,
                    e->squash};
}

/* Encode a sample of channel c of pixel b of the batch, at (y, x), whose counters are found. All its bits are known, so
   the sums of four nodes at a time are finished together. */
INLINE void encode_sample(const Engine *e, int histories, RangeCoder *coder, uint32_t value, int64_t y, int64_t x,
                          int64_t c, int64_t b, uint8_t *out) {
    const uint32_t *cell = cells_of(e, c, b);
    const Tables t = tables_of(e, y, x, c, e->spread[c * BATCH_ROWS + b]);
    const float *logit = e->logit + c * DEPTHS * BATCH_ROWS + b;
    int32_t *part = e->part + c * DEPTHS * BATCH_ROWS + b;
    Node nodes[DEPTHS];
    int depths[DEPTHS], number = 0;
    Quad sums[DEPTHS] = {{0}};
    for (uint32_t unsure = (uint32_t)e->unsure[c * BATCH_ROWS + b]; unsure; unsure &= unsure - 1) {
        const int depth = __builtin_ctz(unsure), half = depth >> 2;
        const uint32_t node = (256 | value) >> (DEPTHS - depth);
        const uint32_t place = (16 | (value >> (4 - 4 * half) & 15)) >> (4 + 4 * half - depth);
        const uint32_t *own = cell + half * MOST_HISTORIES;
        sums[number] = halves(mix(&t, histories, node, place, own, logit[depth * BATCH_ROWS], &nodes[number]));
        count(histories, &nodes[number], (int32_t)(value >> (DEPTHS - 1 - depth) & 1));
        depths[number++] = depth;
    }
    float step[DEPTHS];
    for (int n = 0; n < number; n += 4) {
        Quad each[4];
        transpose_quads((const float *)(sums + n), 4, each);
        const Quad total = (each[0] + each[2]) + (each[1] + each[3]);
        UNROLL for (int i = 0; i < 4; i++) {
            if (n + i >= number) break;
            const int depth = depths[n + i];
            const int32_t own = squash(&t, total[i]);
            part[depth * BATCH_ROWS] = own;
            step[n + i] = step_of((int32_t)(value >> (DEPTHS - 1 - depth) & 1), own);
        }
    }
    for (int n = 0; n < number; n++) learn(&nodes[n], step[n]);
    UNROLL for (int depth = 0; depth < DEPTHS; depth++) {
        const int64_t bit = value >> (DEPTHS - 1 - depth) & 1, own = part[depth * BATCH_ROWS];
        if (own > 0 && own < 1 << BIT_PRECISION) range_encode_bit(coder, out, bit, (uint64_t)own);
    }
}

/* The probability of a sample as it was encoded. */
INLINE double probability_of(const Engine *e, int64_t value, int64_t c, int64_t b) {
    double probability = 1.0;
    for (int depth = 0; depth < DEPTHS; depth++) {
        const int32_t part = e->part[(c * DEPTHS + depth) * BATCH_ROWS + b];
        probability *= (value >> (DEPTHS - 1 - depth) & 1 ? part : (1 << BIT_PRECISION) - part) * 0x1p-16;
    }
    return probability;
}

INLINE int is_unsure(float logit) { return logit < SURE && logit > -SURE; }

/* Mix what is known at a node of the decoder's, if the mixture is not sure; `part` of its place gets the probability. */
INLINE void expect(const Tables *t, int histories, uint32_t node, uint32_t place, const uint32_t *cell,
                   const float *logit, int32_t *part, Node *nodes) {
    if (!is_unsure(logit[place])) return;
    const Quad sums = halves(mix(t, histories, node, place, cell, logit[place], &nodes[place]));
    part[place] = squash(t, (sums[0] + sums[2]) + (sums[1] + sums[3]));
}

/* The node of the high bits that the blend of the experts leads to, which is mostly the right one. */
INLINE int64_t likely_half(const Engine *e, int64_t c, int64_t b) {
    const double blend = e->centre[(c * (e->experts + 1) + e->experts) * BATCH_ROWS + b];
    return 16 | ((int32_t)(bounded((float)blend - 127.5f, 127.5f) + 127.5f)) >> 4;
}

/* Decode channel c of pixel b of the batch, at (y, x), after `photo_seek`. Returns the sample's value. */
INLINE int64_t decode_sample(const Engine *e, int histories, RangeCoder *coder, int64_t y, int64_t x,
                             int64_t c, int64_t b, const uint8_t *data, uint64_t size) {
    NodeMixture mixture;
    NodeRow root, below;
    DZ_KERNEL(photo_nodes_begin)(e, c, b, &mixture);
    const int64_t likely = likely_half(e, c, b) - 15;
    DZ_KERNEL(photo_rows)(e, &mixture, c, likely, &root, &below);
    const Tables t = tables_of(e, y, x, c, mixture.spread);
    uint32_t *cell = cells_of(e, c, b);
    Node nodes[2][16];
    const Node *mixed[DEPTHS];
    float step[DEPTHS];
    int number = 0;
    uint32_t node = 1;
    for (int half = 0; half < 2; half++) {
        if (half) {
            cell += MOST_HISTORIES;
            find_cells(e, e->key, node, cell);
            if (node - 15 != likely) DZ_KERNEL(photo_row)(e, &mixture, c, node - 15, &root, &below);
        }
        const float *logit = half ? below.logit : root.logit;
        int32_t *part = half ? below.part : root.part;
        Node *own = nodes[half];
        expect(&t, histories, node, 1, cell, logit, part, own);
        uint32_t place = 1;
        for (int depth = 0; depth < DEPTHS / 2; depth++) {
            if (depth < DEPTHS / 2 - 1) /* both before it is known which is next: the processor need not wait */
                UNROLL for (uint32_t i = 0; i < 2; i++)
                    expect(&t, histories, node << 1 | i, place << 1 | i, cell, logit, part, own);
            const int32_t chance = part[place];
            const int64_t bit = chance == 0 || chance == 1 << BIT_PRECISION
                                    ? chance > 0
                                    : range_decode_bit(coder, data, size, (uint64_t)chance);
            if (is_unsure(logit[place])) {
                count(histories, &own[place], (int32_t)bit);
                mixed[number] = &own[place];
                step[number++] = step_of((int32_t)bit, chance);
            }
            node = node << 1 | (uint32_t)bit;
            place = place << 1 | (uint32_t)bit;
        }
    }
    for (int n = 0; n < number; n++) learn(mixed[n], step[n]);
    return node & 255;
}

/* Find all counters of channel c of pixel b, whose symbols are at `own`. */
INLINE void find_all(const Engine *e, int64_t channels, const uint16_t *own, int64_t y, int64_t x, int64_t c,
                     int64_t b) {
    uint32_t *cell = cells_of(e, c, b);
    uint64_t key[MOST_HISTORIES];
    contexts(e, channels, own, y, x, c, key);
    find_cells(e, key, 0, cell);
    find_cells(e, key, 16 | (uint64_t)e->value[c * e->symbols + own[c]] >> 4, cell + MOST_HISTORIES);
}

/* Encode the pixels [first, last) of the batch after `photo_slope`; symbols [H, W, C], of which the pixel `first` is at
   (y, x). `probability` is NULL, or gets that of every symbol. */
void DZ_KERNEL(photo_encode_bits)(const Engine *engine, const uint16_t *symbols, int64_t y, int64_t x, int64_t first,
                                  int64_t last, uint8_t *out, double *probability) {
    const Engine own_engine = *engine, *e = &own_engine; /* a copy that nothing that is written can alter */
    const int64_t channels = e->channels, pixel = y * e->width + x - first;
    RangeCoder coder = *e->coder;
    int64_t ahead = first, ahead_y = y, ahead_x = x;
    for (int64_t p = first; p < last; p++) {
        for (; ahead < last && ahead < p + AHEAD; ahead++) {
            if (channels == 3) /* what is known when this is compiled makes it fast */
                UNROLL for (int64_t c = 0; c < 3; c++)
                    find_all(e, 3, symbols + (pixel + ahead) * 3, ahead_y, ahead_x, c, ahead);
            else
                for (int64_t c = 0; c < channels; c++)
                    find_all(e, channels, symbols + (pixel + ahead) * channels, ahead_y, ahead_x, c, ahead);
            if (++ahead_x == e->width) ahead_x = 0, ahead_y++;
        }
        const uint16_t *own = symbols + (pixel + p) * channels;
        for (int64_t c = 0; c < channels; c++) {
            const uint32_t value = (uint32_t)e->value[c * e->symbols + own[c]];
            if (e->histories == 3)
                encode_sample(e, 3, &coder, value, y, x, c, p, out);
            else
                encode_sample(e, (int)e->histories, &coder, value, y, x, c, p, out);
            if (probability) *probability++ = probability_of(e, value, c, p);
        }
        if (++x == e->width) x = 0, y++;
    }
    *e->coder = coder;
}

/* Find the counters of the high bits of channel c of pixel b, which is decoded next, as early as its contexts are
   known: they are on their way to the cache meanwhile. */
void DZ_KERNEL(photo_seek)(const Engine *e, const uint16_t *own, int64_t y, int64_t x, int64_t c, int64_t b) {
    contexts(e, e->channels, own, y, x, c, e->key);
    find_cells(e, e->key, 0, cells_of(e, c, b));
}

/* Send for the counters of the low bits, too, when the blend of the experts is known. */
void DZ_KERNEL(photo_foresee)(const Engine *e, int64_t c, int64_t b) {
    uint32_t unused[MOST_HISTORIES];
    find_cells(e, e->key, (uint64_t)likely_half(e, c, b), unused);
}

/* Decode channel c of pixel b of the batch, at (y, x), after `photo_seek`. Returns the symbol. */
int64_t DZ_KERNEL(photo_decode_sample)(const Engine *e, RangeCoder *state, int64_t y, int64_t x, int64_t c, int64_t b,
                                       const uint8_t *data, uint64_t size) {
    RangeCoder coder = *state;
    int64_t value;
    if (e->histories == 3)
        value = decode_sample(e, 3, &coder, y, x, c, b, data, size);
    else
        value = decode_sample(e, (int)e->histories, &coder, y, x, c, b, data, size);
    *state = coder;
    const int64_t symbol = e->rank[c * 257 + value], last = e->size[c] - 1;
    return symbol < last ? symbol : last; /* damaged data could lead to a value that is not there */
}
