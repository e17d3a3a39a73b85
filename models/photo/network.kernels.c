/* The photo network: forward for one pixel or for many at once, then backward over a batch with a step of Adam.

   Products are of 16-bit integers with sums modulo 2^32. They are exact, so the sums may run in any order, and a product
   may be cut into blocks of pixels and of outputs in any way; the blocks are as large as there are registers for their
   sums. Two neighbouring rows of a matrix share an element of 32 bits, the first one its lower half, since processors
   multiply and add pairs. The weights that learn are floats, and rounded after each step. */

#include "engine.h"

/* Binary places of integers: of inputs and units, of weights, of their products and biases, and of gradients. */
#define UNIT_PLACES 10
#define WEIGHT_PLACES 12
#define SUM_PLACES (UNIT_PLACES + WEIGHT_PLACES)
#define GRADIENT_PLACES 13
#define LARGEST 32767

#define KEEP_MEAN 0.9f
#define TAKE_MEAN ((float)(1.0 - 0.9))
#define KEEP_SQUARE 0.99f
#define TAKE_SQUARE ((float)(1.0 - 0.99))
#define EPSILON 1e-7f
#define TINY 1e-30f /* keeps the moments of idle units from becoming denormal numbers, which are slow */

/* The sums over pairs: of the lower halves' product and of the upper halves'. */
INLINE Ints pair_products(Ints a, Ints b) {
#if !defined(__x86_64__)
    const Ints low = ((Ints)((Uints)a << 16) >> 16) * ((Ints)((Uints)b << 16) >> 16);
    return (Ints)((Uints)low + (Uints)((a >> 16) * (b >> 16)));
#elif VECTOR == 64
    return (Ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif VECTOR == 32
    return (Ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return (Ints)_mm_madd_epi16((__m128i)a, (__m128i)b);
#endif
}

INLINE Ints plus(Ints a, Ints b) { return (Ints)((Uints)a + (Uints)b); }

/* x with so many binary places less, rounded half up. */
INLINE Ints shortened(Ints x, int places) { return ((x >> (places - 1)) + 1) >> 1; }

/* x where it is at most `LARGEST`, else that; x where it is at least 0 (-LARGEST), else that. */
INLINE Ints at_most(Ints x) {
    const Ints mask = x < LARGEST;
    return (x & mask) | (LARGEST & ~mask);
}
INLINE Ints at_least(Ints x, int32_t bound) {
    const Ints mask = x > bound;
    return (x & mask) | (bound & ~mask);
}

/* What a product's sums become: sums; units, which are at least 0; or the outputs of the network. */
typedef enum { SUMS, UNITS, OUTPUTS } Form;

/* A product: for each pixel p, out[p] = bias[p] + x[p] w, over pairs of rows of w. */
typedef struct {
    const int32_t *w;
    const int16_t *x;
    const int32_t *bias;
    void *out;                         /* [pixels, out_step] of the form's type */
    int64_t pairs, columns;            /* of w */
    int64_t x_step, bias_step, out_step; /* from a pixel to the next */
    Form form;
} Product;

INLINE void put_sums(const Product *a, int64_t at, Ints sum) {
    if (a->form == SUMS)
        *(IntsAt *)((int32_t *)a->out + at) = sum;
    else if (a->form == UNITS)
        *(ShortsAt *)((int16_t *)a->out + at) =
            __builtin_convertvector(at_most(shortened(at_least(sum, 0), WEIGHT_PLACES)), Shorts);
    else
        store_floats((float *)a->out + at, __builtin_convertvector(sum, Floats) * (1.0f / (1 << SUM_PLACES)));
}

/* P pixels from p on, V vectors of outputs from `column` on. */
#define BLOCK(P, V)                                                                                        \
    static void block_##P##_##V(const Product *a, int64_t p, int64_t column) {                             \
        Ints sum[P][V];                                                                                    \
        const int32_t *w = a->w + column;                                                                  \
        const int16_t *x = a->x + p * a->x_step;                                                           \
        const int64_t columns = a->columns, step = a->x_step, pairs = a->pairs;                            \
        UNROLL for (int q = 0; q < P; q++)                                                                 \
            UNROLL for (int k = 0; k < V; k++)                                                             \
                sum[q][k] = *(const IntsAt *)(a->bias + (p + q) * a->bias_step + column + k * FLOATS);     \
        _Pragma("GCC unroll 4") for (int64_t i = 0; i < pairs; i++, w += columns, x += 2) {                \
            Ints own[V];                                                                                   \
            UNROLL for (int k = 0; k < V; k++) own[k] = *(const IntsAt *)(w + k * FLOATS);                 \
            UNROLL for (int q = 0; q < P; q++) {                                                           \
                const Ints xi = (Ints){} + *(const PairAt *)(x + q * step);                                \
                UNROLL for (int k = 0; k < V; k++) sum[q][k] = plus(sum[q][k], pair_products(xi, own[k])); \
            }                                                                                              \
        }                                                                                                  \
        UNROLL for (int q = 0; q < P; q++)                                                                 \
            UNROLL for (int k = 0; k < V; k++)                                                             \
                put_sums(a, (p + q) * a->out_step + column + k * FLOATS, sum[q][k]);                       \
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
    int64_t first, rows, columns, bias, pair; /* the first weight, bias, and pair of rounded weights */
} Layer;

INLINE Layer layer_at(const Engine *e, int64_t number) {
    const int64_t *place = e->place + 5 * number;
    return (Layer){place[0], place[1], place[2], place[3], place[4]};
}

/* A layer's rounded biases, which stand behind its rounded weights. */
INLINE int32_t *offsets(const Engine *e, Layer layer) { return e->rounded + layer.pair + layer.rows / 2 * layer.columns; }

/* A layer's forward product, from rows of `x` to rows of `out`. */
INLINE Product forward(const Engine *e, int64_t number, const int16_t *x, int64_t x_step, void *out, int64_t out_step,
                       Form form) {
    const Layer layer = layer_at(e, number);
    return (Product){e->rounded + layer.pair, x, offsets(e, layer), out, layer.rows / 2, layer.columns,
                     x_step, 0, out_step, form};
}

/* Evaluate the trunk for the pixels [first, last) of the batch and hand its output to every head; with `one`, there is
   one pixel. */
INLINE void evaluate_trunk(const Engine *e, int64_t first, int64_t last, int one) {
    const int64_t units = e->units, size = BATCH_ROWS * units;
    for (int64_t layer = 0; layer < e->layers; layer++) {
        const int16_t *x = layer ? e->stream + (layer - 1) * size : e->input;
        int16_t *out = layer ? e->branch + layer * size : e->stream;
        const Product product = forward(e, layer, x, layer ? units : e->input_rows, out, units, UNITS);
        if (one)
            multiply_one(&product, first);
        else
            multiply(&product, first, last);
        if (layer == 0) continue;
        int16_t *sum = e->stream + layer * size;
        for (int64_t i = first * units; i < last * units; i++) {
            const uint16_t total = (uint16_t)((uint16_t)x[i] + (uint16_t)out[i]); /* of two that are not negative */
            sum[i] = (int16_t)(total < LARGEST ? total : LARGEST);
        }
    }
    const int16_t *top = e->stream + (e->layers - 1) * size;
    for (int64_t c = 0; c < e->channels; c++)
        for (int64_t p = first; p < last; p++)
            for (int64_t i = 0; i < units; i++) e->join[(c * BATCH_ROWS + p) * e->joined + i] = top[p * units + i];
}

/* The hidden layer of the head of channel c. */
INLINE Product hidden_layer(const Engine *e, int64_t c) {
    const int64_t at = c * BATCH_ROWS;
    return forward(e, e->layers + 2 * c, e->join + at * e->joined, e->joined, e->middle_units + at * e->hidden,
                   e->hidden, UNITS);
}

/* Its output layer. */
INLINE Product output_layer(const Engine *e, int64_t c) {
    const int64_t at = c * BATCH_ROWS;
    return forward(e, e->layers + 2 * c + 1, e->middle_units + at * e->hidden, e->hidden, e->out + at * e->outputs,
                   e->outputs, OUTPUTS);
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

/* Evaluate the trunk for pixel b, and of every head's hidden layer the sums over the trunk's output, which need no
   channel's value. */
void DZ_KERNEL(photo_trunk)(const Engine *e, int64_t b) {
    evaluate_trunk(e, b, b + 1, 1);
    for (int64_t c = 0; c < e->channels; c++) {
        Product part = hidden_layer(e, c);
        part.pairs = e->units / 2;
        part.out = e->partial + c * e->hidden;
        part.out_step = 0;
        part.form = SUMS;
        multiply_one(&part, b);
    }
}

/* Evaluate the rest of the head of channel c for pixel b. */
void DZ_KERNEL(photo_head)(const Engine *e, int64_t c, int64_t b) {
    Product rest = hidden_layer(e, c);
    rest.pairs -= e->units / 2;
    rest.w += e->units / 2 * rest.columns;
    rest.x += e->units;
    rest.bias = e->partial + c * e->hidden;
    multiply_one(&rest, b);
    const Product out = output_layer(e, c);
    multiply_one(&out, b);
}

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
                    (low & 0xFFFF) | (Ints)((Uints)high << 16);                                            \
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

/* n numbers of each pixel, in pairs of pixels. */
INLINE void pair_pixels(const int16_t *x, int64_t x_step, int64_t n, int32_t *out) {
    for (int64_t p = 0; p < BATCH; p += 2, x += 2 * x_step)
        for (int64_t i = 0; i < n; i++) *out++ = (int32_t)((uint16_t)x[i] | (uint32_t)x[x_step + i] << 16);
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

/* The gradients of the first `rows` inputs of a layer from those of its outputs, `slope`, added to what `bias` holds of
   them, to `out`. */
static void back(const Engine *e, int64_t number, int64_t rows, const int32_t *bias, int64_t bias_step, int32_t *out) {
    const Layer layer = layer_at(e, number);
    /* From pairs of rows to pairs of columns. */
    const int32_t *from = e->rounded + layer.pair;
    int32_t *to = e->transposed;
    for (int64_t j = 0; j < layer.columns; j += 2)
        for (int64_t i = 0; i < rows; i += 2) {
            const uint32_t *two = (const uint32_t *)from + i / 2 * layer.columns + j;
            *to++ = (int32_t)((two[0] & 0xFFFF) | two[1] << 16);
            *to++ = (int32_t)(two[0] >> 16 | (two[1] & 0xFFFF0000));
        }
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
