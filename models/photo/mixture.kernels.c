/* Discretized logistic mixtures: integer intervals for the coder, and gradients for the learning, from one model.

   `intervals` works on a vector of pixels at a time, `find`, in the decoder, on the components of one pixel. */

#include "engine.h"

#define LOG_SCALE_RANGE 6.0
#define MINIMUM_PROBABILITY 0x1p-27
#define NEWTON_STEPS 6
#define PARTS (MOST_COMPONENTS / DOUBLES)

/* One pixel's mixture, a component in each lane; those from J on weigh nothing. */
typedef struct {
    Doubles weight[PARTS], mean[PARTS], sharpness[PARTS];
} Mixture;

/* Adding and taking away 2^52 rounds a small number to an integer, which then stands in the lowest bits of the sum. */
#define INTEGER 0x1p52

/* The largest integers that are at most x, for 0 <= x < 2^31, as floating point numbers plus 2^52. */
INLINE Doubles floor_plus(Doubles x) {
    const Doubles near = x + INTEGER;
    const Longs over = (near - INTEGER) > x;
    return near + (Doubles)(over & (Longs)((Doubles){} - 1.0));
}

/* e^x by a polynomial in a fixed order and a power of two; x is clamped to +-44 (what is no number, to -44). */
INLINE Doubles exponential(Doubles x) {
    x = below(above(x, -44.0), 44.0);
    const Doubles shifted = floor_plus(x * 1.4426950408889634 + 64.5);
    const Doubles r = x - ((shifted - INTEGER) - 64.0) * 0.6931471805599453;
    const Doubles r2 = r * r, r4 = r2 * r2;
    const Doubles low = (1.0 + r) + r2 * (0.5 + r * (1.0 / 6.0));
    const Doubles high = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0));
    /* What is above the lowest bits of `shifted` goes where the shift drops it. */
    const Words power = ((Words)shifted + (1023 - 64)) << 52;
    return (low + r4 * high) * (Doubles)power;
}

/* The mixture's parameters of a vector of pixels, or of components, from the network's outputs. */
INLINE Doubles sharpness_of(Doubles log_scale, Doubles inverse_activity) {
    return exponential(-below(above(log_scale, -LOG_SCALE_RANGE), LOG_SCALE_RANGE)) * inverse_activity;
}

/* Cumulative logistic distribution. */
INLINE Doubles logistic(Doubles distance) { return 1.0 / (1.0 + exponential(-distance)); }

/* The integers floor(min(t, 1) * free). */
INLINE Longs integers(Doubles t, double free) {
    const Doubles whole = floor_plus(below(t, 1.0) * free);
    return (Longs)whole & (((int64_t)1 << 40) - 1);
}

/* For the pixels [first, last) of the batch, whose outputs, centres and symbols of channel c are known: the intervals
   of the symbols, their probabilities, and the gradient of -ln p by the outputs. */
void DZ_KERNEL(photo_intervals)(const Engine *e, int64_t c, int64_t first, int64_t last) {
    const int64_t components = e->components, experts = e->experts, size = e->size[c];
    const double *edges = e->edge + c * (e->symbols + 1);
    const double free = (double)(WHOLE - 2 * size);
    const Doubles zero = {};
    for (int64_t p = first; p < last; p += DOUBLES) {
        const float *out = e->out + (c * BATCH_ROWS + p) * e->outputs;
        float *gradient = e->out_gradient + (c * BATCH_ROWS + p) * e->outputs;
        const int64_t *symbol = e->symbol + c * BATCH_ROWS + p;
        Doubles o[3 * MOST_COMPONENTS], weight[MOST_COMPONENTS], edge[2];
        Longs outermost[2], index;
        for (int l = 0; l < DOUBLES; l++) {
            for (int64_t j = 0; j < 3 * components; j++) o[j][l] = (double)out[l * e->outputs + j];
            index[l] = symbol[l];
            edge[0][l] = edges[symbol[l]];
            edge[1][l] = edges[symbol[l] + 1];
        }
        outermost[0] = index == 0;
        outermost[1] = index == size - 1;
        const Doubles activity = load_doubles(e->activity + c * BATCH_ROWS + p), inverse_activity = 1.0 / activity;
        Doubles largest = o[0], total = zero;
        for (int64_t j = 1; j < components; j++) largest = select_doubles(o[j] > largest, o[j], largest);
        for (int64_t j = 0; j < components; j++) {
            weight[j] = exponential(o[j] - largest);
            total += weight[j];
        }
        const Doubles to_weight = 1.0 / total;
        Doubles low[MOST_COMPONENTS], high[MOST_COMPONENTS], pull[MOST_COMPONENTS], turn[MOST_COMPONENTS];
        Doubles lower = zero, upper = zero, probability = zero + MINIMUM_PROBABILITY;
        int64_t place = 0;
        for (int64_t j = 0; j < components; j++) {
            weight[j] *= to_weight;
            const Doubles centre = load_doubles(e->centre + (c * (experts + 1) + place) * BATCH_ROWS + p);
            place = place < experts ? place + 1 : 0;
            const Doubles mean = centre + activity * o[components + j];
            const Doubles log_scale = o[2 * components + j];
            const Doubles sharpness = sharpness_of(log_scale, inverse_activity);
            const Doubles near = (edge[0] - mean) * sharpness, far = (edge[1] - mean) * sharpness;
            low[j] = select_doubles(outermost[0], zero, logistic(near));
            high[j] = select_doubles(outermost[1], zero + 1.0, logistic(far));
            lower += weight[j] * low[j];
            upper += weight[j] * high[j];
            const Doubles share = weight[j] * (high[j] - low[j]);
            probability += share;
            const Doubles slope_below = low[j] * (1.0 - low[j]), slope_above = high[j] * (1.0 - high[j]);
            turn[j] = weight[j] * (slope_above - slope_below) * (sharpness * activity);
            pull[j] = weight[j] * (far * slope_above - near * slope_below);
            pull[j] = select_doubles((log_scale > -LOG_SCALE_RANGE) & (log_scale < LOG_SCALE_RANGE), pull[j], zero);
            low[j] = share;
        }
        const Doubles inverse = 1.0 / probability;
        const Doubles inside = (probability - MINIMUM_PROBABILITY) * inverse;
        for (int64_t j = 0; j < components; j++) {
            const Doubles by_logit = weight[j] * inside - low[j] * inverse;
            const Doubles by_offset = turn[j] * inverse, by_log_scale = pull[j] * inverse;
            for (int l = 0; l < DOUBLES; l++) {
                gradient[l * e->outputs + j] = (float)by_logit[l];
                gradient[l * e->outputs + components + j] = (float)by_offset[l];
                gradient[l * e->outputs + 2 * components + j] = (float)by_log_scale[l];
            }
        }
        const Longs start = (integers(lower, free) + 2 * index) & ~outermost[0];
        const Longs stop = integers(upper, free) + 2 * (index + 1);
        for (int l = 0; l < DOUBLES; l++) {
            e->lower[c * BATCH_ROWS + p + l] = start[l];
            e->upper[c * BATCH_ROWS + p + l] = outermost[1][l] ? WHOLE : stop[l];
            e->probability[c * BATCH_ROWS + p + l] = probability[l];
        }
    }
}

/* Sum in order of weight * x over the J components. */
INLINE double weigh(const Mixture *m, const Doubles *x, int64_t components) {
    double product[MOST_COMPONENTS], total = 0.0;
    for (int k = 0; k < PARTS; k++) store_doubles(product + k * DOUBLES, m->weight[k] * x[k]);
    for (int64_t j = 0; j < components; j++) total += product[j];
    return total;
}

/* Where the interval of symbol `index` begins, and each component's cumulative distribution there. */
INLINE int64_t cumulative(const Engine *e, const Mixture *m, int64_t c, int64_t index, Doubles *cdf) {
    const int64_t size = e->size[c];
    const double edge = e->edge[c * (e->symbols + 1) + index];
    for (int k = 0; k < PARTS; k++) cdf[k] = logistic((edge - m->mean[k]) * m->sharpness[k]);
    const double total = weigh(m, cdf, e->components);
    if (index <= 0) return 0;
    if (index >= size) return WHOLE;
    return (int64_t)((total < 1.0 ? total : 1.0) * (double)(WHOLE - 2 * size)) + 2 * index;
}

/* About how much the intervals' ends rise for each sample value, where the components have these distributions. */
INLINE double density(const Engine *e, const Mixture *m, const Doubles *cdf) {
    Doubles slope[PARTS];
    for (int k = 0; k < PARTS; k++) slope[k] = m->sharpness[k] * (cdf[k] * (1.0 - cdf[k]));
    return (MINIMUM_PROBABILITY + weigh(m, slope, e->components)) * (double)WHOLE;
}

/* About log2 x, to 0.01, for normal x > 0. */
INLINE double rough_log2(double x) {
    union {
        double x;
        int64_t bits;
    } u = {x};
    const int64_t exponent = (u.bits >> 52) - 1023;
    u.bits = (u.bits & (((int64_t)1 << 52) - 1)) | (int64_t)1023 << 52;
    const double fraction = u.x - 1.0;
    return (double)exponent + fraction * (1.3465 - 0.3465 * fraction);
}

/* The symbol of channel c whose value is nearest to `value`. */
INLINE int64_t nearest(const Engine *e, int64_t c, double value) {
    const int64_t last = e->size[c] - 1, *values = e->value + c * e->symbols;
    const double *edges = e->edge + c * (e->symbols + 1);
    if (!(value > (double)values[0])) return 0;
    if (!(value < (double)values[last])) return last;
    if (values[last] - values[0] == last) return (int64_t)(value - (double)values[0] + 0.5);
    int64_t low = 0, high = last;
    while (low < high) {
        const int64_t at = (low + high + 1) >> 1;
        if (edges[at] <= value)
            low = at;
        else
            high = at - 1;
    }
    return low;
}

/* The mixture of channel c of pixel b. */
INLINE void mixture_of(const Engine *e, int64_t c, int64_t b, Mixture *m) {
    const int64_t components = e->components, experts = e->experts;
    const float *out = e->out + (c * BATCH_ROWS + b) * e->outputs;
    const double activity = e->activity[c * BATCH_ROWS + b], inverse_activity = 1.0 / activity;
    const double *centres = e->centre + c * (experts + 1) * BATCH_ROWS + b;
    double largest = (double)out[0];
    for (int64_t j = 1; j < components; j++) largest = (double)out[j] > largest ? (double)out[j] : largest;
    double centre[MOST_COMPONENTS], weight[MOST_COMPONENTS], total = 0.0;
    for (int64_t j = 0, place = 0; j < MOST_COMPONENTS; j++) {
        centre[j] = centres[place * BATCH_ROWS];
        place = place < experts ? place + 1 : 0;
    }
    /* The lanes behind the last component take what stands there, outputs of any kind, and get no weight. */
    for (int k = 0; k < PARTS; k++) {
        const float *own = out + k * DOUBLES;
        store_doubles(weight + k * DOUBLES, exponential(widen(own) - largest));
        m->mean[k] = load_doubles(centre + k * DOUBLES) + activity * widen(own + components);
        m->sharpness[k] = sharpness_of(widen(own + 2 * components), (Doubles){} + inverse_activity);
    }
    for (int64_t j = 0; j < components; j++) total += weight[j];
    for (int64_t j = components; j < MOST_COMPONENTS; j++) weight[j] = 0.0;
    for (int k = 0; k < PARTS; k++) m->weight[k] = load_doubles(weight + k * DOUBLES) * (1.0 / total);
}

/* The symbol of pixel b whose interval holds `target`; its two ends go to `interval`.

   Where the search looks has no influence on what it finds. It begins where a single logistic distribution with the
   mixture's mean and mean scale has the target, which is right for five symbols of six, and follows Newton's rule inside
   the bracket found so far; if that does not end soon, it halves the bracket. */
int64_t DZ_KERNEL(photo_find)(const Engine *e, int64_t c, int64_t b, int64_t target, int64_t *interval) {
    const int64_t components = e->components;
    Mixture m;
    mixture_of(e, c, b, &m);
    const double *edges = e->edge + c * (e->symbols + 1);
    const double odds = 0.6931 * (rough_log2((double)target + 0.5) - rough_log2((double)(WHOLE - target) - 0.5));
    Doubles first[PARTS], left[PARTS], right[PARTS];
    for (int k = 0; k < PARTS; k++) first[k] = m.mean[k] + odds / m.sharpness[k];
    int64_t low = 0, high = e->size[c] - 1, at = nearest(e, c, weigh(&m, first, components));
    int64_t start = 0, stop = WHOLE;
    for (int tries = 1; low < high; tries++) {
        start = cumulative(e, &m, c, at, left);
        stop = cumulative(e, &m, c, at + 1, right);
        double guess;
        if (target < start) {
            guess = edges[at] + (double)(target - start) / density(e, &m, left);
            high = at - 1;
        } else if (target >= stop) {
            guess = edges[at + 1] + (double)(target - stop) / density(e, &m, right);
            low = at + 1;
        } else {
            interval[0] = start, interval[1] = stop;
            return at;
        }
        if (tries < NEWTON_STEPS) {
            at = nearest(e, c, guess);
            at = at < low ? low : at > high ? high : at;
        } else
            at = (low + high) >> 1;
    }
    /* One is left. Sums that are no numbers could leave none, or a symbol that is not there. */
    low = low < 0 ? 0 : low < e->size[c] ? low : e->size[c] - 1;
    interval[0] = cumulative(e, &m, c, low, left);
    interval[1] = cumulative(e, &m, c, low + 1, right);
    return low;
}
