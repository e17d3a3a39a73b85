/* The loop over the pixels of a tile, the same model for encoding, decoding and for making training data.

   The encoder knows all samples, so it works in phases over the pixels between two updates of the network: the context,
   which needs nothing of the network; the network; the mixture; the coder. The decoder goes pixel by pixel. */

#include "engine.h"

/* What a call came back with. */
#define DONE 0
#define NO_ROOM (-1)    /* the buffer of coded bytes may not suffice */
#define BAD_SYMBOL (-2) /* a symbol outside its alphabet */

/* Most bytes that a sample takes: eight bits of probability 2^-16, and what the coder holds back. */
#define SAMPLE_BYTES 27

/* Of the network's inputs. */
#define INPUT_STEP (1.0f / 1024.0f)

/* The extra inputs of a head stand behind the trunk's output. */
INLINE int16_t *extras_at(const Engine *e, int64_t c, int64_t b) {
    return e->join + (c * BATCH_ROWS + b) * e->joined + e->units;
}

/* Context of one pixel whose symbols are known. */
INLINE void see(Engine *e, const uint16_t *symbols, int64_t y, int64_t x, int64_t b) {
    DZ_KERNEL(photo_look)(e, y, x, b);
    for (int64_t c = 0; c < e->channels; c++) {
        DZ_KERNEL(photo_condition)(e, y, x, c, b, extras_at(e, c, b));
        e->symbol[c * BATCH_ROWS + b] = symbols[c];
        DZ_KERNEL(photo_reveal)(e, y, x, c, b, (double)e->value[c * e->symbols + symbols[c]]);
    }
    e->pixels++;
    if (x == e->width - 1) DZ_KERNEL(photo_end_row)(e, y);
}

/* A step of learning if the batch is full. */
INLINE void train_if_full(Engine *e) {
    if (e->pixels % BATCH) return;
    const double change = (e->rate_start - e->rate_end) * e->rate_half;
    DZ_KERNEL(photo_train)(e, (float)(e->rate_end + change / (e->rate_half + (double)e->pixels)));
}

static __attribute__((noinline)) int64_t encode_rows(Engine *e, const uint16_t *symbols, int64_t first_row,
                                                     int64_t last_row, uint8_t *data, uint64_t capacity,
                                                     double *probability) {
    const int64_t channels = e->channels;
    int64_t y = first_row, x = 0;
    while (y < last_row) {
        const int64_t first = e->pixels % BATCH;
        const int64_t row = y, column = x;
        int64_t b = first;
        for (; b < BATCH && y < last_row; b++) {
            const uint16_t *own = symbols + (y * e->width + x) * channels;
            for (int64_t c = 0; c < channels; c++)
                if (own[c] >= e->size[c]) return BAD_SYMBOL;
            see(e, own, y, x, b);
            if (++x == e->width) x = 0, y++;
        }
        DZ_KERNEL(photo_forward)(e, first, b);
        for (int64_t c = 0; c < channels; c++)
            if (e->histories)
                DZ_KERNEL(photo_slope)(e, c, first, b, 1);
            else
                DZ_KERNEL(photo_intervals)(e, c, first, b);
        if (e->coder->position + (uint64_t)((b - first) * channels * SAMPLE_BYTES) > capacity) return NO_ROOM;
        if (e->histories) {
            DZ_KERNEL(photo_encode_bits)(e, symbols, row, column, first, b, data, probability);
            if (probability) probability += (b - first) * channels;
        } else
            for (int64_t p = first; p < b; p++)
                for (int64_t c = 0; c < channels; c++) {
                    const int64_t at = c * BATCH_ROWS + p;
                    range_encode(e->coder, data, (uint64_t)e->lower[at], (uint64_t)(e->upper[at] - e->lower[at]),
                                 PRECISION);
                    if (probability) *probability++ = e->probability[at];
                }
        train_if_full(e);
    }
    return DONE;
}

static __attribute__((noinline)) int64_t decode_rows(Engine *e, uint16_t *symbols, int64_t first_row, int64_t last_row,
                                                     const uint8_t *data, uint64_t size) {
    const int64_t channels = e->channels;
    for (int64_t y = first_row; y < last_row; y++)
        for (int64_t x = 0; x < e->width; x++) {
            const int64_t b = e->pixels % BATCH;
            uint16_t *own = symbols + (y * e->width + x) * channels;
            if (e->histories) DZ_KERNEL(photo_seek)(e, own, y, x, 0, b);
            DZ_KERNEL(photo_look)(e, y, x, b);
            DZ_KERNEL(photo_trunk)(e, b);
            for (int64_t c = 0; c < channels; c++) {
                DZ_KERNEL(photo_condition)(e, y, x, c, b, extras_at(e, c, b));
                if (e->histories) DZ_KERNEL(photo_foresee)(e, c, b);
                DZ_KERNEL(photo_head)(e, c, b);
                int64_t interval[2], symbol;
                if (e->histories)
                    symbol = DZ_KERNEL(photo_decode_sample)(e, e->coder, y, x, c, b, data, size);
                else {
                    const int64_t target = (int64_t)range_slot(e->coder, PRECISION);
                    symbol = DZ_KERNEL(photo_find)(e, c, b, target, interval);
                    range_consume(e->coder, data, size, (uint64_t)interval[0], (uint64_t)(interval[1] - interval[0]),
                                  PRECISION);
                }
                own[c] = (uint16_t)symbol;
                if (e->histories && c + 1 < channels) DZ_KERNEL(photo_seek)(e, own, y, x, c + 1, b);
                e->symbol[c * BATCH_ROWS + b] = symbol;
                DZ_KERNEL(photo_reveal)(e, y, x, c, b, (double)e->value[c * e->symbols + symbol]);
            }
            e->pixels++;
            if (b == BATCH - 1) {
                for (int64_t c = 0; c < channels; c++)
                    if (e->histories)
                        DZ_KERNEL(photo_slope)(e, c, 0, BATCH, 0);
                    else
                        DZ_KERNEL(photo_intervals)(e, c, 0, BATCH);
                train_if_full(e);
            }
            if (x == e->width - 1) DZ_KERNEL(photo_end_row)(e, y);
        }
    return DONE;
}

static __attribute__((noinline)) void observe_rows(Engine *e, const uint16_t *symbols, const uint8_t *keep,
                                                   int64_t height, double highest, float *trunk, float *extras,
                                                   float *distance, float *activity, int8_t *end) {
    const int64_t channels = e->channels, components = e->components, experts = e->experts;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < e->width; x++) {
            const uint16_t *own = symbols + (y * e->width + x) * channels;
            see(e, own, y, x, 0);
            if (!keep[y]) continue;
            for (int64_t i = 0; i < e->inputs; i++) *trunk++ = (float)e->input[i] * INPUT_STEP;
            for (int64_t c = 0; c < channels; c++) {
                const int64_t size = c ? experts + (experts + 2) * c : 0;
                for (int64_t i = 0; i < size; i++) *extras++ = (float)extras_at(e, c, 0)[i] * INPUT_STEP;
                const double *centres = e->centre + c * (experts + 1) * BATCH_ROWS, value = own[c];
                for (int64_t j = 0; j < components; j++) {
                    const double centre = centres[j % (experts + 1) * BATCH_ROWS];
                    *distance++ = (float)((value - centre) / e->activity[c * BATCH_ROWS]);
                }
                *activity++ = (float)e->activity[c * BATCH_ROWS];
                *end++ = (int8_t)(value == highest ? 1 : value == 0.0 ? -1 : 0);
            }
        }
}

/* Encode the rows [first_row, last_row) of symbols [H, W, C] into `data`. `probability` is NULL, or gets that of every
   symbol. Returns DONE or an error, after which the engine is of no more use. */
DZ_EXPORT int64_t DZ_KERNEL(dz_photo_encode)(Engine *e, const uint16_t *symbols, int64_t first_row, int64_t last_row,
                                             uint8_t *data, uint64_t capacity, double *probability) {
    const Mode mode = ieee_mode();
    const int64_t result = encode_rows(e, symbols, first_row, last_row, data, capacity, probability);
    restore_mode(mode);
    return result;
}

/* Decode the rows [first_row, last_row) of symbols [H, W, C] from `data`, behind which zeros are read. */
DZ_EXPORT int64_t DZ_KERNEL(dz_photo_decode)(Engine *e, uint16_t *symbols, int64_t first_row, int64_t last_row,
                                             const uint8_t *data, uint64_t size) {
    const Mode mode = ieee_mode();
    const int64_t result = decode_rows(e, symbols, first_row, last_row, data, size);
    restore_mode(mode);
    return result;
}

/* Write what the network would see of the rows of an image that are kept: see observe.py. */
DZ_EXPORT void DZ_KERNEL(dz_photo_observe)(Engine *e, const uint16_t *symbols, const uint8_t *keep, int64_t height,
                                           double highest, float *trunk, float *extras, float *distance,
                                           float *activity, int8_t *end) {
    const Mode mode = ieee_mode();
    observe_rows(e, symbols, keep, height, highest, trunk, extras, distance, activity, end);
    restore_mode(mode);
}

/* Bytes of the state that Python fills, for a check that both sides see the same. */
DZ_EXPORT int64_t DZ_KERNEL(dz_photo_engine_size)(void) { return (int64_t)sizeof(Engine); }
