/* What the network sees of a pixel: its causal neighbourhood, the experts' predictions and how wrong they were near by.

   `look` gathers the trunk's inputs of a pixel; then for each channel in turn `condition` corrects the experts by what is
   known of the channels before, and `reveal` takes the true value. All channels of a place are worked on at once. */

#include "engine.h"

#define ACTIVITY_FLOOR 0.4
#define LEVEL_FLOOR 0.0625    /* where nothing is ever wrong, all phases are alike */
#define MOST_LEVEL 2.0        /* one surprise does not tell the phases apart */
#define LEVEL_RATE 0x1p-12
#define SHARED_COUPLING 0.25
#define INPUT_SCALE 1024.0f
#define INPUT_LIMIT 8192.0f
#define NEAR 6
#define SEEN 14
#define EXPERTS_SEEN 2

/* Places of the past errors that the network sees; the first ones, so weighted, measure the local activity. */
static const int8_t PLACE[SEEN][2] = {{0, -1}, {-1, 0}, {-1, -1}, {-1, 1}, {0, -2}, {-2, 0}, {-1, 2},
                                      {-1, -2}, {-2, -1}, {-2, 1}, {0, -3}, {-2, 2}, {-2, -2}, {-3, 0}};
static const double WEIGHT[NEAR] = {2.0, 2.0, 1.0, 1.0, 1.0, 1.0};

/* Doubles that `past` holds of one pixel, and what they are: errors, and their mean size over the level of its phase. */
#define RECORD(e) ((2 + (e)->experts) * 4)
#define BLENDED 0
#define ABSOLUTE 4
#define FAILED 8

INLINE double *past_at(const Engine *e, int64_t y, int64_t column) {
    return e->past + ((y & (ROWS - 1)) * e->span + column) * RECORD(e);
}

INLINE double *values_at(const Engine *e, int64_t y, int64_t column) {
    return e->values + ((y & (ROWS - 1)) * e->span + column) * 4;
}

INLINE void copy(double *to, const double *from, int64_t length) {
    for (int64_t i = 0; i < length; i += 4) store_four(to + i, load_four(from + i));
}

/* Fill the left margin of row y with the first pixel of the row above, or with the middle of the sample range. */
static void begin_row(const Engine *e, int64_t y) {
    for (int64_t x = 0; x < PAD; x++) {
        if (y == 0)
            for (int64_t c = 0; c < e->channels; c++) values_at(e, y, x)[c] = e->middle;
        else
            copy(values_at(e, y, x), values_at(e, y - 1, PAD), 4);
        copy(past_at(e, y, x), past_at(e, y - 1, PAD), RECORD(e));
    }
}

/* Fill the right margin of row y with its last pixel. */
void DZ_KERNEL(photo_end_row)(const Engine *e, int64_t y) {
    const int64_t last = PAD + e->width - 1;
    for (int64_t x = last + 1; x <= last + PAD; x++) {
        copy(values_at(e, y, x), values_at(e, y, last), 4);
        copy(past_at(e, y, x), past_at(e, y, last), RECORD(e));
    }
}

/* Round n floats, and those behind them in their vector, to the network's inputs: integers within the limit. */
INLINE void round_inputs(const float *x, int64_t n, int32_t *out) {
    for (int64_t i = 0; i < n; i += FLOATS) {
        const Floats bound = below_floats(above_floats(load_floats(x + i) * INPUT_SCALE, -INPUT_LIMIT), INPUT_LIMIT);
        *(IntsAt *)(out + i) = (Ints)(bound + 0x1.8p23f) - 0x4B400000; /* half way to even ones */
    }
}

/* Let the experts learn the pixel before (y, x), predict this one, and write the trunk's inputs to row b. */
void DZ_KERNEL(photo_look)(Engine *e, int64_t y, int64_t x, int64_t b) {
    const int64_t channels = e->channels, experts = e->experts, at = x + PAD;
    if (x == 0) begin_row(e, y);
    float *z = e->regressor;
    if (x > 0)
        DZ_KERNEL(photo_learn)(e, y, x - 1, z);
    else if (y > 0)
        DZ_KERNEL(photo_learn)(e, y - 1, e->width - 1, z);
    DZ_KERNEL(photo_regressors)(e, y, x, e->seen, z);
    DZ_KERNEL(photo_predict)(e, y, x, z);

    const double *near[SEEN];
    for (int p = 0; p < SEEN; p++) near[p] = past_at(e, y + PLACE[p][0], at + PLACE[p][1]);
    const double *level = e->level;
    const Four all = load_four(level) + load_four(level + 4) + load_four(level + 8) + load_four(level + 12);
    const Four ratio = load_four(level + 4 * phase_of(y, x)) / (all * 0.25);
    store_four(e->ratio, ratio);
    Four activity = {};
    for (int p = 0; p < NEAR; p++) activity += WEIGHT[p] * load_four(near[p] + ABSOLUTE);
    activity = (activity * 0.125 + ACTIVITY_FLOOR) * ratio;
    Four far = {};
    const double *above = past_at(e, y - 1, at) + ABSOLUTE, *above2 = past_at(e, y - 2, at) + ABSOLUTE;
    const double *here = past_at(e, y, at) + ABSOLUTE;
    for (int64_t d = -4; d < 5; d++) far += load_four(above + d * RECORD(e)) + load_four(above2 + d * RECORD(e));
    for (int64_t d = 1; d < 5; d++) far += load_four(here - d * RECORD(e));
    const Four wide = (far * (1.0 / 22.0) + ACTIVITY_FLOOR) * ratio;

    Four raw[MOST_EXPERTS], trust[MOST_EXPERTS], total = {}, blend = {};
    for (int64_t k = 0; k < experts; k++) {
        UNROLL for (int c = 0; c < 4; c++) raw[k][c] = e->raw[c * MOST_EXPERTS + k];
        Four energy = {};
        energy += ACTIVITY_FLOOR * ACTIVITY_FLOOR;
        for (int p = 0; p < NEAR; p++) {
            const Four error = load_four(near[p] + FAILED + 4 * k);
            energy += WEIGHT[p] * (error * error);
        }
        trust[k] = 1.0 / (energy * energy);
        total += trust[k];
    }
    const Four inverse = 1.0 / total;
    for (int64_t k = 0; k < experts; k++) {
        trust[k] *= inverse;
        store_four(e->trust + 4 * k, trust[k]);
        blend += trust[k] * raw[k];
    }

    const Four scale = 1.0 / activity;
    float *out = e->look;
    put_four(out, -blend * scale), out += 4;
    for (int64_t n = 0; n < e->reach; n++) put_four(out, (widen_four(z + n * channels) - blend) * scale), out += 4;
    for (int64_t k = 0; k < experts; k++) put_four(out, (raw[k] - blend) * scale), out += 4;
    for (int p = 0; p < SEEN; p++) {
        put_four(out, load_four(near[p] + BLENDED) * scale), out += 4;
        for (int64_t k = 0; k < experts && p < EXPERTS_SEEN; k++)
            put_four(out, load_four(near[p] + FAILED + 4 * k) * scale), out += 4;
    }
    /* These lie between -1 and 1, so they may be clamped with the others. */
    for (int64_t k = 0; k < experts; k++) put_four(out, trust[k]), out += 4;
    put_four(out, activity / (activity + 1.0)), out += 4;
    put_four(out, activity / (activity + 4.0)), out += 4;
    put_four(out, activity / (activity + 16.0)), out += 4;
    put_four(out, 2.0 * activity / (activity + wide) - 1.0), out += 4;
    int32_t *inputs = (int32_t *)e->look;
    round_inputs(e->look, out - e->look, inputs);
    /* From all channels of an input to all inputs of a channel. */
    const int64_t each = e->inputs / channels;
    int16_t *row = e->input + b * e->input_rows;
    int64_t i = 0;
    for (; i + 4 <= each; i += 4) {
        Quad quads[4];
        transpose_quads(e->look + 4 * i, 4, quads);
        for (int64_t c = 0; c < channels; c++)
            *(FourShortsAt *)(row + c * each + i) = __builtin_convertvector((FourInts)quads[c], FourShorts);
    }
    for (; i < each; i++)
        for (int64_t c = 0; c < channels; c++) row[c * each + i] = (int16_t)inputs[4 * i + c];

    double noise = 0.0;
    for (int64_t c = 0; c < channels; c++) {
        e->activity[c * BATCH_ROWS + b] = activity[c];
        noise += activity[c];
    }
    noise /= (double)channels;
    e->variance[(y & (ROWS - 1)) * e->span + at] = noise * __builtin_sqrt(noise);
}

/* Condition the predictions of channel c on the channels before it, to `centre`; the extra inputs of its head go to
   `extras`, and their number is returned. */
int64_t DZ_KERNEL(photo_condition)(const Engine *e, int64_t y, int64_t x, int64_t c, int64_t b,
                                    int16_t *extras) {
    const int64_t experts = e->experts, channels = e->channels;
    const double *values = values_at(e, y, x + PAD), west = values[c - 4];
    const double *raw = e->raw + c * MOST_EXPERTS, *error = e->error;
    const int64_t size = channels * channels * MOST_EXPERTS;
    const double *shared = e->coupling, *own_phase = shared + (1 + phase_of(y, x)) * size;
#define AT(a, b) (((a) * channels + (b)) * MOST_EXPERTS + k)
#define COUPLING(a, b) (SHARED_COUPLING * load_doubles(shared + AT(a, b)) + load_doubles(own_phase + AT(a, b)))
    double centre[MOST_EXPERTS], blend = 0.0;
    for (int64_t k = 0; k < experts; k += DOUBLES) {
        Doubles shift = {};
        if (c == 1)
            shift = COUPLING(0, 1) / COUPLING(0, 0) * load_doubles(error + k);
        else if (c == 2) {
            const Doubles s00 = COUPLING(0, 0), s01 = COUPLING(0, 1), s11 = COUPLING(1, 1);
            const Doubles s02 = COUPLING(0, 2), s12 = COUPLING(1, 2);
            const Doubles first = s02 * s11 - s12 * s01, second = s12 * s00 - s02 * s01;
            shift = (first * load_doubles(error + k) + second * load_doubles(error + MOST_EXPERTS + k)) /
                    (s00 * s11 - s01 * s01);
        }
        store_doubles(centre + k, west + load_doubles(raw + k) + shift);
    }
    double *own = e->centre + c * (experts + 1) * BATCH_ROWS + b;
    for (int64_t k = 0; k < experts; k++) {
        own[k * BATCH_ROWS] = centre[k];
        blend += e->trust[4 * k + c] * centre[k];
    }
    own[experts * BATCH_ROWS] = blend;
    if (c == 0) return 0;
    float extra[64] = {};
    int64_t i = 0;
    double scale = 1.0 / e->activity[c * BATCH_ROWS + b];
    for (int64_t k = 0; k < experts; k++) extra[i++] = (float)((centre[k] - blend) * scale);
    for (int64_t q = 0; q < c; q++) {
        scale = 1.0 / e->activity[q * BATCH_ROWS + b];
        for (int64_t k = 0; k < experts; k++) extra[i++] = (float)(error[q * MOST_EXPERTS + k] * scale);
        extra[i++] = (float)((values[q] - e->centre[(q * (experts + 1) + experts) * BATCH_ROWS + b]) * scale);
        extra[i++] = (float)((values[q] - values[q - 4]) * scale);
    }
    int32_t numbers[64];
    round_inputs(extra, i, numbers);
    for (int64_t n = 0; n < i; n++) extras[n] = (int16_t)numbers[n];
    return i;
}

/* Take the true value of channel c of the pixel (y, x). */
void DZ_KERNEL(photo_reveal)(const Engine *e, int64_t y, int64_t x, int64_t c, int64_t b, double value) {
    double *values = values_at(e, y, x + PAD), *past = past_at(e, y, x + PAD);
    const double *raw = e->raw + c * MOST_EXPERTS, *centre = e->centre + c * (e->experts + 1) * BATCH_ROWS + b;
    double *error = e->error + c * MOST_EXPERTS;
    const double relative = value - values[c - 4];
    double total = 0.0;
    for (int64_t k = 0; k < e->experts; k++) {
        error[k] = relative - raw[k];
        const double failed = value - centre[k * BATCH_ROWS];
        past[FAILED + 4 * k + c] = failed;
        total += __builtin_fabs(failed);
    }
    values[c] = value;
    const double mean = total / (double)e->experts, ratio = e->ratio[c];
    past[ABSOLUTE + c] = mean / ratio;
    double *level = e->level + 4 * phase_of(y, x) + c;
    const double found = mean * ratio / e->activity[c * BATCH_ROWS + b];
    *level += ((found < MOST_LEVEL ? found : MOST_LEVEL) + LEVEL_FLOOR - *level) * LEVEL_RATE;
    past[BLENDED + c] = value - centre[e->experts * BATCH_ROWS];
}
