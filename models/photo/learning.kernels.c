/* The photo network learns: backward over a batch in integers, then a step of Adam.

   The weights that learn are floats; after each step they are rounded for the next batch. */

#include "products.h"

#define KEEP_MEAN 0.9f
#define TAKE_MEAN ((float)(1.0 - 0.9))
#define KEEP_SQUARE 0.99f
#define TAKE_SQUARE ((float)(1.0 - 0.99))
#define EPSILON 1e-7f
#define TINY 1e-30f /* keeps the moments of idle units from becoming denormal numbers, which are slow */

typedef int16_t Eight __attribute__((vector_size(16)));
typedef int16_t EightAt __attribute__((vector_size(16), aligned(4), may_alias));

/* Two integers of 16 bits in one of 32. */
INLINE Ints paired(Ints low, Ints high) { return (low & 0xFFFF) | (Ints)((Uints)high << 16); }

/* One step of Adam on n neighbouring parameters from `at` on, without bias correction: training gave the squares. */
INLINE void adam(const Engine *e, int64_t at, const float *gradient, int64_t n, float rate) {
    float *parameter = e->parameters + at, *mean = e->mean + at, *square = e->square + at;
    for (int64_t i = 0; i < n; i++) {
        const float g = gradient[i];
        mean[i] = mean[i] * KEEP_MEAN + g * TAKE_MEAN + TINY;
        square[i] = square[i] * KEEP_SQUARE + (g * g) * TAKE_SQUARE + TINY;
        parameter[i] -= rate * mean[i] / (__builtin_sqrtf(square[i]) + EPSILON);
    }
}

/* The integers of 16 bits nearest to `places` binary places of x, those half way to even ones. */
INLINE Ints rounded(Floats x, int places) {
    const Floats bound = below_floats(above_floats(x * (float)(1 << places), -LARGEST), LARGEST);
    return (Ints)(bound + 0x1.8p23f) - 0x4B400000;
}

/* What a layer learns from: its inputs and the gradients of its outputs, of all pairs of pixels of the batch. */
typedef struct {
    const int32_t *x, *g;
    int64_t rows, columns, first, pair; /* of the layer */
    float rate;
} Lesson;

/* The gradients of R rows by V vectors of weights, summed over the pixels, and the step that they lead to. */
#define LEARN(R, V)                                                                                        \
    static void learn_##R##_##V(const Engine *e, const Lesson *a, int64_t row, int64_t column) {           \
        Ints sum[R][V] = {};                                                                               \
        const int32_t *x = a->x + row, *g = a->g + column;                                                 \
        const int64_t columns = a->columns, rows = a->rows;                                                \
        for (int p = 0; p < BATCH / 2; p++, x += rows, g += columns) {                                     \
            Ints own[V];                                                                                   \
            UNROLL for (int k = 0; k < V; k++) own[k] = *(const IntsAt *)(g + k * FLOATS);                 \
            UNROLL for (int r = 0; r < R; r++) {                                                           \
                const Ints xi = (Ints){} + x[r];                                                           \
                UNROLL for (int k = 0; k < V; k++) sum[r][k] = plus(sum[r][k], pair_products(xi, own[k])); \
            }                                                                                              \
        }                                                                                                  \
        for (int r = 0; r < R; r++) {                                                                      \
            float gradient[V * FLOATS];                                                                    \
            for (int k = 0; k < V; k++)                                                                    \
                store_floats(gradient + k * FLOATS, __builtin_convertvector(sum[r][k], Floats) *           \
                                                        (0x1p-7f / (1 << (UNIT_PLACES + GRADIENT_PLACES)))); \
            adam(e, a->first + (row + r) * columns + column, gradient, V * FLOATS, a->rate);               \
        }                                                                                                  \
        for (int r = 0; r < R; r += 2)                                                                     \
            for (int k = 0; k < V; k++) {                                                                  \
                const float *own = e->parameters + a->first + (row + r) * columns + column + k * FLOATS;   \
                const Ints low = rounded(load_floats(own), WEIGHT_PLACES);                                 \
                const Ints high = rounded(load_floats(own + columns), WEIGHT_PLACES);                      \
                *(IntsAt *)(e->rounded + a->pair + (row + r) / 2 * columns + column + k * FLOATS) =        \
                    paired(low, high);                                                                     \
            }                                                                                              \
    }

#if VECTOR == 64
LEARN(4, 6) LEARN(4, 5) LEARN(4, 4) LEARN(4, 3) LEARN(4, 2) LEARN(4, 1)
#else
LEARN(4, 2) LEARN(4, 1)
#endif

#define LEARNS(R, V)                                                                          \
    {                                                                                         \
        for (int64_t row = 0; row < layer.rows; row += R) learn_##R##_##V(e, &a, row, column); \
        column += V * FLOATS;                                                                 \
        break;                                                                                \
    }

/* n numbers of each pixel, a multiple of four, in pairs of pixels. */
INLINE void pair_pixels(const int16_t *x, int64_t x_step, int64_t n, int32_t *out) {
    for (int64_t p = 0; p < BATCH; p += 2, x += 2 * x_step, out += n) {
        int64_t i = 0;
        for (; i + FLOATS <= n; i += FLOATS)
            *(IntsAt *)(out + i) = paired(__builtin_convertvector(*(const ShortsAt *)(x + i), Ints),
                                          __builtin_convertvector(*(const ShortsAt *)(x + x_step + i), Ints));
        for (; i < n; i++) out[i] = (int32_t)((uint16_t)x[i] | (uint32_t)x[x_step + i] << 16);
    }
}

/* Learn a layer's weights and bias from its inputs x and the gradients of its outputs, `slope`. */
static void learn_layer(const Engine *e, int64_t number, const int16_t *x, int64_t x_step, float rate) {
    const Layer layer = layer_at(e, number);
    const int16_t *slope = e->slope;
    pair_pixels(x, x_step, layer.rows, e->paired_units);
    pair_pixels(slope, layer.columns, layer.columns, e->paired_slopes);
    const Lesson a = {e->paired_units, e->paired_slopes, layer.rows, layer.columns, layer.first, layer.pair, rate};
    int64_t column = 0;
    while (column < layer.columns) {
        const int64_t left = (layer.columns - column) / FLOATS;
#if VECTOR == 64
        switch (left == 10 ? 5 : left == 8 ? 4 : left > 6 ? 6 : left) {
        case 6: LEARNS(4, 6)
        case 5: LEARNS(4, 5)
        case 4: LEARNS(4, 4)
        case 3: LEARNS(4, 3)
        case 2: LEARNS(4, 2)
        default: LEARNS(4, 1)
        }
#else
        switch (left > 1 ? 2 : 1) {
        case 2: LEARNS(4, 2)
        default: LEARNS(4, 1)
        }
#endif
    }
    for (column = 0; column < layer.columns; column += FLOATS) {
        Ints sum = {};
        float gradient[FLOATS];
        const Ints ones = (Ints){} + 0x10001;
        for (int p = 0; p < BATCH / 2; p++)
            sum = plus(sum, pair_products(*(const IntsAt *)(a.g + p * layer.columns + column), ones));
        store_floats(gradient, __builtin_convertvector(sum, Floats) * (0x1p-7f / (1 << GRADIENT_PLACES)));
        adam(e, layer.bias + column, gradient, FLOATS, rate);
        const Floats bias = load_floats(e->parameters + layer.bias + column) * (float)(1 << SUM_PLACES);
        const Floats bound = below_floats(above_floats(bias, -0x1p30f), 0x1p30f);
        *(IntsAt *)(offsets(e, layer) + column) = __builtin_convertvector(bound, Ints);
    }
}

/* The first `rows` rows of a matrix, from pairs of rows [rows / 2, columns] to pairs of columns [columns / 2, rows].
   `rows` is a multiple of eight, `columns` of four. */
static void pair_columns(const int32_t *from, int64_t rows, int64_t columns, int32_t *to) {
    for (int64_t i = 0; i < rows; i += 8)
        for (int64_t j = 0; j < columns; j += 4) {
            Quad quads[4]; /* of each column the rows from i on */
            transpose_quads((const float *)(from + i / 2 * columns + j), columns, quads);
            UNROLL for (int k = 0; k < 4; k += 2) {
                const Eight a = (Eight)quads[k], b = (Eight)quads[k + 1];
                int32_t *out = to + (j + k) / 2 * rows + i;
                *(EightAt *)out = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
                *(EightAt *)(out + 4) = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
            }
        }
}

/* The gradients of the first `rows` inputs of a layer from those of its outputs, `slope`, added to what `bias` holds of
   them, to `out`. */
static void back(const Engine *e, int64_t number, int64_t rows, const int32_t *bias, int64_t bias_step, int32_t *out) {
    const Layer layer = layer_at(e, number);
    pair_columns(e->rounded + layer.pair, rows, layer.columns, e->transposed);
    const Product product = {e->transposed, e->slope, bias, out, layer.columns / 2, rows, layer.columns, bias_step,
                             rows, SUMS};
    multiply(&product, 0, BATCH);
}

/* The gradients of n units to `slope`: where a unit was active, shortened from sums. */
INLINE void gate(const Engine *e, const int32_t *from, const int16_t *unit, int64_t n) {
    for (int64_t i = 0; i < n; i += FLOATS) {
        const Ints x = at_least(at_most(shortened(*(const IntsAt *)(from + i), WEIGHT_PLACES)), -LARGEST);
        const Ints active = __builtin_convertvector(*(const ShortsAt *)(unit + i), Ints) > 0;
        *(ShortsAt *)(e->slope + i) = __builtin_convertvector(x & active, Shorts);
    }
}

/* Learn from the whole batch, whose `out_gradient` is known: gradients of all weights as they were, one step of Adam. */
void DZ_KERNEL(photo_train)(const Engine *e, float rate) {
    const int64_t units = e->units, hidden = e->hidden, size = BATCH_ROWS * units;
    int32_t *stream = e->stream_gradient, *middle = e->middle_gradient;
    for (int64_t c = 0; c < e->channels; c++) {
        const int64_t number = e->layers + 2 * c, at = c * BATCH_ROWS;
        const float *g = e->out_gradient + at * e->outputs;
        const int16_t *unit = e->middle_units + at * hidden;
        for (int64_t i = 0; i < BATCH * e->outputs; i += FLOATS)
            *(ShortsAt *)(e->slope + i) = __builtin_convertvector(rounded(load_floats(g + i), GRADIENT_PLACES), Shorts);
        back(e, number + 1, hidden, e->zero, 0, middle);
        learn_layer(e, number + 1, unit, hidden, rate);
        gate(e, middle, unit, BATCH * hidden);
        back(e, number, units, c ? stream : e->zero, c ? units : 0, stream);
        learn_layer(e, number, e->join + at * e->joined, e->joined, rate);
    }
    for (int64_t layer = e->layers - 1; layer > 0; layer--) {
        gate(e, stream, e->branch + layer * size, BATCH * units);
        back(e, layer, units, stream, units, stream);
        learn_layer(e, layer, e->stream + (layer - 1) * size, units, rate);
    }
    gate(e, stream, e->stream, BATCH * units);
    learn_layer(e, 0, e->input, e->input_rows, rate);
}
