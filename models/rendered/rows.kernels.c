/* The coder of rendered pictures: samples are predicted, and what is left is coded decision by decision, with chances
   that are mixed from counters under many contexts. One function for both directions: the decoder cannot compute
   another chance than the encoder. */

#include "contexts.h"
#include "predict.h"
#include "rendered.h"

enum { MATCH_AT = POSITION + 1, MATCH_LENGTH };

/* Kinds of decisions: 0 zero; 1 sign; 2 + 2 class + sign; then classes from 7 on; then bits below the highest. */
enum { ZERO = 0, SIGN = 1, CLASS = 2, NEAR_CLASSES = 7, FAR_CLASS = 16, BELOW = 32, MIXED_BITS = 4, SMALL_CLASS = 8 };

typedef struct {
    State *state;
    Arithmetic coder;
    const Outlook *out;
    int64_t channel;
    int32_t pace; /* of learning */
    uint32_t *lines[CONTEXTS];
} Coding;

INLINE void enter_lines(Coding *coding, uint32_t salt) {
    const State *state = coding->state;
    const uint32_t mask = (uint32_t)state->lines - 1;
    for (int i = 0; i < CONTEXTS; i++) {
        const uint32_t hash = salt ? mix(coding->out->hashes[i], salt) : coding->out->hashes[i];
        const uint32_t line = (hash * 0x9E3779B1u >> 7) & mask;
        coding->lines[i] = state->counters + ((int64_t)i * state->lines + line) * LINE;
        __builtin_prefetch(coding->lines[i], 1);
    }
}

/* A weighted sum of logits, in 16 bits behind the point. */
INLINE int32_t weigh(const int32_t *inputs, const int32_t *weights) {
    int64_t sum = 0;
    for (int i = 0; i < INPUTS; i++)
        sum += (int64_t)inputs[i] * weights[i];
    sum >>= 16;
    return (int32_t)(sum < -2047 ? -2047 : sum > 2047 ? 2047 : sum);
}

/* A step of the weights down the gradient of the code's length; weights are kept within bounds. */
INLINE void adapt(const int32_t *inputs, int32_t error, int32_t *weights) {
    for (int i = 0; i < INPUTS; i++) {
        const int32_t weight = weights[i] + ((inputs[i] * error + 32768) >> 16);
        weights[i] = clamp(weight, -(1 << 22), 1 << 22);
    }
}

/* Code one decision, whose counters are at `slot` of the lines entered last; `told` is what the match says of it: -1 is
   nothing. */
static int32_t decide(Coding *coding, int32_t bit, int slot, int node, int told) {
    State *state = coding->state;
    const Outlook *out = coding->out;
    int32_t inputs[INPUTS] = {0};
    uint32_t found[CONTEXTS];
    for (int i = 0; i < CONTEXTS; i++) {
        const uint32_t counter = coding->lines[i][slot];
        const int32_t count = (int32_t)(counter & 1023), probability = (int32_t)(counter >> 20);
        found[i] = counter;
        inputs[i] = count ? state->stretch[probability] : 0;
        inputs[LANES + i] = ((probability - 2048) * smaller(count, 16)) >> 6;
    }
    uint32_t *match = told < 0 ? 0 : state->match_counters + 2 * smaller(out->length, LONGEST_MATCH) + told;
    if (match)
        inputs[CONTEXTS] = state->stretch[*match >> 20];
    inputs[CONTEXTS + 1] = 256;
    int32_t *weights[3] = {state->node_weights + (node * MOST_CHANNELS + coding->channel) * INPUTS,
                           state->energy_weights + (node * ENERGIES + out->energy) * INPUTS,
                           state->pattern_weights + (node * 128 + (int32_t)out->pattern) * INPUTS};
    int32_t *last = state->final_weights + node * 4, logits[3];
    int64_t sum = 0;
    for (int i = 0; i < 3; i++) {
        logits[i] = weigh(inputs, weights[i]);
        sum += (int64_t)logits[i] * last[i];
    }
    const int32_t together = clamp((int32_t)(sum >> 16), -2047, 2047) + 2048, part = together & 127;
    const uint32_t names[2] = {(uint32_t)(out->energy >> 1) << 10 | (uint32_t)(out->fraction >> 1) << 7 | (uint32_t)node,
                               (out->hashes[5] + (uint32_t)node * 0x9E37u) & 0xFFFF};
    int32_t chance = 2 * state->squash[together];
    uint16_t *rows[2];
    for (int i = 0; i < 2; i++) {
        rows[i] = state->corrections + (((int64_t)i << 16) + names[i]) * KNOTS + (together >> 7);
        chance += (rows[i][0] * (128 - part) + rows[i][1] * part) >> 7;
    }
    chance = clamp(chance >> 2, 1, 65535);
    bit = code_bit(&coding->coder, (int)state->decoding, bit, chance, state->data, state->size);
    /* Learn. */
    const int32_t error = (bit * 65536 - state->squash[together]) * 2;
    for (int i = 0; i < 3; i++) {
        adapt(inputs, (bit * 65536 - state->squash[logits[i] + 2048]) * coding->pace, weights[i]);
        last[i] = clamp(last[i] + (int32_t)(((int64_t)logits[i] * error + 32768) >> 16), -(1 << 18), 1 << 18);
    }
    for (int i = 0; i < CONTEXTS; i++)
        coding->lines[i][slot] = learn(found[i], bit, state->rate);
    if (match)
        *match = learn(*match, bit, state->rate);
    const int nearest = part >= 64, target = bit ? 65535 : 0;
    for (int i = 0; i < 2; i++)
        rows[i][nearest] = (uint16_t)(rows[i][nearest] + ((target - rows[i][nearest]) >> 6));
    return bit;
}

/* A bit about which nothing is known but how often it was set. */
INLINE int32_t decide_plainly(Coding *coding, int32_t bit, int slot) {
    State *state = coding->state;
    uint32_t *counter = state->plain + slot;
    bit = code_bit(&coding->coder, (int)state->decoding, bit, clamp((int32_t)(*counter >> 16), 64, 65472), state->data,
                   state->size);
    *counter = learn(*counter, bit, state->rate);
    return bit;
}

/* Code a sample less its prediction: whether it is 0, its sign, the class of its size (1, 2, 3 to 4, 5 to 8, ...), and
   its place in the class. Returns it. */
INLINE int32_t code_residual(Coding *coding, int32_t residual, int classes) {
    const Outlook *out = coding->out;
    const int32_t told = out->match - out->prediction;
    const int know = out->match >= 0;
    enter_lines(coding, 0);
    if (decide(coding, residual == 0, 0, ZERO, know ? told == 0 : -1))
        return 0;
    int may = know && told != 0; /* whether the match still agrees */
    int32_t sign = residual < 0;
    if (out->prediction == 0)
        sign = 0;
    else if (out->prediction == coding->state->maximum)
        sign = 1;
    else
        sign = decide(coding, sign, 1, SIGN, may ? told < 0 : -1);
    may = may && (told < 0) == sign;
    const int32_t size = residual < 0 ? -residual : residual, said = told < 0 ? -told : told;
    const int class = size > 1 ? 32 - __builtin_clz((uint32_t)size - 1) : 0;
    const int matching = said > 1 ? 32 - __builtin_clz((uint32_t)said - 1) : 0;
    int found = 0;
    while (found < classes) {
        if (found == NEAR_CLASSES)
            enter_lines(coding, 1);
        const int slot = found < NEAR_CLASSES ? CLASS + 2 * found + sign : found - NEAR_CLASSES;
        const int node = found < NEAR_CLASSES ? slot : FAR_CLASS + slot;
        if (decide(coding, class == found, slot, node, may && matching >= found ? matching == found : -1))
            break;
        found++;
    }
    if (found == 0)
        return sign ? -1 : 1;
    may = may && matching == found;
    int32_t place = 0;
    const int bits = found - 1, mixed = found <= SMALL_CLASS ? bits : MIXED_BITS;
    const int32_t inside = size - (1 << bits) - 1, foretold = said - (1 << bits) - 1;
    for (int i = 0; i < bits; i++) {
        const int32_t bit = inside >> (bits - 1 - i) & 1;
        const int32_t before = (1 << i) + place;
        if (i >= mixed) {
            place = 2 * place + decide_plainly(coding, bit, found << 4 | i);
            continue;
        }
        if (i % 3 == 0)
            enter_lines(coding, (uint32_t)(2 + (found << 1 | sign) + (before << 6)));
        may = may && foretold >> (bits - i) == place;
        const int slot = (1 << i % 3) + (place & ((1 << i % 3) - 1));
        place = 2 * place + decide(coding, bit, slot, BELOW + smaller(found, 7) * 4 + smaller(i, 3),
                                   may ? foretold >> (bits - 1 - i) & 1 : -1);
    }
    const int32_t amount = (1 << bits) + 1 + place;
    return sign ? -amount : amount;
}

/* Where the same surroundings were last: continue there or look it up. Remembers this place. */
INLINE void follow(State *state, const uint16_t *p, int64_t stride, int64_t x, int64_t y, int64_t *match_at,
                   int64_t *length) {
    const int64_t channels = state->channels;
    uint32_t hash = whole(whole(whole(5, p - channels, channels), p - 2 * channels, channels), p - stride, channels);
    hash = whole(whole(hash, p - stride - channels, channels), p - stride + channels, channels);
    hash = whole(whole(hash, p - 2 * stride, channels), p - stride + 2 * channels, channels);
    int32_t *place = state->places + (hash & ((uint32_t)state->lines - 1));
    if (*length == 0) {
        *match_at = *place;
        *length = *place != 0;
    }
    *place = (int32_t)(y * state->width + x);
}

/* The margins that a row looks at: before it the first pixel of the row above, behind that row its last pixel. */
INLINE void set_margins(State *state, int64_t y, int64_t stride) {
    const int64_t channels = state->channels;
    uint16_t *row = state->canvas + (y + MARGIN) * stride;
    for (int64_t i = 0; i < MARGIN * channels; i++) {
        row[i] = row[i % channels + MARGIN * channels - stride];
        row[i - MARGIN * channels] = row[i % channels - (MARGIN + 1) * channels];
    }
    /* How far it is to the next change in the row above. */
    int32_t *changes = state->changes;
    const uint16_t *above = row - stride + MARGIN * channels;
    for (int64_t i = 0; i < state->width * channels; i++)
        changes[state->width * channels + i] = changes[i];
    for (int64_t i = state->width * channels - 1; i >= 0; i--) {
        const int last = i >= (state->width - 1) * channels;
        const int32_t further = last ? LONGEST_RUN : smaller(LONGEST_RUN, changes[i + channels] + 1);
        changes[i] = i < channels || above[i] == above[i - channels] ? further : 0;
    }
}

INLINE void code_rows(State *state, int64_t top, int64_t bottom) {
    const int64_t channels = state->channels, stride = (state->width + 2 * MARGIN) * channels;
    const int classes = state->maximum > 255 ? 16 : 8;
    int64_t *registers = state->registers;
    Outlook out;
    Coding coding = {state, {(uint32_t)registers[X1], (uint32_t)registers[X2], (uint32_t)registers[CODE],
                             registers[POSITION]}, &out, 0, 0, {0}};
    int64_t match_at = registers[MATCH_AT], length = registers[MATCH_LENGTH];
    for (int64_t y = top; y < bottom; y++) {
        set_margins(state, y, stride);
        int32_t runs[MOST_CHANNELS] = {0};
        for (int64_t x = 0; x < state->width; x++) {
            const int64_t at = (y + MARGIN) * stride + (x + MARGIN) * channels, pixels = y * state->width + x;
            uint16_t *pixel = state->canvas + at;
            follow(state, pixel, stride, x, y, &match_at, &length);
            const uint16_t *model = state->canvas + (match_at / state->width + MARGIN) * stride
                                    + (match_at % state->width + MARGIN) * channels;
            coding.pace = 2 + (int32_t)(2600 / (200 + pixels));
            for (int64_t c = 0; c < channels; c++) {
                uint16_t *p = pixel + c;
                predict(state, p, stride, c, x, y, &out);
                out.match = length ? model[c] : -1;
                out.length = (int32_t)(length < LONGEST_MATCH ? length : LONGEST_MATCH);
                if (length >= TRUSTED_MATCH)
                    out.prediction = out.match, out.fraction = 8;
                look_around(state, p, state->residuals + at + c, stride, c, x, y, runs[c], &out);
                coding.channel = c;
                const int32_t residual = code_residual(&coding, *p - out.prediction, classes);
                const int32_t sample = clamp(out.prediction + residual, 0, (int32_t)state->maximum);
                *p = (uint16_t)sample;
                state->residuals[at + c] = residual;
                take_in(state, &out, sample, c, x, y, pixels);
                runs[c] = sample == p[-channels] ? smaller(runs[c] + 1, LONGEST_RUN) : 0;
                if (length && sample != out.match)
                    length = 0;
            }
            if (length)
                length++, match_at++;
        }
    }
    registers[X1] = coding.coder.x1, registers[X2] = coding.coder.x2, registers[CODE] = coding.coder.code;
    registers[POSITION] = coding.coder.position, registers[MATCH_AT] = match_at, registers[MATCH_LENGTH] = length;
}

/* Code rows top to bottom. Returns 0, or -1 where the arguments contradict one another, or the data are too small for
   what is encoded. */
DZ_EXPORT int64_t DZ_KERNEL(dz_rendered_rows)(State *state, int64_t top, int64_t bottom) {
    const int64_t *registers = state->registers;
    if (top < 0 || top > bottom || bottom > state->height || state->width < 1 || state->channels < 1)
        return -1;
    if (state->channels > MOST_CHANNELS || state->height > INT32_MAX / state->width || state->size < 0)
        return -1;
    if (state->maximum < 1 || state->maximum > 65535 || state->lines < 1 || state->lines > 1 << 20
        || (state->lines & (state->lines - 1)))
        return -1;
    if (registers[POSITION] < 0 || registers[MATCH_AT] < 0 || registers[MATCH_AT] > top * state->width
        || registers[MATCH_LENGTH] < 0)
        return -1;
    const Mode mode = ieee_mode();
    code_rows(state, top, bottom);
    restore_mode(mode);
    return !state->decoding && registers[POSITION] > state->size ? -1 : 0;
}
