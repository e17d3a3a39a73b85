/* Hostile arguments for the loops over lanes: `entropy RUNS SEED`, compiled with sanitizers, which end the process at
   the first read or write outside a buffer, and at what C leaves undefined. All buffers are as long as they have to be.

   Beside that the laws: pop undoes push, and the symbol that is found for a slot has the interval that holds it, for
   any finite parameters, the largest and the smallest too. */

#include "hostile.h"

#include "../../codec/entropy/calibrated.c"
#include "../../codec/entropy/portable.kernels.c"
#define number_of lanes_number_of
#define bits_of lanes_bits_of
#include "../../codec/entropy/lanes.kernels.c"

enum { MOST_LANES = 1100, MOST_COMPONENTS = 4 };

static int64_t *integers(int64_t count) { return room(8 * (size_t)count); }

/* Sound intervals, or with `hostile` any numbers. */
static void draw_intervals(int64_t lanes, int64_t *start, int64_t *freq, int64_t precision, int hostile) {
    for (int64_t i = 0; i < lanes; i++) {
        const uint64_t end = 1ULL << precision;
        freq[i] = 1 + (int64_t)(random_word() % end >> random_below((uint32_t)precision + 1));
        start[i] = (int64_t)(random_word() % (end - (uint64_t)freq[i] + 1));
        if (hostile && random_below(20) == 0)
            freq[i] = (int64_t)(random_word() << random_below(64));
        if (hostile && random_below(20) == 0)
            start[i] = (int64_t)(random_word() << random_below(64));
    }
}

/* Push what is popped again: 0, or what is wrong. */
static int stack(int64_t lanes, int hostile) {
    const int64_t precision = random_below(32), size = random_below((uint32_t)lanes + 2);
    int64_t *head = integers(lanes), *start = integers(lanes), *freq = integers(lanes), *before = integers(lanes);
    int32_t *words = room(4 * (size_t)(size + lanes));
    for (int64_t i = 0; i < size + lanes; i++)
        words[i] = (int32_t)random_word();
    draw_intervals(lanes, start, freq, precision, hostile);
    for (int64_t i = 0; i < lanes; i++)
        head[i] =
            (int64_t)((1ULL << 31) + (random_word() >> 1) % ((1ULL << 63 >> random_below(32)) - (1ULL << 31) + 1));
    memcpy(before, head, 8 * (size_t)lanes);
    int64_t grown = DZ_KERNEL(dz_push)(lanes, head, start, freq, precision, words, size, size + lanes);
    if (!hostile && grown < size)
        return 10;
    if (grown < 0 && memcmp(before, head, 8 * (size_t)lanes))
        return 11;
    if (grown >= 0) {
        if (DZ_KERNEL(dz_push)(lanes, head, start, freq, precision, words, size, size + lanes - 1) >= 0)
            return 12; /* a word of room too few */
        if (grown > size && DZ_KERNEL(dz_pop)(lanes, head, start, freq, precision, words, grown - size - 1) != -2)
            return 13;
        if (DZ_KERNEL(dz_pop)(lanes, head, start, freq, precision, words, grown) != size)
            return 14;
        if (memcmp(before, head, 8 * (size_t)lanes))
            return 15;
    }
    draw_intervals(lanes, start, freq, precision, 1);
    int64_t first = DZ_KERNEL(dz_first_no_interval)(lanes, start, freq, precision);
    int64_t outside = DZ_KERNEL(dz_first_outside)(lanes, head, start, freq, precision);
    int64_t count = DZ_KERNEL(dz_words_of_pop)(lanes, head, start, freq, precision);
    if ((count < 0) != (first >= 0 || outside >= 0))
        return 16;
    DZ_KERNEL(dz_pop)(lanes, head, start, freq, precision, words, size);
    free(head), free(start), free(freq), free(before), free(words);
    return 0;
}

static double draw_number(int positive) { /* finite, now and then of any size */
    for (;;) {
        uint64_t bits = random_word();
        double x = (double)(int64_t)(bits >> 40) / 65536.0;
        if (bits % 8 == 0)
            memcpy(&x, &bits, sizeof x);
        if (positive ? x >= 0x1p-1022 && x - x == 0 : x - x == 0)
            return x;
    }
}

static int distributions(int64_t lanes) {
    const int64_t kind = random_below(3), precision = 1 + random_below(31),
                  components = 1 + random_below(MOST_COMPONENTS);
    const int64_t size = 1 + (int64_t)(random_word() % (1ULL << (precision - 1)) >> random_below(24));
    const int64_t count = components * lanes;
    double *logits = room(8 * (size_t)count), *means = room(8 * (size_t)count), *scales = room(8 * (size_t)count);
    double *scratch = room(8 * (size_t)((3 * components + EXTRA_ROWS) * BLOCK));
    int64_t *slots = integers(lanes), *symbols = integers(lanes), *start = integers(lanes), *freq = integers(lanes);
    for (int64_t i = 0; i < count; i++)
        logits[i] = draw_number(0), means[i] = draw_number(0), scales[i] = draw_number(1);
    for (int64_t i = 0; i < lanes; i++)
        slots[i] = (int64_t)(random_word() >> (64 - precision));
    if (DZ_KERNEL(dz_find)(kind, components, lanes, logits, means, scales, size, precision, scratch, slots, symbols)
        >= 0)
        return 20;
    if (DZ_KERNEL(dz_intervals)(kind, components, lanes, logits, means, scales, size, precision, scratch, symbols,
                                start, freq)
        >= 0)
        return 21;
    for (int64_t i = 0; i < lanes; i++)
        if (symbols[i] < 0 || symbols[i] >= size || slots[i] < start[i] || slots[i] - start[i] >= freq[i])
            return 22;
    if (lanes) { /* what is outside is named */
        int64_t wrong = random_below((uint32_t)lanes);
        slots[wrong] = random_below(2) ? 1LL << precision : -1;
        symbols[wrong] = random_below(2) ? size : INT64_MIN;
        if (DZ_KERNEL(dz_find)(kind, components, lanes, logits, means, scales, size, precision, scratch, slots, start)
            != wrong)
            return 23;
        if (DZ_KERNEL(dz_intervals)(kind, components, lanes, logits, means, scales, size, precision, scratch, symbols,
                                    start, freq)
            != wrong)
            return 24;
    }
    free(logits), free(means), free(scales), free(scratch), free(slots), free(symbols), free(start), free(freq);
    return 0;
}

static int exceptions(void) {
    const int64_t size = random_below(200), count = random_below(40), shift = random_below(40);
    uint8_t *bits = room((size_t)size), *sides = room((size_t)count);
    int64_t *gaps = integers(count);
    for (int64_t i = 0; i < size; i++)
        bits[i] = random_below(3) == 0;
    int64_t end = dz_read_gaps(bits, size, shift, count, gaps, sides);
    free(bits), free(sides), free(gaps);
    return end > size ? 30 : 0;
}

int main(int count, char **arguments) {
    if (count != 3)
        return 2;
    const long runs = atol(arguments[1]);
    seed = strtoull(arguments[2], NULL, 10);
    for (long number = 0; number < runs; number++) {
        const int64_t lanes = random_below(8) ? random_below(40) : random_below(MOST_LANES);
        int wrong = stack(lanes, number % 2);
        if (!wrong)
            wrong = distributions(lanes);
        if (!wrong)
            wrong = exceptions();
        if (wrong)
            return wrong;
    }
    printf("%ld runs\n", runs);
    return 0;
}
