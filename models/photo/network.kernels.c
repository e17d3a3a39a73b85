/* The photo network: its outputs for one pixel or for many at once, in integers. */

#include "products.h"

#if VECTOR == 64
BLOCK(1, 6) BLOCK(1, 5) BLOCK(1, 4) BLOCK(1, 3) BLOCK(1, 2) BLOCK(1, 1)
#else
BLOCK(1, 8) BLOCK(1, 4) BLOCK(1, 2) BLOCK(1, 1)
#endif

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
        for (int64_t i = first * units; i < last * units; i += FLOATS) {
            const Ints a = __builtin_convertvector(*(const ShortsAt *)(x + i), Ints);
            const Ints b = __builtin_convertvector(*(const ShortsAt *)(out + i), Ints);
            *(ShortsAt *)(sum + i) = __builtin_convertvector(at_most(a + b), Shorts);
        }
    }
    const int16_t *top = e->stream + (e->layers - 1) * size;
    for (int64_t c = 0; c < e->channels; c++)
        for (int64_t p = first; p < last; p++)
            for (int64_t i = 0; i < units; i += FLOATS)
                *(ShortsAt *)(e->join + (c * BATCH_ROWS + p) * e->joined + i) =
                    *(const ShortsAt *)(top + p * units + i);
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
