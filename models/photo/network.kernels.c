/* The photo network: forward for one pixel or for many at once, then backward over a batch with a step of Adam.

   Every output is a sum over the inputs in order, so a product may be cut into blocks of pixels and of outputs in any
   way. The blocks are as large as there are registers for their sums. */

#include "engine.h"

#define KEEP_MEAN 0.9f
#define TAKE_MEAN ((float)(1.0 - 0.9))
#define KEEP_SQUARE 0.99f
#define TAKE_SQUARE ((float)(1.0 - 0.99))
#define EPSILON 1e-7f
#define TINY 1e-30f /* keeps the moments of idle units from becoming denormal numbers, which are slow */

INLINE Floats rectified(Floats x) {
    const Floats zero = {};
    return (Floats)((Ints)x & (x > zero));
}

/* A product: for each pixel p, out[p] = bias[p] + x[p] w, over the rows of w in order. */
typedef struct {
    const float *w, *x, *bias;
    float *out;
    int64_t rows, columns;             /* of w */
    int64_t x_step, bias_step, out_step; /* from a pixel to the next */
    int relu;
} Product;

/* P pixels from p on, V vectors of outputs from `column` on. */
#define BLOCK(P, V)                                                                                        \
    static void block_##P##_##V(const Product *a, int64_t p, int64_t column) {                             \
        Floats sum[P][V];                                                                                  \
        const float *w = a->w + column, *x = a->x + p * a->x_step;                                         \
        const int64_t columns = a->columns, step = a->x_step, rows = a->rows;                              \
        UNROLL for (int q = 0; q < P; q++)                                                                 \
            UNROLL for (int k = 0; k < V; k++)                                                             \
                sum[q][k] = load_floats(a->bias + (p + q) * a->bias_step + column + k * FLOATS);           \
        _Pragma("GCC unroll 4") for (int64_t i = 0; i < rows; i++, w += columns, x++) {                    \
            Floats own[V];                                                                                 \
            UNROLL for (int k = 0; k < V; k++) own[k] = load_floats(w + k * FLOATS);                       \
            UNROLL for (int q = 0; q < P; q++) {                                                           \
                const float xi = x[q * step];                                                              \
                UNROLL for (int k = 0; k < V; k++) sum[q][k] += xi * own[k];                               \
            }                                                                                              \
        }                                                                                                  \
        UNROLL for (int q = 0; q < P; q++)                                                                 \
            UNROLL for (int k = 0; k < V; k++)                                                             \
                store_floats(a->out + (p + q) * a->out_step + column + k * FLOATS,                         \
                             a->relu ? rectified(sum[q][k]) : sum[q][k]);                                  \
    }

#if VECTOR == 64
BLOCK(4, 6) BLOCK(4, 5) BLOCK(4, 4) BLOCK(8, 3) BLOCK(8, 2) BLOCK(8, 1)
BLOCK(1, 6) BLOCK(1, 5) BLOCK(1, 4) BLOCK(1, 3) BLOCK(1, 2) BLOCK(1, 1)
#else
BLOCK(4, 2) BLOCK(4, 1) BLOCK(1, 8) BLOCK(1, 4) BLOCK(1, 2) BLOCK(1, 1)
#endif

#define BLOCKS(P, V)                                                               \
    {                                                                              \
        for (int64_t p = first; p < last; p += P) block_##P##_##V(a, p, column);   \
        column += V * FLOATS;                                                      \
        break;                                                                     \
    }

/* The product of the pixels [first, last); up to seven more are computed, for which there is room. */
static void multiply(const Product *a, int64_t first, int64_t last) {
    int64_t column = 0;
    while (column < a->columns) {
        const int64_t left = (a->columns - column) / FLOATS;
#if VECTOR == 64
        switch (left == 10 ? 5 : left == 8 ? 4 : left > 6 ? 6 : left) {
        case 6: BLOCKS(4, 6)
        case 5: BLOCKS(4, 5)
        case 4: BLOCKS(4, 4)
        case 3: BLOCKS(8, 3)
        case 2: BLOCKS(8, 2)
        default: BLOCKS(8, 1)
        }
#else
        switch (left > 1 ? 2 : 1) {
        case 2: BLOCKS(4, 2)
        default: BLOCKS(4, 1)
        }
#endif
    }
}

/* The product of pixel p alone. */
static void multiply_one(const Product *a, int64_t p) {
    int64_t column = 0;
    while (column < a->columns) {
        const int64_t left = (a->columns - column) / FLOATS, first = p, last = p + 1;
#if VECTOR == 64
        switch (left == 10 ? 5 : left == 8 ? 4 : left > 6 ? 6 : left) {
        case 6: BLOCKS(1, 6)
        case 5: BLOCKS(1, 5)
        case 4: BLOCKS(1, 4)
        case 3: BLOCKS(1, 3)
        case 2: BLOCKS(1, 2)
        default: BLOCKS(1, 1)
        }
#else
        switch (left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1) {
        case 8: BLOCKS(1, 8)
        case 4: BLOCKS(1, 4)
        case 2: BLOCKS(1, 2)
        default: BLOCKS(1, 1)
        }
#endif
    }
}

typedef struct {
    int64_t first, rows, columns, bias;
} Layer;

INLINE Layer layer_at(const Engine *e, int64_t number) {
    const int64_t *place = e->place + 4 * number;
    return (Layer){place[0], place[1], place[2], place[3]};
}

/* A layer's forward product, from rows of `x` to rows of `out`. */
INLINE Product forward(const Engine *e, int64_t number, const float *x, int64_t x_step, float *out, int64_t out_step,
                       int relu) {
    const Layer layer = layer_at(e, number);
    return (Product){e->parameters + layer.first, x, e->parameters + layer.bias, out, layer.rows, layer.columns,
                     x_step, 0, out_step, relu};
}

/* Evaluate the trunk for the pixels [first, last) of the batch and hand its output to every head; with `one`, there is
   one pixel. */
INLINE void evaluate_trunk(const Engine *e, int64_t first, int64_t last, int one) {
    const int64_t units = e->units, size = BATCH_ROWS * units;
    for (int64_t layer = 0; layer < e->layers; layer++) {
        const float *x = layer ? e->stream + (layer - 1) * size : e->input;
        float *out = layer ? e->branch + layer * size : e->stream;
        const Product product = forward(e, layer, x, layer ? units : e->input_rows, out, units, 1);
        if (one)
            multiply_one(&product, first);
        else
            multiply(&product, first, last);
        if (layer == 0) continue;
        float *sum = e->stream + layer * size;
        for (int64_t i = first * units; i < last * units; i += FLOATS)
            store_floats(sum + i, load_floats(x + i) + load_floats(out + i));
    }
    const float *top = e->stream + (e->layers - 1) * size;
    for (int64_t c = 0; c < e->channels; c++)
        for (int64_t p = first; p < last; p++)
            for (int64_t i = 0; i < units; i += FLOATS)
                store_floats(e->join + (c * BATCH_ROWS + p) * e->joined + i, load_floats(top + p * units + i));
}

/* The hidden layer of the head of channel c. */
INLINE Product hidden_layer(const Engine *e, int64_t c) {
    const int64_t at = c * BATCH_ROWS;
    return forward(e, e->layers + 2 * c, e->join + at * e->joined, e->joined, e->middle_units + at * e->hidden,
                   e->hidden, 1);
}

/* Its output layer. */
INLINE Product output_layer(const Engine *e, int64_t c) {
    const int64_t at = c * BATCH_ROWS;
    return forward(e, e->layers + 2 * c + 1, e->middle_units + at * e->hidden, e->hidden, e->out + at * e->outputs,
                   e->outputs, 0);
}

/* Evaluate the trunk and all heads for the pixels [first, last) of the batch. */
void DZ_KERNEL(photo_forward)(const Engine *e, int64_t first, int64_t last) {
    evaluate_trunk(e, first, last, 0);
    for (int64_t c = 0; c < e->channels; c++) {
        const Product hidden = hidden_layer(e, c), out = output_layer(e, c);
        multiply(&hidden, first, last);
        multiply(&out, first, last);
    }
}

/* Evaluate the trunk for pixel b, and of every head's hidden layer the sums over the trunk's output, which come first
   and need no channel's value. */
void DZ_KERNEL(photo_trunk)(const Engine *e, int64_t b) {
    evaluate_trunk(e, b, b + 1, 1);
    for (int64_t c = 0; c < e->channels; c++) {
        Product part = hidden_layer(e, c);
        part.rows = e->units;
        part.relu = 0;
        multiply_one(&part, b);
    }
}

/* Evaluate the rest of the head of channel c for pixel b. */
void DZ_KERNEL(photo_head)(const Engine *e, int64_t c, int64_t b) {
    Product rest = hidden_layer(e, c);
    rest.rows -= e->units;
    rest.w += e->units * rest.columns;
    rest.x += e->units;
    rest.bias = rest.out;
    rest.bias_step = rest.out_step;
    multiply_one(&rest, b);
    const Product out = output_layer(e, c);
    multiply_one(&out, b);
}

/* One step of Adam on n neighbouring parameters from `at` on, without bias correction: training gave the squares. */
INLINE void adam(const Engine *e, int64_t at, const float *gradient, int64_t n, float rate) {
    float *parameter = e->parameters + at, *mean = e->mean + at, *square = e->square + at;
    for (int64_t i = 0; i < n; i++) {
        const float g = gradient[i] * (1.0f / BATCH);
        mean[i] = mean[i] * KEEP_MEAN + g * TAKE_MEAN + TINY;
        square[i] = square[i] * KEEP_SQUARE + (g * g) * TAKE_SQUARE + TINY;
        parameter[i] -= rate * mean[i] / (__builtin_sqrtf(square[i]) + EPSILON);
    }
}

/* What a layer learns from: its inputs and the gradients of its outputs, of all pixels of the batch. */
typedef struct {
    const float *x, *g;
    int64_t x_step, columns, first; /* `first` weight */
    float rate;
} Lesson;

/* The gradients of R rows by V vectors of weights, summed over the pixels in order, and the step that they lead to. */
#define LEARN(R, V)                                                                                        \
    static void learn_##R##_##V(const Engine *e, const Lesson *a, int64_t row, int64_t column) {           \
        Floats sum[R][V] = {};                                                                             \
        const float *x = a->x + row, *g = a->g + column;                                                   \
        const int64_t columns = a->columns, step = a->x_step;                                              \
        for (int p = 0; p < BATCH; p++, x += step, g += columns) {                                         \
            Floats own[V];                                                                                 \
            UNROLL for (int k = 0; k < V; k++) own[k] = load_floats(g + k * FLOATS);                       \
            UNROLL for (int r = 0; r < R; r++) {                                                           \
                const float xi = x[r];                                                                     \
                UNROLL for (int k = 0; k < V; k++) sum[r][k] += xi * own[k];                               \
            }                                                                                              \
        }                                                                                                  \
        for (int r = 0; r < R; r++) {                                                                      \
            float gradient[V * FLOATS];                                                                    \
            for (int k = 0; k < V; k++) store_floats(gradient + k * FLOATS, sum[r][k]);                    \
            adam(e, a->first + (row + r) * columns + column, gradient, V * FLOATS, a->rate);               \
        }                                                                                                  \
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

/* Learn a layer's weights and bias from its inputs and the gradients of its outputs. */
static void learn_layer(const Engine *e, int64_t number, const float *x, int64_t x_step, const float *g, float rate) {
    const Layer layer = layer_at(e, number);
    const Lesson a = {x, g, x_step, layer.columns, layer.first, rate};
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
        Floats sum = {};
        float gradient[FLOATS];
        for (int p = 0; p < BATCH; p++) sum += load_floats(g + p * layer.columns + column);
        store_floats(gradient, sum);
        adam(e, layer.bias + column, gradient, FLOATS, rate);
    }
}

/* The first `rows` rows of a matrix with `columns` columns, both multiples of four, transposed. */
static void transpose(const float *from, int64_t rows, int64_t columns, float *to) {
    for (int64_t i = 0; i < rows; i += 4)
        for (int64_t j = 0; j < columns; j += 4) {
            Quad quads[4];
            transpose_quads(from + i * columns + j, columns, quads);
            UNROLL for (int k = 0; k < 4; k++) *(QuadAt *)(to + (j + k) * rows + i) = quads[k];
        }
}

/* The gradients of the first `rows` inputs of a layer, added to what `bias` holds of them, to `out`. */
static void back(const Engine *e, int64_t number, int64_t rows, const float *g, const float *bias, int64_t bias_step,
                 float *out) {
    const Layer layer = layer_at(e, number);
    transpose(e->parameters + layer.first, rows, layer.columns, e->transposed);
    const Product product = {e->transposed, g, bias, out, layer.columns, rows, layer.columns, bias_step, rows, 0};
    multiply(&product, 0, BATCH);
}

/* to = from where the unit was active. */
INLINE void gate(float *to, const float *from, const float *unit, int64_t n) {
    const Floats zero = {};
    for (int64_t i = 0; i < n; i += FLOATS)
        store_floats(to + i, (Floats)((Ints)load_floats(from + i) & (load_floats(unit + i) > zero)));
}

/* Learn from the whole batch, whose `out_gradient` is known: gradients of all weights as they were, one step of Adam. */
void DZ_KERNEL(photo_train)(const Engine *e, float rate) {
    const int64_t units = e->units, hidden = e->hidden, size = BATCH_ROWS * units;
    float *stream = e->stream_gradient, *middle = e->middle_gradient, *branch = e->branch_gradient;
    for (int64_t c = 0; c < e->channels; c++) {
        const int64_t number = e->layers + 2 * c, at = c * BATCH_ROWS;
        const float *g = e->out_gradient + at * e->outputs, *unit = e->middle_units + at * hidden;
        back(e, number + 1, hidden, g, e->zero, 0, middle);
        learn_layer(e, number + 1, unit, hidden, g, rate);
        gate(middle, middle, unit, BATCH * hidden);
        back(e, number, units, middle, c ? stream : e->zero, c ? units : 0, stream);
        learn_layer(e, number, e->join + at * e->joined, e->joined, middle, rate);
    }
    for (int64_t layer = e->layers - 1; layer > 0; layer--) {
        gate(branch, stream, e->branch + layer * size, BATCH * units);
        back(e, layer, units, branch, stream, units, stream);
        learn_layer(e, layer, e->stream + (layer - 1) * size, units, branch, rate);
    }
    gate(stream, stream, e->stream, BATCH * units);
    learn_layer(e, 0, e->input, e->input_rows, stream, rate);
}
