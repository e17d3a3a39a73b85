/* The mixture at the nodes of the binary tree of an 8-bit sample, and the gradient for its learning, in binary32.

   The tree's root halves the range of samples, and so on, down to single values. In a table the nodes stand in rows of
   sixteen, at 1 to 15: the root and those below it that halve the range of the high four bits; then those of the low
   four bits, a row for each value of the high ones. At 0 stands where a row begins.

   The encoder works on a pixel in each lane, the decoder on a node in each: both do the same to every lane. */

#include "engine.h"

#define LOG_SCALE_RANGE 6.0f

/* What every value of an alphabet gets beside its share of the mixture. It keeps the sums ascending, so that no difference
   is negative, or 0 where there is a value: `exponential` is wrong by less than 2^-21, which lets a logistic distribution
   fall by 2^-22 at most; every other step of the sum is rounded, and roundings keep an order. */
#define LEAST 0x1p-20f
#define OUTSIDE 0x1p30f /* where the outermost values end */

/* Adding and taking away 1.5 * 2^23 rounds a small number to an integer, which stands in the lowest bits of the sum. */
#define SHIFTER 12582912.0f

typedef uint32_t Bits __attribute__((vector_size(VECTOR)));
typedef double WideAt __attribute__((vector_size(2 * VECTOR), aligned(8), may_alias));
typedef int32_t IntsAt __attribute__((vector_size(VECTOR), aligned(4), may_alias));
typedef int64_t WideInts __attribute__((vector_size(2 * VECTOR)));
typedef int64_t WideIntsAt __attribute__((vector_size(2 * VECTOR), aligned(8), may_alias));

/* Doubles as floats, rounded to nearest. */
INLINE Floats narrow(const double *from) {
    const WideAt wide = *(const WideAt *)from;
    return __builtin_convertvector(wide, Floats);
}

/* e^x by a polynomial in a fixed order and a power of two; x is clamped to +-44 (what is no number, to -44). */
INLINE Floats exponential(Floats x) {
    x = below_floats(above_floats(x, -44.0f), 44.0f);
    const Floats shifted = x * 1.442695f + SHIFTER, k = shifted - SHIFTER;
    const Floats r = (x - k * 0.693359375f) - k * -2.121944e-4f;
    const Floats r2 = r * r;
    const Floats low = (1.0f + r) + r2 * (0.5f + r * (1.0f / 6.0f));
    const Floats high = (1.0f / 24.0f + r * (1.0f / 120.0f)) + r2 * (1.0f / 720.0f);
    return (low + (r2 * r2) * high) * (Floats)(((Bits)shifted + 127) << 23);
}

/* Cumulative logistic distribution. */
INLINE Floats logistic(Floats distance) { return 1.0f / (1.0f + exponential(-distance)); }

/* ln (one / zero), to 0.0006. */
INLINE Floats log_ratio(Floats one, Floats zero) {
    const Floats ratio = one / zero;
    const Floats exponent = __builtin_convertvector(((Ints)ratio >> 23) - 127, Floats);
    const Floats f = (Floats)(((Bits)ratio & 0x7FFFFF) | 0x3F800000) - 1.0f;
    return (exponent + (f + (f * (1.0f - f)) * (0.4229f - 0.1592f * f))) * 0.6931472f;
}

/* The probability of a 1 in units of 2^-16, rounded down, but neither 0 nor 2^16 where both bits are possible. */
INLINE Ints part_of(Floats one, Floats zero) {
    const Floats part = above_floats(below_floats((one / (one + zero)) * 65536.0f, 65535.0f), 1.0f);
    const Ints never = one == 0.0f, always = zero == 0.0f;
    return (__builtin_convertvector(part, Ints) & ~never & ~always) | (always & (1 << BIT_PRECISION));
}

INLINE Floats sharpness_of(Floats log_scale, Floats inverse_activity) {
    return exponential(-below_floats(above_floats(log_scale, -LOG_SCALE_RANGE), LOG_SCALE_RANGE)) * inverse_activity;
}

/* How far a mixture spreads, in eight steps: half the binary exponent of its mean sharpness. */
INLINE int32_t spread_of(float sharpness) {
    union {
        float x;
        int32_t bits;
    } u = {sharpness};
    const int32_t step = (((u.bits >> 23) & 255) - (127 - 9)) >> 1;
    return step < 0 ? 0 : step < 7 ? step : 7;
}

/* For pixels from p on: the logit and the probability of a 1 at each node on the way to the symbol's value, at which
   of them the mixture is not sure, and how far it spreads. With `every`, the alphabet has every value, and what the
   tables hold is computed. */
INLINE void split(const Engine *e, int64_t c, int64_t p, Ints value, const Floats *weight, const Floats *mean,
                  const Floats *sharpness, Floats total, int every) {
    const int64_t components = e->components;
    const float *edges = e->node_edge + c * NODES, *floors = e->node_floor + c * NODES;
    const Floats zero = {};
    Ints unsure = {};
    Floats start = zero, stop = total + ((float)e->size[c] * LEAST) * total, sharp = zero;
    for (int64_t j = 0; j < components; j++) {
        start += weight[j] * logistic((edges[0] - mean[j]) * sharpness[j]);
        sharp += weight[j] * sharpness[j];
    }
    for (int depth = 0; depth < DEPTHS; depth++) {
        Floats edge = zero, floor = zero, at = zero;
        if (every) {
            const Ints middle = (value >> (DEPTHS - depth) << 1 | 1) << (DEPTHS - 1 - depth);
            edge = __builtin_convertvector(middle, Floats) - 0.5f;
            floor = __builtin_convertvector(middle, Floats) * LEAST;
        } else {
            const Ints low = value & 15, high = value >> 4;
            const Ints place = depth < 4 ? (16 | high) >> (4 - depth) : 16 * (high + 1) + ((16 | low) >> (8 - depth));
            UNROLL for (int l = 0; l < FLOATS; l++) {
                edge[l] = edges[place[l]];
                floor[l] = floors[place[l]];
            }
        }
        for (int64_t j = 0; j < components; j++) at += weight[j] * logistic((edge - mean[j]) * sharpness[j]);
        at += floor * total;
        const int64_t own = (c * DEPTHS + depth) * BATCH_ROWS + p;
        const Floats logit = log_ratio(stop - at, at - start);
        store_floats(e->logit + own, logit);
        *(IntsAt *)(e->part + own) = part_of(stop - at, at - start);
        unsure |= (logit < SURE) & (logit > -SURE) & (1 << depth);
        const Ints one = -(value >> (DEPTHS - 1 - depth) & 1);
        start = (Floats)(((Ints)at & one) | ((Ints)start & ~one));
        stop = (Floats)(((Ints)stop & one) | ((Ints)at & ~one));
    }
    *(IntsAt *)(e->unsure + c * BATCH_ROWS + p) = unsure;
    sharp = sharp / total;
    UNROLL for (int l = 0; l < FLOATS; l++) e->spread[c * BATCH_ROWS + p + l] = spread_of(sharp[l]);
}

/* From rows of n floats of each pixel, `step` floats apart, to vectors of each of the floats of all pixels, and back. Up to
   three more are read, and written. */
INLINE void turn(const float *rows, int64_t step, int64_t n, Floats *columns) {
    for (int64_t j = 0; j < n; j += 4)
        UNROLL for (int l = 0; l < FLOATS; l += 4) {
            Quad quads[4];
            transpose_quads(rows + l * step + j, step, quads);
            UNROLL for (int i = 0; i < 4; i++) *(QuadAt *)((float *)(columns + j + i) + l) = quads[i];
        }
}
INLINE void turn_back(const Floats *columns, int64_t step, int64_t n, float *rows) {
    for (int64_t j = 0; j < n; j += 4)
        UNROLL for (int l = 0; l < FLOATS; l += 4) {
            Quad quads[4];
            transpose_quads((const float *)(columns + j) + l, FLOATS, quads);
            UNROLL for (int i = 0; i < 4; i++) *(QuadAt *)(rows + (l + i) * step + j) = quads[i];
        }
}

/* For the pixels [first, last) of the batch, whose outputs, centres and symbols of channel c are known: the gradient of
   -ln p by the outputs; and with `ways` the logits at the nodes. */
void DZ_KERNEL(photo_slope)(const Engine *e, int64_t c, int64_t first, int64_t last, int ways) {
    const int64_t components = e->components, experts = e->experts, end = e->size[c] - 1;
    const double *edges = e->edge + c * (e->symbols + 1);
    const int64_t *values = e->value + c * e->symbols;
    const Floats zero = {};
    for (int64_t p = first; p < last; p += FLOATS) {
        const float *out = e->out + (c * BATCH_ROWS + p) * e->outputs;
        float *gradient = e->out_gradient + (c * BATCH_ROWS + p) * e->outputs;
        const int64_t *symbol = e->symbol + c * BATCH_ROWS + p;
        Floats o[3 * MOST_COMPONENTS], weight[MOST_COMPONENTS], mean[MOST_COMPONENTS], sharpness[MOST_COMPONENTS];
        Floats left, right;
        Ints value;
        turn(out, e->outputs, 3 * components, o);
        if (end == 255) { /* the alphabet has every value */
            const WideInts wide = *(const WideIntsAt *)symbol;
            value = __builtin_convertvector(wide, Ints);
            const Ints first_one = value == 0, last_one = value == 255;
            left = __builtin_convertvector(value, Floats) - 0.5f;
            right = __builtin_convertvector(value, Floats) + 0.5f;
            left = (Floats)(((Ints)(zero - OUTSIDE) & first_one) | ((Ints)left & ~first_one));
            right = (Floats)(((Ints)(zero + OUTSIDE) & last_one) | ((Ints)right & ~last_one));
        } else
            UNROLL for (int l = 0; l < FLOATS; l++) {
                value[l] = (int32_t)values[symbol[l]];
                left[l] = symbol[l] > 0 ? (float)edges[symbol[l]] : -OUTSIDE;
                right[l] = symbol[l] < end ? (float)edges[symbol[l] + 1] : OUTSIDE;
            }
        const Floats activity = narrow(e->activity + c * BATCH_ROWS + p), inverse_activity = 1.0f / activity;
        Floats largest = o[0], total = zero;
        for (int64_t j = 1; j < components; j++) {
            const Ints over = o[j] > largest;
            largest = (Floats)(((Ints)o[j] & over) | ((Ints)largest & ~over));
        }
        for (int64_t j = 0, place = 0; j < components; j++) {
            weight[j] = exponential(o[j] - largest);
            total += weight[j];
            mean[j] = narrow(e->centre + (c * (experts + 1) + place) * BATCH_ROWS + p) + activity * o[components + j];
            sharpness[j] = sharpness_of(o[2 * components + j], inverse_activity);
            place = place < experts ? place + 1 : 0;
        }
        if (ways && end == 255)
            split(e, c, p, value, weight, mean, sharpness, total, 1);
        else if (ways)
            split(e, c, p, value, weight, mean, sharpness, total, 0);
        const Floats to_weight = 1.0f / total;
        Floats probability = zero + LEAST, shares[MOST_COMPONENTS];
        for (int64_t j = 0; j < components; j++) {
            weight[j] *= to_weight;
            const Floats near = (left - mean[j]) * sharpness[j], far = (right - mean[j]) * sharpness[j];
            const Floats low = logistic(near), high = logistic(far);
            const Floats slope_below = low * (1.0f - low), slope_above = high * (1.0f - high);
            const Floats log_scale = o[2 * components + j];
            const Ints free = (log_scale > -LOG_SCALE_RANGE) & (log_scale < LOG_SCALE_RANGE);
            shares[j] = weight[j] * (high - low);
            probability += shares[j];
            o[components + j] = weight[j] * (slope_above - slope_below) * (sharpness[j] * activity);
            o[2 * components + j] = (Floats)((Ints)(weight[j] * (far * slope_above - near * slope_below)) & free);
        }
        const Floats inverse = 1.0f / probability, inside = (probability - LEAST) * inverse;
        for (int64_t j = 0; j < components; j++) {
            o[j] = weight[j] * inside - shares[j] * inverse;
            o[components + j] *= inverse;
            o[2 * components + j] *= inverse;
        }
        for (int64_t j = 3 * components; j & 3; j++) o[j] = zero;
        turn_back(o, e->outputs, 3 * components, gradient);
    }
}

/* The mixture of channel c of pixel b, with its spread. */
void DZ_KERNEL(photo_nodes_begin)(const Engine *e, int64_t c, int64_t b, NodeMixture *m) {
    const int64_t components = e->components, experts = e->experts;
    const float *out = e->out + (c * BATCH_ROWS + b) * e->outputs;
    const double *centres = e->centre + c * (experts + 1) * BATCH_ROWS + b;
    const float activity = (float)e->activity[c * BATCH_ROWS + b], inverse_activity = 1.0f / activity;
    float largest = out[0], centre[MIXTURE_LANES];
    for (int64_t j = 1; j < components; j++) largest = out[j] > largest ? out[j] : largest;
    for (int64_t j = 0, place = 0; j < MIXTURE_LANES; j++) {
        centre[j] = (float)centres[place * BATCH_ROWS];
        place = place < experts ? place + 1 : 0;
    }
    /* The lanes behind the last component take what stands there, outputs of any kind; nobody looks at them. */
    for (int64_t k = 0; k < components; k += FLOATS) {
        store_floats(m->weight + k, exponential(load_floats(out + k) - largest));
        store_floats(m->mean + k, load_floats(centre + k) + activity * load_floats(out + components + k));
        store_floats(m->sharpness + k,
                     sharpness_of(load_floats(out + 2 * components + k), (Floats){} + inverse_activity));
    }
    float sharp = 0.0f;
    m->total = 0.0f;
    for (int64_t j = 0; j < components; j++) {
        m->total += m->weight[j];
        sharp += m->weight[j] * m->sharpness[j];
    }
    m->spread = spread_of(sharp / m->total);
    m->stop = m->total + ((float)e->size[c] * LEAST) * m->total;
}

/* Where the ranges of the nodes of a row begin, and where they end: where other nodes' ranges are halved. 0 stands for the
   beginning, or for the end, of the row. */
#define BEGINS 0, 0, 0, 1, 0, 2, 1, 3, 0, 4, 2, 5, 1, 6, 3, 7
#define ENDS 0, 0, 1, 0, 2, 1, 3, 0, 4, 2, 5, 1, 6, 3, 7, 0

/* Of the first half of a row of sixteen, gather those at the places that are listed. */
typedef float Row __attribute__((vector_size(64)));
#if VECTOR == 64
#define GATHER(row, ...) __builtin_shufflevector(row, row, __VA_ARGS__)
#else
INLINE Row gather(Row row, const int8_t *place) {
    float found[16];
    UNROLL for (int i = 0; i < 16; i++) found[i] = row[place[i]];
    Row result;
    __builtin_memcpy(&result, found, sizeof result);
    return result;
}
#define GATHER(row, ...) gather(row, (const int8_t[16]){__VA_ARGS__})
#endif

/* Where, in the root's row, the rows below it end: there this node's range is halved; the last one's ends with all. */
static const int8_t ROW_ENDS[16] = {8, 4, 9, 2, 10, 5, 11, 1, 12, 6, 13, 3, 14, 7, 15, 0};

/* The cumulative distribution at the nodes of a row. */
INLINE void cumulate(const Engine *e, const NodeMixture *m, int64_t c, int64_t row, NodeRow *r) {
    const float *edges = e->node_edge + c * NODES + row * 16, *floors = e->node_floor + c * NODES + row * 16;
    for (int i = 0; i < 16; i += FLOATS) {
        const Floats edge = load_floats(edges + i);
        Floats sum = {};
        for (int64_t j = 0; j < e->components; j++)
            sum += m->weight[j] * logistic((edge - m->mean[j]) * m->sharpness[j]);
        store_floats(r->at + i, sum + load_floats(floors + i) * m->total);
    }
}

/* The logits and probabilities of a row that ends at `stop`. */
INLINE void divide(float stop, NodeRow *r) {
    Row middle, end;
    __builtin_memcpy(&middle, r->at, sizeof middle);
    end = middle;
    end[0] = stop;
    const Row one = GATHER(end, ENDS) - middle, zero = middle - GATHER(middle, BEGINS);
    for (int i = 0; i < 16; i += FLOATS) {
        Floats a, b;
        __builtin_memcpy(&a, (const float *)&one + i, sizeof a);
        __builtin_memcpy(&b, (const float *)&zero + i, sizeof b);
        store_floats(r->logit + i, log_ratio(a, b));
        *(IntsAt *)(r->part + i) = part_of(a, b);
    }
}

/* Where a row ends, by the root's. */
INLINE float end_of(const NodeMixture *m, const NodeRow *root, int64_t row) {
    return row < 16 ? root->at[ROW_ENDS[row - 1]] : m->stop;
}

/* A row below the root's. */
void DZ_KERNEL(photo_row)(const Engine *e, const NodeMixture *m, int64_t c, int64_t row, const NodeRow *root,
                          NodeRow *r) {
    cumulate(e, m, c, row, r);
    divide(end_of(m, root, row), r);
}

/* The root's row, and one below it: the processor works on both at once. */
void DZ_KERNEL(photo_rows)(const Engine *e, const NodeMixture *m, int64_t c, int64_t row, NodeRow *root, NodeRow *r) {
    cumulate(e, m, c, 0, root);
    cumulate(e, m, c, row, r);
    divide(m->stop, root);
    divide(end_of(m, root, row), r);
}
