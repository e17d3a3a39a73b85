/* Linear experts that learn inside the image: weighted recursive least squares (RLS) over causal neighbours.

   An expert has one state, or, from a certain pixel on, one for each of the four phases (x mod 2, y mod 2): where colours
   were stored at half resolution or a sensor saw one colour a pixel, the places of the four kinds differ. It may have one
   for each phase and direction: across an edge and along it one predicts differently.

   The experts' products are the larger part of the work. What a sample changes in its state's covariance is left to the
   pass in which the next sample of that state is multiplied with it: so each covariance is read and written once a
   sample. Covariances, weights and regressors, which are whole numbers, are floats. */

#include "engine.h"

#define COUPLING_MEMORY 0.998
#define COUPLING_FLOOR 1e-4
#define PRIOR_VARIANCE 0.01f
#define STEEP 1.5
#define SUMS 16 /* in which inner products are taken */

static const int8_t FEED[MOST_FED][2] = {{-1, 6}, {-2, 5}, {-3, 4}};

/* Sixteen sums added up in halves, down to four. */
INLINE Quad quarters(const Floats *sum) {
    Quad four[SUMS / 4];
    UNROLL for (int k = 0; k < SUMS / FLOATS; k++)
        UNROLL for (int q = 0; q < FLOATS / 4; q++)
            UNROLL for (int l = 0; l < 4; l++) four[k * (FLOATS / 4) + q][l] = sum[k][4 * q + l];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

/* The total of sixteen sums: in halves. */
INLINE float total(const Floats *sum) {
    const Quad four = quarters(sum);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

/* Inner product in sums of the products whose index is l modulo 16. */
INLINE float dot(const float *a, const float *b, int64_t length) {
    Floats sum[SUMS / FLOATS] = {};
    for (int64_t i = 0; i < length; i += SUMS)
        UNROLL for (int k = 0; k < SUMS / FLOATS; k++)
            sum[k] += load_floats(a + i + k * FLOATS) * load_floats(b + i + k * FLOATS);
    return total(sum);
}

/* The same sums of three vectors, `step` floats apart, with one; their totals are taken together. */
INLINE Quad dots(const float *a, int64_t step, const float *b, int64_t length) {
    Floats sum[3][SUMS / FLOATS] = {};
    for (int64_t i = 0; i < length; i += SUMS)
        UNROLL for (int k = 0; k < SUMS / FLOATS; k++) {
            const Floats own = load_floats(b + i + k * FLOATS);
            UNROLL for (int c = 0; c < 3; c++) sum[c][k] += load_floats(a + c * step + i + k * FLOATS) * own;
        }
    const Quad first = quarters(sum[0]), second = quarters(sum[1]), third = quarters(sum[2]);
    /* Of each four the sums of its first and third, second and fourth numbers. */
    const Quad low = __builtin_shufflevector(first, second, 0, 1, 4, 5) + __builtin_shufflevector(first, second, 2, 3, 6, 7);
    const Quad high = __builtin_shufflevector(third, third, 0, 1, 2, 3) + __builtin_shufflevector(third, third, 2, 3, 0, 1);
    return __builtin_shufflevector(low, high, 0, 2, 4, 4) + __builtin_shufflevector(low, high, 1, 3, 5, 5);
}

/* The same with a vector of ones. */
INLINE float sum_of(const float *a, int64_t length) {
    Floats sum[SUMS / FLOATS] = {};
    for (int64_t i = 0; i < length; i += SUMS)
        UNROLL for (int k = 0; k < SUMS / FLOATS; k++) sum[k] += load_floats(a + i + k * FLOATS);
    return total(sum);
}

/* V vectors of columns of a pass over a matrix: m = (m - g gT) * scale, and out = x m, the rows added in their order. */
#define PASS(V)                                                                                            \
    static void pass_##V(float *m, int64_t n, int64_t rows, const float *g, int64_t column, float scale,   \
                         const float *x, float *out) {                                                     \
        Floats sum[V] = {}, own[V];                                                                        \
        UNROLL for (int k = 0; k < V; k++) own[k] = load_floats(g + column + k * FLOATS);                  \
        float *row = m + column;                                                                           \
        for (int64_t i = 0; i < rows; i++, row += n) {                                                     \
            const float gi = g[i], xi = x[i];                                                              \
            UNROLL for (int k = 0; k < V; k++) {                                                           \
                const Floats value = (load_floats(row + k * FLOATS) - gi * own[k]) * scale;                \
                store_floats(row + k * FLOATS, value);                                                     \
                sum[k] += xi * value;                                                                      \
            }                                                                                              \
        }                                                                                                  \
        UNROLL for (int k = 0; k < V; k++) store_floats(out + column + k * FLOATS, sum[k]);                \
    }

PASS(1) PASS(2) PASS(3) PASS(4)
#if VECTOR == 64
PASS(6)
#endif

/* m = (m - g gT) * scale, then out = x m, of a matrix whose rows from `rows` on are zero. What is symmetric stays so to
   the last bit. */
static void downdate_and_product(float *m, int64_t n, int64_t rows, const float *g, float scale, const float *x,
                                 float *out) {
    int64_t column = 0;
    while (column < n) {
        const int64_t left = (n - column) / FLOATS;
#if VECTOR == 64
        if (left == 6) { pass_6(m, n, rows, g, column, scale, x, out); break; }
#endif
        if (left >= 4) { pass_4(m, n, rows, g, column, scale, x, out); column += 4 * FLOATS; }
        else if (left >= 3) { pass_3(m, n, rows, g, column, scale, x, out); column += 3 * FLOATS; }
        else if (left >= 2) { pass_2(m, n, rows, g, column, scale, x, out); column += 2 * FLOATS; }
        else { pass_1(m, n, rows, g, column, scale, x, out); column += FLOATS; }
    }
}

/* Write the differences of `places` neighbours to the west pixel, for each neighbour each channel; 0 above the image. */
void DZ_KERNEL(photo_regressors)(const Engine *e, int64_t y, int64_t x, int64_t places, float *z) {
    const int64_t channels = e->channels;
    const double *column = e->values + (x + PAD) * 4;
    const Four west = load_four(column + (y & (ROWS - 1)) * e->span * 4 - 4);
    for (int64_t n = 0; n < places; n++) {
        const int64_t dy = e->neighbour[2 * n], dx = e->neighbour[2 * n + 1];
        const Four there = load_four(column + (((y + dy) & (ROWS - 1)) * e->span + dx) * 4);
        /* The idle channels are written too, over what the next neighbour or the room behind the last one holds. */
        put_four(z + n * channels, y + dy >= 0 ? there - west : (Four){});
    }
}

/* 1 where the samples near by change mostly from row to row, 2 where from column to column, else 0. */
INLINE int64_t direction_of(const Engine *e, int64_t y, int64_t x) {
    if (y < 2) return 0;
    const double *place = e->values + (x + PAD) * 4, *row = place + (y & (ROWS - 1)) * e->span * 4;
    const double *above = place + ((y - 1) & (ROWS - 1)) * e->span * 4;
    const double *above2 = place + ((y - 2) & (ROWS - 1)) * e->span * 4;
    double down = 0.0, across = 0.0; /* whole numbers: their sums are exact */
    for (int64_t c = 0; c < e->channels; c++) {
        const double west = row[c - 4], north = above[c], northwest = above[c - 4], northeast = above[c + 4];
        down += __builtin_fabs(west - northwest) + __builtin_fabs(north - above2[c]) +
                __builtin_fabs(northeast - above2[c + 4]);
        across += __builtin_fabs(west - row[c - 8]) + __builtin_fabs(north - northwest) +
                  __builtin_fabs(north - northeast);
    }
    return down > STEEP * across ? 1 : across > STEEP * down ? 2 : 0;
}

/* Number of the state of expert k for the pixel (y, x). */
INLINE int64_t state_of(const Engine *e, int64_t k, int64_t y, int64_t x) {
    if (!e->parted[k]) return k * MOST_STATES;
    return k * MOST_STATES + phase_of(y, x) + (e->states[k] > PHASES ? PHASES * direction_of(e, y, x) : 0);
}

INLINE float *weight_of(const Engine *e, int64_t state, int64_t c) {
    return e->weight + (state * e->channels + c) * e->largest;
}

/* Every expert's prediction of the pixel (y, x) with the regressors z, relative to the west pixel, to `raw`. */
void DZ_KERNEL(photo_predict)(const Engine *e, int64_t y, int64_t x, const float *z) {
    const int64_t channels = e->channels, largest = e->largest;
    double *raw = e->raw;
    for (int64_t k = 0; k < e->experts; k++) {
        const float *weight = weight_of(e, state_of(e, k, y, x), 0);
        if (channels == 3) {
            const Quad three = dots(weight, largest, z, e->count[k]);
            UNROLL for (int c = 0; c < 3; c++) raw[c * MOST_EXPERTS + k] = (double)three[c];
        } else
            for (int64_t c = 0; c < channels; c++)
                raw[c * MOST_EXPERTS + k] = (double)dot(weight + c * largest, z, e->count[k]);
    }
}

/* One RLS step of a state of expert k on the sample z with the errors error[c * stride]. */
void DZ_KERNEL(photo_update)(const Engine *e, int64_t k, int64_t state, const float *z, const double *error,
                             int64_t stride, double variance) {
    const int64_t n = e->count[k], used = e->used[k];
    float *matrix = e->covariance + e->start[k] + (state - k * MOST_STATES) * n * n;
    float *pending = e->gain + state * e->largest, *diagonal = e->diagonal + state * e->largest;
    float gain[256];
    downdate_and_product(matrix, n, used, pending, e->scale[state], z, gain);
    const float power = dot(gain, z, n);
    if (!(power >= 0.0f)) { /* lost to rounding, or not a number: this covariance starts again */
        for (int64_t i = 0; i < n * n; i++) matrix[i] = 0.0f;
        for (int64_t i = 0; i < used; i++) matrix[i * (n + 1)] = diagonal[i] = PRIOR_VARIANCE;
        for (int64_t i = 0; i < n; i++) pending[i] = 0.0f;
        e->scale[state] = 1.0f;
        return;
    }
    const double memory = e->memory[k], inverse = 1.0 / (memory * variance + (double)power);
    for (int64_t c = 0; c < e->channels; c++) {
        const float step = (float)(error[c * stride] * inverse);
        float *weight = weight_of(e, state, c);
        for (int64_t i = 0; i < n; i += FLOATS)
            store_floats(weight + i, load_floats(weight + i) + step * load_floats(gain + i));
    }
    /* Where the mean variance has come back to that of the prior times 100, nothing is forgotten. */
    const float scale = sum_of(diagonal, n) < (float)used ? (float)(1.0 / memory) : 1.0f;
    const float root = (float)__builtin_sqrt(inverse);
    for (int64_t i = 0; i < n; i += FLOATS) {
        const Floats g = load_floats(gain + i) * root;
        store_floats(pending + i, g);
        store_floats(diagonal + i, (load_floats(diagonal + i) - g * g) * scale);
    }
    e->scale[state] = scale;
}

/* Let expert k have several states, all of which begin as the one that has learnt so far. */
static void part(const Engine *e, int64_t k) {
    const int64_t size = e->count[k] * e->count[k];
    float *matrix = e->covariance + e->start[k];
    for (int64_t p = 1; p < e->states[k]; p++) {
        const int64_t from = k * MOST_STATES, to = from + p;
        for (int64_t i = 0; i < size; i++) matrix[p * size + i] = matrix[i];
        for (int64_t i = 0; i < e->channels * e->largest; i++) weight_of(e, to, 0)[i] = weight_of(e, from, 0)[i];
        for (int64_t i = 0; i < e->largest; i++) {
            e->gain[to * e->largest + i] = e->gain[from * e->largest + i];
            e->diagonal[to * e->largest + i] = e->diagonal[from * e->largest + i];
        }
        e->scale[to] = e->scale[from];
    }
    e->parted[k] = 1;
}

/* Decayed sums of products of the channels' errors of all experts, over all pixels or those of one phase. */
static void couple(const Engine *e, double *sum, double variance) {
    const double confidence = 1.0 / variance;
    for (int64_t a = 0; a < e->channels; a++)
        for (int64_t b = 0; b < e->channels; b++, sum += MOST_EXPERTS) {
            const double *left = e->error + a * MOST_EXPERTS, *right = e->error + b * MOST_EXPERTS;
            const double floor = a == b ? COUPLING_FLOOR : 0.0;
            for (int64_t k = 0; k < MOST_EXPERTS; k += DOUBLES) {
                const Doubles product = load_doubles(left + k) * load_doubles(right + k) * confidence;
                store_doubles(sum + k, (COUPLING_MEMORY * load_doubles(sum + k) + product) + floor);
            }
        }
}

/* Let every expert learn the pixel (y, x), the last of `pixels`, whose regressors are z and whose errors are known, and
   those it is fed. */
void DZ_KERNEL(photo_learn)(const Engine *e, int64_t y, int64_t x, const float *z) {
    int64_t fed_y[MOST_FED], fed_x[MOST_FED], number[MOST_FED], samples = 0;
    for (int64_t f = 0; f < MOST_FED && e->fed_places > 0; f++) {
        const int64_t fy = y + FEED[f][0], fx = x + FEED[f][1];
        if (fy < 0 || fx >= e->width) continue;
        DZ_KERNEL(photo_regressors)(e, fy, fx, e->fed_places, e->fed_regressor + samples * e->largest);
        fed_y[samples] = fy, fed_x[samples] = fx;
        number[samples++] = f;
    }
    const double here = e->variance[(y & (ROWS - 1)) * e->span + x + PAD];
    for (int64_t k = 0; k < e->experts; k++) {
        DZ_KERNEL(photo_update)(e, k, state_of(e, k, y, x), z, e->error + k, MOST_EXPERTS, here);
        for (int64_t s = 0; s < samples && number[s] < e->fed[k]; s++) {
            const int64_t at = (fed_y[s] & (ROWS - 1)) * e->span + fed_x[s] + PAD;
            const int64_t state = state_of(e, k, fed_y[s], fed_x[s]);
            const float *own = e->fed_regressor + s * e->largest;
            const double *values = e->values + at * 4;
            double error[4];
            for (int64_t c = 0; c < e->channels; c++)
                error[c] = (values[c] - values[c - 4]) - (double)dot(weight_of(e, state, c), own, e->count[k]);
            DZ_KERNEL(photo_update)(e, k, state, own, error, 1, e->variance[at]);
        }
        if (e->states[k] > 1 && e->pixels == e->parting[k]) part(e, k);
    }
    couple(e, e->coupling, here);
    couple(e, e->coupling + (1 + phase_of(y, x)) * e->channels * e->channels * MOST_EXPERTS, here);
}
