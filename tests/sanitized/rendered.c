/* Hostile tiles for the coder of rendered pictures: `rendered RUNS SEED TABLES`, compiled with sanitizers, which end the
   process at the first read or write outside a buffer. TABLES is a file of the numbers of models/indexed.py: squash,
   stretch, rate.

   Every run codes a random small tile, damages or replaces the bytes, and decodes them in bands of rows. All buffers
   are as long as they have to be and no longer. Every fourth run checks that undamaged bytes give the tile back. */

#include "hostile.h"

#include "../../models/rendered/rows.kernels.c"

enum { SIDE = 14, LINES = 256, ROUND_TRIP = 4 };

static int32_t given[4096 + 4096 + COUNT_LIMIT + 1];

static void *filled(size_t count, uint32_t value) {
    uint32_t *numbers = room(4 * count);
    for (size_t i = 0; i < count; i++)
        numbers[i] = value;
    return numbers;
}

/* Anew what adapts. What was there belongs to the run before. */
static State begin(int64_t height, int64_t width, int64_t channels, int64_t maximum, int32_t *offsets) {
    const size_t columns = (size_t)(width + 2 * MARGIN), samples = (size_t)(height + MARGIN) * columns * (size_t)channels;
    State state = {height, width, channels, maximum, 0, LINES, 0, 0};
    state.canvas = room(2 * samples), memset(state.canvas, 0, 2 * samples);
    state.residuals = filled(samples, 0);
    state.errors = filled(2 * columns * (size_t)channels * PREDICTORS, 0);
    state.changes = filled(2 * (size_t)(width * channels), 0);
    state.offsets = offsets;
    state.squares = filled((size_t)channels * 3 * sizeof(Squares) / 4, 0);
    state.rivals = filled((size_t)channels * RIVALS * 2, 0);
    state.counters = filled(CONTEXTS * LINES * LINE, 1u << 31);
    state.match_counters = filled(2 * LONGEST_MATCH + 2, 1u << 31);
    state.plain = filled(PLAIN_BITS, 1u << 31);
    state.places = filled(LINES, 0);
    state.node_weights = filled(NODES * MOST_CHANNELS * INPUTS, 5000);
    state.energy_weights = filled(NODES * ENERGIES * INPUTS, 5000);
    state.pattern_weights = filled(NODES * 128 * INPUTS, 5000);
    state.final_weights = filled(NODES * 4, 21845);
    uint16_t *corrections = room(2 * (2 << 16) * KNOTS);
    for (int64_t row = 0; row < 2 << 16; row++)
        for (int knot = 0; knot < KNOTS; knot++)
            corrections[row * KNOTS + knot] = (uint16_t)given[knot < 32 ? knot * 128 : 4095];
    state.corrections = corrections;
    state.squash = given, state.stretch = given + 4096, state.rate = given + 8192;
    state.registers = room(6 * 8), memset(state.registers, 0, 6 * 8);
    state.registers[X2] = 0xFFFFFFFF;
    return state;
}

static void end(State *state) {
    void *all[] = {state->canvas, state->residuals, state->errors, state->changes, state->squares, state->rivals,
                   state->counters, state->match_counters, state->plain, state->places, state->node_weights,
                   state->energy_weights, state->pattern_weights, state->final_weights, state->corrections,
                   state->registers};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static int64_t run(State *state, uint8_t *data, int64_t size, int64_t band) {
    state->data = data, state->size = size;
    for (int64_t i = 0; state->decoding && i < 4; i++)
        state->registers[CODE] = state->registers[CODE] << 8 | (i < size ? data[i] : 0);
    state->registers[POSITION] = state->decoding ? 4 : 0;
    for (int64_t top = 0; top < state->height; top += band)
        if (DZ_KERNEL(dz_rendered_rows)(state, top, top + band < state->height ? top + band : state->height))
            return -1;
    if (!state->decoding && state->registers[POSITION] < size)
        data[state->registers[POSITION]++] = (uint8_t)((state->registers[X1] >> 24) + 1);
    return state->registers[POSITION];
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
    long refused = 0;
    for (long number = 0; number < runs; number++) {
        const int64_t height = 1 + random_below(SIDE), width = 1 + random_below(SIDE), channels = 1 + random_below(4);
        const int64_t maximum = 1 + random_below(random_below(2) ? 255 : 65535), stride = (width + 2 * MARGIN) * channels;
        const int64_t samples = height * width * channels, band = 1 + random_below((uint32_t)height);
        const int whole = number % ROUND_TRIP == 0;
        int32_t *offsets = room(sizeof(int32_t) * (size_t)channels * REGRESSORS * 2);
        for (int64_t i = 0; i < channels * REGRESSORS; i++) { /* any causal neighbours: only where they lie matters */
            const int32_t dx = (int32_t)random_below(9) - 4, dy = 1 + (int32_t)random_below(3);
            offsets[2 * i] = (int32_t)(dx * channels - dy * stride), offsets[2 * i + 1] = -(int32_t)channels;
        }
        State state = begin(height, width, channels, maximum, offsets);
        const size_t bytes = 2 * (size_t)((height + MARGIN) * stride);
        const uint32_t noise = random_below(10);
        for (int64_t i = 0; i < samples; i++) {
            const int64_t y = i / (width * channels), x = i % (width * channels);
            uint16_t *sample = state.canvas + (MARGIN + y) * stride + MARGIN * channels + x;
            *sample = random_below(9) < noise ? (uint16_t)random_below((uint32_t)maximum + 1) : sample[-channels];
        }
        uint16_t *original = room(bytes);
        memcpy(original, state.canvas, bytes);
        /* Sometimes too small for what is encoded, which has to be said. */
        const int64_t size = whole ? samples * 82 + 64 : random_below((uint32_t)(samples * 2 + 8));
        uint8_t *data = room((size_t)size);
        memset(data, 0, (size_t)size);
        const int64_t used = run(&state, data, size, band);
        end(&state);
        refused += used < 0;
        if (whole && used < 0)
            return 4;
        int64_t left = used < 0 ? size : used;
        if (!whole && left && random_below(2))
            left = random_below((uint32_t)left);
        uint8_t *read = room((size_t)left);
        memcpy(read, data, (size_t)left);
        for (uint32_t i = random_below(6); !whole && left && i; i--)
            read[random_below((uint32_t)left)] = (uint8_t)random_below(256);
        State again = begin(height, width, channels, maximum, offsets);
        again.decoding = 1;
        if (run(&again, read, left, whole ? height : band) < 0)
            return 5;
        for (int64_t i = 0; i < samples; i++) {
            const int64_t at = (MARGIN + i / (width * channels)) * stride + MARGIN * channels + i % (width * channels);
            if (again.canvas[at] > maximum || (whole && again.canvas[at] != original[at]))
                return 6;
        }
        end(&again);
        free(original), free(data), free(read), free(offsets);
    }
    printf("%ld runs, %ld refused\n", runs, refused);
    return 0;
}
