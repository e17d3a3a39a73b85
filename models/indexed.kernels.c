/* The coder of images of few colours: each index is coded bit by bit, with probabilities that adapt to the image.

   One function for both directions: the decoder cannot compute another probability than the encoder. All arithmetic
   is on integers. The tables and their sizes are described in indexed.py, which makes them. */

#include "../codec/native.h"
#include "logistic.h"

enum {
    CONTEXTS = 13,
    LANES = 16,         /* the contexts and three more, so that their loops are whole vectors */
    INPUTS = 2 * LANES, /* logits of the contexts, of the match and the bias; then how sure each context is */
    MATCH = CONTEXTS,
    BIAS = CONTEXTS + 1,
    LEARNING_RATE = 3,
    LONGEST_MATCH = 31,
    MARGIN = 4,
    KNOTS = 33
};

/* Places in `registers` behind those of the arithmetic coder. */
enum { MATCH_AT = POSITION + 1, MATCH_LENGTH };

/* Everything that adapts, and the tables that do not. */
typedef struct {
    uint32_t *counters; /* [CONTEXTS, slot_mask + 1] */
    uint32_t slot_mask;
    uint32_t *match_counters; /* [2 * LONGEST_MATCH + 2] */
    int32_t *places;          /* [slot_mask + 1], where each hash of surroundings was seen last */
    int32_t *depth_weights;   /* [8 << 8, INPUTS] */
    int32_t *pattern_weights; /* [1 << 7, INPUTS] */
    uint16_t *corrections;    /* [2, 1 << 16, KNOTS] */
    const int32_t *squash;    /* [4096] */
    const int32_t *stretch;   /* [4096] */
    const int32_t *rate;      /* [COUNT_LIMIT + 1] */
} Tables;

/* Hashes of thirteen sets of causal neighbours of the pixel at `p`; returns one of all of them, for the match. */
static inline uint32_t hash_neighbours(const uint8_t *p, int64_t stride, uint32_t *hashes) {
    const uint8_t *above = p - stride, *second = above - stride, *third = second - stride;
    uint32_t w = p[-1], ww = p[-2], www = p[-3], n = above[0], nw = above[-1], ne = above[1], nee = above[2];
    uint32_t near = mix(mix(mix(mix(0, w), n), ne), nw);
    uint32_t six = mix(mix(near, ww), second[0]);
    uint32_t ten = mix(mix(mix(mix(six, nee), above[-2]), second[1]), second[-1]);
    uint32_t wide = mix(mix(mix(ten, www), above[3]), third[0]);
    hashes[0] = 1;
    hashes[1] = mix(mix(2, w), n);
    hashes[2] = mix(mix(mix(3, w), n), nw);
    hashes[3] = mix(4, near);
    hashes[4] = mix(5, six);
    hashes[5] = mix(6, ten);
    wide = mix(mix(wide, second[2]), second[-2]);
    hashes[6] = mix(7, wide);
    hashes[7] = mix(mix(mix(8, w), ww), www);
    hashes[8] = mix(mix(mix(9, n), second[0]), third[0]);
    hashes[9] = mix(mix(mix(10, ne), w), nee);
    /* Indices in an order of brightness are amounts too: a plane, a slope and two means. */
    hashes[10] = mix(11, w + n - nw + 512);
    hashes[11] = mix(mix(12, w + ne), n - nw + 512);
    hashes[12] = mix(mix(13, (w + n) >> 1), (ne + nw) >> 1);
    return wide;
}

/* Which neighbours are alike: 7 bits. */
static inline uint32_t pattern_of(const uint8_t *p, int64_t stride) {
    const uint8_t *above = p - stride;
    int w = p[-1], n = above[0], nw = above[-1], ne = above[1];
    return (uint32_t)((w == n) | (n == nw) << 1 | (w == nw) << 2 | (n == ne) << 3 | (w == p[-2]) << 4
                      | (n == above[-stride]) << 5 | (ne == above[2]) << 6);
}

/* A weighted sum of logits, in 16 bits behind the point. */
static inline int32_t weigh(const int32_t *inputs, const int32_t *weights) {
    int64_t sum = 0;
    for (int i = 0; i < INPUTS; i++)
        sum += (int64_t)inputs[i] * weights[i];
    sum >>= 16;
    return (int32_t)(sum < -2047 ? -2047 : sum > 2047 ? 2047 : sum);
}

/* A step of the weights down the gradient of the code's length. They stay below 2^29 in tiles of 2^22 pixels. */
static inline void adapt(const int32_t *inputs, int32_t error, int32_t *weights) {
    for (int i = 0; i < INPUTS; i++)
        weights[i] = (int32_t)((uint32_t)weights[i] + (uint32_t)((inputs[i] * error + 32768) >> 16));
}

/* Code one bit of an index: `node` holds those before it behind a 1, and `expected`, where it is not -1, the index that
   the match foretells, in the same form. */
static inline int32_t code_node(const Tables *tables, Arithmetic *coder, int decoding, int32_t bit, uint8_t *data,
                                int64_t size, const uint32_t *hashes, uint32_t node, int depth, int match_slot,
                                int32_t length, uint32_t pattern, uint32_t west, uint32_t by_two) {
    uint32_t slots[LANES];
    int32_t inputs[INPUTS] = {0};
    const int64_t table_size = (int64_t)tables->slot_mask + 1;
    for (int i = 0; i < LANES; i++)
        slots[i] = mix(hashes[i], node * 0x9E3779B1u) & tables->slot_mask;
    /* What each context says. */
    uint32_t known = 0, found[LANES];
    for (int i = 0; i < CONTEXTS; i++) {
        uint32_t counter = tables->counters[i * table_size + slots[i]];
        int32_t count = (int32_t)(counter & 1023), probability = (int32_t)(counter >> 20);
        found[i] = counter;
        inputs[i] = count ? tables->stretch[probability] : 0;
        inputs[LANES + i] = ((probability - 2048) * smaller(count, 16)) >> 6;
        known += i >= 3 && i <= 6 && count;
    }
    uint32_t matching = 0;
    if (match_slot >= 0) {
        inputs[MATCH] = tables->stretch[tables->match_counters[match_slot] >> 20];
        matching = length >= 16 ? 5 : 1 + (uint32_t)smaller(length, 7) / 2;
    }
    inputs[BIAS] = 256;
    /* Two weighted sums of logits, averaged, and corrected by two tables. */
    int32_t *by_depth = tables->depth_weights + ((uint32_t)depth << 8 | matching << 5 | known) * INPUTS;
    int32_t *by_pattern = tables->pattern_weights + pattern * INPUTS;
    int32_t logit_a = weigh(inputs, by_depth), logit_b = weigh(inputs, by_pattern);
    int32_t logit = ((logit_a + logit_b) >> 1) + 2048, part = logit & 127;
    uint16_t *row_a = tables->corrections + (int64_t)(west << 8 | node) * KNOTS + (logit >> 7);
    uint16_t *row_b =
        tables->corrections + (int64_t)((1 << 16) + ((by_two + node * 0x9E37) & 0xFFFF)) * KNOTS + (logit >> 7);
    int32_t chance = 2 * tables->squash[logit];
    chance += (row_a[0] * (128 - part) + row_a[1] * part) >> 7;
    chance += (row_b[0] * (128 - part) + row_b[1] * part) >> 7;
    chance = smaller(65535, larger(1, chance >> 2));
    bit = code_bit(coder, decoding, bit, chance, data, size);
    /* Learn. */
    adapt(inputs, (bit * 65536 - tables->squash[logit_a + 2048]) * LEARNING_RATE, by_depth);
    adapt(inputs, (bit * 65536 - tables->squash[logit_b + 2048]) * LEARNING_RATE, by_pattern);
    for (int i = 0; i < CONTEXTS; i++)
        tables->counters[i * table_size + slots[i]] = learn(found[i], bit, tables->rate);
    if (match_slot >= 0)
        tables->match_counters[match_slot] = learn(tables->match_counters[match_slot], bit, tables->rate);
    int nearest = part >= 64, target = bit ? 65535 : 0;
    row_a[nearest] = (uint16_t)(row_a[nearest] + ((target - row_a[nearest]) >> 6));
    row_b[nearest] = (uint16_t)(row_b[nearest] + ((target - row_b[nearest]) >> 6));
    return bit;
}

static inline void code_rows(int64_t top, int64_t bottom, int64_t width, int bits, int decoding, uint8_t *canvas,
                             uint8_t *data, int64_t size, int64_t *registers, const Tables *tables) {
    const int64_t stride = width + 2 * MARGIN;
    Arithmetic coder = {(uint32_t)registers[X1], (uint32_t)registers[X2], (uint32_t)registers[CODE],
                        registers[POSITION]};
    int64_t match_at = registers[MATCH_AT], match_length = registers[MATCH_LENGTH];
    uint32_t hashes[LANES] = {0};
    for (int64_t y = top; y < bottom; y++)
        for (int64_t x = 0; x < width; x++) {
            uint8_t *pixel = canvas + (y + MARGIN) * stride + x + MARGIN;
            uint32_t place = hash_neighbours(pixel, stride, hashes) & tables->slot_mask;
            uint32_t pattern = pattern_of(pixel, stride), west = pixel[-1];
            if (match_length == 0) {
                match_at = tables->places[place];
                match_length = match_at != 0;
            }
            tables->places[place] = (int32_t)(y * width + x);
            int32_t expected = -1;
            if (match_length)
                expected = canvas[(match_at / width + MARGIN) * stride + match_at % width + MARGIN];
            int32_t length = match_length < LONGEST_MATCH ? (int32_t)match_length : LONGEST_MATCH;
            uint32_t by_two = mix(mix(77, west), pixel[-stride]), node = 1;
            int32_t index = *pixel;
            for (int depth = 0; depth < bits; depth++) {
                int match_slot = -1;
                if (expected >= 0 && (uint32_t)(expected | 1 << bits) >> (bits - depth) == node)
                    match_slot = length * 2 + (expected >> (bits - 1 - depth) & 1);
                int32_t bit = index >> (bits - 1 - depth) & 1;
                bit = code_node(tables, &coder, decoding, bit, data, size, hashes, node, depth, match_slot, length,
                                pattern, west, by_two);
                node = node << 1 | (uint32_t)bit;
            }
            *pixel = (uint8_t)(node - (1u << bits));
            if (match_length) {
                match_length = *pixel == expected ? match_length + 1 : 0;
                match_at++;
            }
        }
    registers[X1] = coder.x1, registers[X2] = coder.x2, registers[CODE] = coder.code;
    registers[POSITION] = coder.position, registers[MATCH_AT] = match_at, registers[MATCH_LENGTH] = match_length;
}

/* Code rows top to bottom of `canvas`, [MARGIN + height, width + 2 * MARGIN] indices of `bits` bits, from or into the
   `size` bytes of `data`. `registers` holds the arithmetic coder and the match. Returns 0, or -1 where the arguments
   contradict one another, or `data` is too small for what is encoded. */
DZ_EXPORT int64_t DZ_KERNEL(dz_indexed_rows)(int64_t top, int64_t bottom, int64_t height, int64_t width, int64_t bits,
                                             int64_t decoding, uint8_t *canvas, uint8_t *data, int64_t size,
                                             int64_t *registers, int64_t slots, uint32_t *counters,
                                             uint32_t *match_counters, int32_t *places, int32_t *depth_weights,
                                             int32_t *pattern_weights, uint16_t *corrections, const int32_t *squash,
                                             const int32_t *stretch, const int32_t *rate) {
    if (top < 0 || top > bottom || bottom > height || width < 1 || height > INT32_MAX / width || bits < 1 || bits > 8)
        return -1;
    if (size < 0 || slots < 1 || slots > 1 << 24 || (slots & (slots - 1)) || registers[POSITION] < 0)
        return -1;
    if (registers[MATCH_AT] < 0 || registers[MATCH_AT] > top * width || registers[MATCH_LENGTH] < 0)
        return -1;
    Tables tables = {counters,        (uint32_t)slots - 1, match_counters, places,  depth_weights,
                     pattern_weights, corrections,         squash,         stretch, rate};
    if (decoding)
        code_rows(top, bottom, width, (int)bits, 1, canvas, data, size, registers, &tables);
    else
        code_rows(top, bottom, width, (int)bits, 0, canvas, data, size, registers, &tables);
    return !decoding && registers[POSITION] > size ? -1 : 0;
}
