/* Linear experts that learn inside the image: weighted recursive least squares (RLS) over causal neighbours.

   The experts' products are the larger part of the work. A sample's product with the covariance is taken in the same
   pass in which the covariance learns the sample before: so each covariance is read and written once a sample. */

#include "engine.h"

#define COUPLING_MEMORY 0.998
#define COUPLING_FLOOR 1e-4
#define PRIOR_VARIANCE 0.01

static const int8_t FEED[MOST_FED][2] = {{-1, 6}, {-2, 5}, {-3, 4}};

/* Inner product in eight partial sums, of the products whose index is l modulo 8, which are then added in order. */
INLINE double dot(const double *a, const double *b, int64_t length) {
    Doubles sum[8 / DOUBLES] = {};
    for (int64_t i = 0; i < length; i += 8)
        UNROLL for (int k = 0; k < 8 / DOUBLES; k++)
            sum[k] += load_doubles(a + i + k * DOUBLES) * load_doubles(b + i + k * DOUBLES);
    double total = sum[0][0];
    UNROLL for (int l = 1; l < 8; l++) total += sum[l / DOUBLES][l % DOUBLES];
    return total;
}

/* The same with a vector of ones. */
INLINE double sum_of(const double *a, int64_t length) {
    Doubles sum[8 / DOUBLES] = {};
    for (int64_t i = 0; i < length; i += 8)
        UNROLL for (int k = 0; k < 8 / DOUBLES; k++) sum[k] += load_doubles(a + i + k * DOUBLES);
    double total = sum[0][0];
    UNROLL for (int l = 1; l < 8; l++) total += sum[l / DOUBLES][l % DOUBLES];
    return total;
}

/* V vectors of columns of a pass over a matrix: m = (m - g gT) * scale where there is a g, and out = x m, the rows added
   in their order. */
#define PASS(V)                                                                                            \
    static void pass_##V(double *m, int64_t n, const double *g, int64_t column, double scale, const double *x, \
                         double *out) {                                                                    \
        Doubles sum[V] = {}, own[V];                                                                       \
        UNROLL for (int k = 0; k < V; k++) own[k] = load_doubles(g + column + k * DOUBLES);                \
        double *row = m + column;                                                                          \
        for (int64_t i = 0; i < n; i++, row += n) {                                                        \
            const double gi = g[i], xi = x[i];                                                             \
            UNROLL for (int k = 0; k < V; k++) {                                                           \
                const Doubles value = (load_doubles(row + k * DOUBLES) - gi * own[k]) * scale;             \
                store_doubles(row + k * DOUBLES, value);                                                   \
                sum[k] += xi * value;                                                                      \
            }                                                                                              \
        }                                                                                                  \
        UNROLL for (int k = 0; k < V; k++) store_doubles(out + column + k * DOUBLES, sum[k]);              \
    }

#define TIMES(V)                                                                                           \
    static void times_##V(const double *m, int64_t n, int64_t column, const double *x, double *out) {      \
        Doubles sum[V] = {};                                                                               \
        const double *row = m + column;                                                                    \
        for (int64_t i = 0; i < n; i++, row += n) {                                                        \
            const double xi = x[i];                                                                        \
            UNROLL for (int k = 0; k < V; k++) sum[k] += xi * load_doubles(row + k * DOUBLES);             \
        }                                                                                                  \
        UNROLL for (int k = 0; k < V; k++) store_doubles(out + column + k * DOUBLES, sum[k]);              \
    }

PASS(1) PASS(2) PASS(3) PASS(4)
TIMES(1) TIMES(4)
#if VECTOR == 64
PASS(5) PASS(8) PASS(11)
#endif

/* out = x m, the rows added in their order. */
static void product(const double *m, int64_t n, const double *x, double *out) {
    int64_t column = 0;
    for (; n - column >= 4 * DOUBLES; column += 4 * DOUBLES) times_4(m, n, column, x, out);
    for (; column < n; column += DOUBLES) times_1(m, n, column, x, out);
}

/* m = (m - g gT) * scale, then out = x m. What is symmetric stays so to the last bit. */
static void downdate_and_product(double *m, int64_t n, const double *g, double scale, const double *x, double *out) {
    int64_t column = 0;
    while (column < n) {
        const int64_t left = (n - column) / DOUBLES;
#if VECTOR == 64
        if (left >= 11) { pass_11(m, n, g, column, scale, x, out); column += 11 * DOUBLES; continue; }
        if (left >= 8) { pass_8(m, n, g, column, scale, x, out); column += 8 * DOUBLES; continue; }
        if (left >= 5) { pass_5(m, n, g, column, scale, x, out); column += 5 * DOUBLES; continue; }
#endif
        if (left >= 4) { pass_4(m, n, g, column, scale, x, out); column += 4 * DOUBLES; }
        else if (left >= 3) { pass_3(m, n, g, column, scale, x, out); column += 3 * DOUBLES; }
        else if (left >= 2) { pass_2(m, n, g, column, scale, x, out); column += 2 * DOUBLES; }
        else { pass_1(m, n, g, column, scale, x, out); column += DOUBLES; }
    }
}

/* Write the differences of `places` neighbours to the west pixel, for each neighbour each channel; 0 above the image. */
void DZ_KERNEL(photo_regressors)(const Engine *e, int64_t y, int64_t x, int64_t places, double *z) {
    const int64_t channels = e->channels;
    const double *column = e->values + (x + PAD) * 4;
    const Four west = load_four(column + (y & (ROWS - 1)) * e->span * 4 - 4);
    for (int64_t n = 0; n < places; n++) {
        const int64_t dy = e->neighbour[2 * n], dx = e->neighbour[2 * n + 1];
        const Four there = load_four(column + (((y + dy) & (ROWS - 1)) * e->span + dx) * 4);
        /* The idle channels are written too, over what the next neighbour or the room behind the last one holds. */
        store_four(z + n * channels, y + dy >= 0 ? there - west : (Four){});
    }
}

/* Every expert's prediction of the pixel with the regressors z, relative to the west pixel, to `raw`. */
void DZ_KERNEL(photo_predict)(const Engine *e, const double *z) {
    for (int64_t k = 0; k < e->experts; k++)
        for (int64_t c = 0; c < e->channels; c++)
            e->raw[c * MOST_EXPERTS + k] = dot(e->weight + (k * e->channels + c) * e->largest, z, e->count[k]);
}

/* The products of all covariances with the regressors of the first pixel, before anything is learnt. */
void DZ_KERNEL(photo_begin)(const Engine *e, const double *z) {
    for (int64_t k = 0; k < e->experts; k++)
        product(e->covariance + e->start[k], e->count[k], z, e->gain + k * e->largest);
}

/* One RLS step of expert k on the sample z, whose product with the covariance is in `gain`, with the errors
   error[c * stride]; `next` is the sample that this expert learns after it. */
void DZ_KERNEL(photo_update)(const Engine *e, int64_t k, const double *z, const double *error, int64_t stride,
                             double variance, const double *next) {
    const int64_t n = e->count[k];
    double *matrix = e->covariance + e->start[k], *gain = e->gain + k * e->largest;
    double *diagonal = e->diagonal + k * e->largest;
    const double power = dot(gain, z, n);
    if (!(power >= 0.0)) { /* lost to rounding, or not a number: this covariance starts again */
        for (int64_t i = 0; i < n * n; i++) matrix[i] = 0.0;
        for (int64_t i = 0; i < e->used[k]; i++) matrix[i * (n + 1)] = diagonal[i] = PRIOR_VARIANCE;
        product(matrix, n, next, gain);
        return;
    }
    const double memory = e->memory[k], inverse = 1.0 / (memory * variance + power);
    for (int64_t c = 0; c < e->channels; c++) {
        const double step = error[c * stride] * inverse;
        double *weight = e->weight + (k * e->channels + c) * e->largest;
        for (int64_t i = 0; i < n; i += DOUBLES)
            store_doubles(weight + i, load_doubles(weight + i) + step * load_doubles(gain + i));
    }
    /* Where the mean variance has come back to that of the prior times 100, nothing is forgotten. */
    const double scale = sum_of(diagonal, n) < (double)e->used[k] ? 1.0 / memory : 1.0;
    const double root = __builtin_sqrt(inverse);
    for (int64_t i = 0; i < n; i += DOUBLES) {
        const Doubles g = load_doubles(gain + i) * root;
        store_doubles(gain + i, g);
        store_doubles(diagonal + i, (load_doubles(diagonal + i) - g * g) * scale);
    }
    double product_of_next[256];
    downdate_and_product(matrix, n, gain, scale, next, product_of_next);
    for (int64_t i = 0; i < n; i += DOUBLES) store_doubles(gain + i, load_doubles(product_of_next + i));
}

/* Decayed sums of products of the channels' errors of all experts. */
static void couple(const Engine *e, double variance) {
    const double confidence = 1.0 / variance;
    for (int64_t a = 0; a < e->channels; a++)
        for (int64_t b = 0; b < e->channels; b++) {
            double *sum = e->coupling + (a * e->channels + b) * MOST_EXPERTS;
            const double *left = e->error + a * MOST_EXPERTS, *right = e->error + b * MOST_EXPERTS;
            const double floor = a == b ? COUPLING_FLOOR : 0.0;
            for (int64_t k = 0; k < MOST_EXPERTS; k += DOUBLES) {
                const Doubles product = load_doubles(left + k) * load_doubles(right + k) * confidence;
                store_doubles(sum + k, (COUPLING_MEMORY * load_doubles(sum + k) + product) + floor);
            }
        }
}

/* Let every expert learn the pixel (y, x), whose regressors are z and whose errors are known, and those it is fed;
   `next` are the regressors of the pixel after it. */
void DZ_KERNEL(photo_learn)(const Engine *e, int64_t y, int64_t x, const double *z, const double *next) {
    const double *sample[MOST_FED], *values[MOST_FED];
    double variance[MOST_FED];
    int64_t number[MOST_FED], samples = 0;
    for (int64_t f = 0; f < MOST_FED && e->fed_places > 0; f++) {
        const int64_t fy = y + FEED[f][0], fx = x + FEED[f][1];
        if (fy < 0 || fx >= e->width) continue;
        double *own = e->fed_regressor + samples * e->largest;
        DZ_KERNEL(photo_regressors)(e, fy, fx, e->fed_places, own);
        const int64_t at = (fy & (ROWS - 1)) * e->span + fx + PAD;
        sample[samples] = own;
        values[samples] = e->values + at * 4;
        variance[samples] = e->variance[at];
        number[samples++] = f;
    }
    const double here = e->variance[(y & (ROWS - 1)) * e->span + x + PAD];
    for (int64_t k = 0; k < e->experts; k++) {
        int64_t own = 0;
        while (own < samples && number[own] < e->fed[k]) own++;
        DZ_KERNEL(photo_update)(e, k, z, e->error + k, MOST_EXPERTS, here, own > 0 ? sample[0] : next);
        for (int64_t s = 0; s < own; s++) {
            double error[4];
            for (int64_t c = 0; c < e->channels; c++) {
                const double target = values[s][c] - values[s][c - 4];
                error[c] = target - dot(e->weight + (k * e->channels + c) * e->largest, sample[s], e->count[k]);
            }
            DZ_KERNEL(photo_update)(e, k, sample[s], error, 1, variance[s], s + 1 < own ? sample[s + 1] : next);
        }
    }
    couple(e, here);
}
