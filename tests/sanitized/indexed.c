/* Hostile tiles for the coder of few colours: `indexed RUNS SEED TABLES`, compiled with sanitizers, which end the
   process at the first read or write outside a buffer. TABLES is a file of the numbers of models/indexed.py: squash,
   stretch, rate.

   Every run codes a random small tile, damages or replaces the bytes, and decodes them in bands of rows. All buffers
   are as long as they have to be and no longer. Every 64th run checks that undamaged bytes give the tile back. */

#include "hostile.h"

#include "../../models/indexed.kernels.c"

enum { SIDE = 24, ROUND_TRIP = 64 };

static int32_t given[4096 + 4096 + COUNT_LIMIT + 1];
static int64_t slots;
static uint32_t *counters, *match_counters;
static int32_t *places, *depth_weights, *pattern_weights;
static uint16_t *corrections;

static void fill(uint32_t *to, int64_t count, uint32_t value) {
    for (int64_t i = 0; i < count; i++)
        to[i] = value;
}

static void begin(int fresh) { /* places belong to one tile; what else adapts is sound after any other tile */
    memset(places, 0, (size_t)slots * 4);
    if (!fresh)
        return;
    fill(counters, CONTEXTS * slots, 1u << 31);
    fill(match_counters, 2 * LONGEST_MATCH + 2, 1u << 31);
    fill((uint32_t *)depth_weights, (8 << 8) * INPUTS, 7000);
    fill((uint32_t *)pattern_weights, (1 << 7) * INPUTS, 7000);
    for (int64_t row = 0; row < 2 << 16; row++)
        for (int knot = 0; knot < KNOTS; knot++)
            corrections[row * KNOTS + knot] = (uint16_t)given[knot < 32 ? knot * 128 : 4095];
}

static int64_t run(int64_t height, int64_t width, int bits, int decoding, uint8_t *canvas, uint8_t *data, int64_t size,
                   int64_t band) {
    int64_t registers[6] = {0, 0xFFFFFFFF, 0, 0, 0, 0};
    if (decoding) {
        for (int64_t i = 0; i < 4; i++)
            registers[CODE] = registers[CODE] << 8 | (i < size ? data[i] : 0);
        registers[POSITION] = 4;
    }
    for (int64_t top = 0; top < height; top += band) {
        int64_t bottom = top + band < height ? top + band : height;
        if (DZ_KERNEL(dz_indexed_rows)(top, bottom, height, width, bits, decoding, canvas, data, size, registers, slots,
                                       counters, match_counters, places, depth_weights, pattern_weights, corrections,
                                       given, given + 4096, given + 8192))
            return -1;
    }
    if (!decoding && registers[POSITION] < size)
        data[registers[POSITION]++] = (uint8_t)((registers[X1] >> 24) + 1);
    return registers[POSITION];
}

int main(int count, char **arguments) {
    if (count != 4)
        return 2;
    const long runs = atol(arguments[1]);
    seed = strtoull(arguments[2], NULL, 10);
    FILE *file = fopen(arguments[3], "rb");
    if (!file || fread(given, sizeof given, 1, file) != 1)
        return 2;
    fclose(file);
    slots = 1 << 14;
    counters = room(sizeof(uint32_t) * CONTEXTS * (size_t)slots);
    match_counters = room(sizeof(uint32_t) * (2 * LONGEST_MATCH + 2));
    places = room(sizeof(int32_t) * (size_t)slots);
    depth_weights = room(sizeof(int32_t) * (8 << 8) * INPUTS);
    pattern_weights = room(sizeof(int32_t) * (1 << 7) * INPUTS);
    corrections = room(sizeof(uint16_t) * (2 << 16) * KNOTS);
    begin(1);
    long refused = 0;
    for (long number = 0; number < runs; number++) {
        const int64_t height = 1 + random_below(SIDE), width = 1 + random_below(SIDE), pixels = height * width;
        const int64_t length = (MARGIN + height) * (width + 2 * MARGIN), band = 1 + random_below((uint32_t)height);
        const int bits = 1 + (int)random_below(8), whole = number % ROUND_TRIP == 0;
        uint8_t *canvas = room((size_t)length), *original = room((size_t)length);
        memset(canvas, 0, (size_t)length);
        const uint32_t values = 1 + random_below(1u << bits), noise = 1 + random_below(9);
        for (int64_t i = 0; i < pixels; i++) {
            uint8_t *pixel = canvas + (MARGIN + i / width) * (width + 2 * MARGIN) + MARGIN + i % width;
            *pixel = (uint8_t)(random_below(9) < noise ? random_below(values) : pixel[-1]);
        }
        memcpy(original, canvas, (size_t)length);
        /* Sometimes too small for what is encoded, which has to be said. */
        const int64_t size = whole ? pixels * bits * 17 / 8 + 64 : random_below((uint32_t)(pixels * 2 + 8));
        uint8_t *data = room((size_t)size);
        memset(data, 0, (size_t)size);
        begin(whole);
        int64_t used = run(height, width, bits, 0, canvas, data, size, whole ? height : band);
        refused += used < 0;
        if (whole && used < 0)
            return 4;
        uint8_t *read = room((size_t)(used < 0 ? size : used));
        int64_t left = used < 0 ? size : used;
        memcpy(read, data, (size_t)left);
        if (!whole) {
            const uint32_t kind = random_below(4);
            for (int64_t i = 0; kind == 0 && i < left; i++)
                read[i] = (uint8_t)random_below(256);
            if (kind == 1)
                memset(read, random_below(2) ? 255 : 0, (size_t)left);
            for (uint32_t i = 0; kind >= 2 && left && i < 1 + random_below(5); i++)
                read[random_below((uint32_t)left)] ^= (uint8_t)(1 << random_below(8));
            if (kind == 3 && left) { /* cut off */
                left = random_below((uint32_t)left);
                uint8_t *shorter = room((size_t)left);
                memcpy(shorter, read, (size_t)left);
                free(read);
                read = shorter;
            }
        }
        memset(canvas, 0, (size_t)length);
        begin(whole);
        if (run(height, width, bits, 1, canvas, read, left, band) < 0)
            return 5;
        for (int64_t i = 0; i < length; i++)
            if (canvas[i] >> bits)
                return 6;
        if (whole && memcmp(canvas, original, (size_t)length))
            return 7;
        free(read), free(data), free(canvas), free(original);
    }
    free(counters), free(match_counters), free(places), free(depth_weights), free(pattern_weights), free(corrections);
    printf("%ld runs, %ld too small\n", runs, refused);
    return 0;
}
