/* One tile coded from a recording of the engine's memory, for processors that Python is not installed for:

       replay encode|decode RECORDING OUTPUT

   A recording holds 64-bit numbers and bytes: the size of the engine's structure and the structure; how many arrays
   follow; of each its address' place in the structure, its size, its bytes; the height of the tile, the samples of a
   row; the size of the coded bytes and they themselves (for the encoder, the room that it needs, and nothing). The
   output is what was made: the coded bytes with the coder's state before them, or the symbols. */

#include "../../../models/photo/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t DZ_KERNEL(dz_photo_encode)(Engine *, const uint16_t *, int64_t, int64_t, uint8_t *, uint64_t, double *);
int64_t DZ_KERNEL(dz_photo_decode)(Engine *, uint16_t *, int64_t, int64_t, const uint8_t *, uint64_t);

static FILE *recording;

static void take(void *to, size_t size) {
    if (fread(to, 1, size, recording) != size) exit(2);
}

static int64_t number(void) {
    int64_t value;
    take(&value, 8);
    return value;
}

/* Memory at a multiple of 64 bytes, filled from the recording. */
static void *filled(int64_t size) {
    void *memory = aligned_alloc(64, (size_t)(size + 127) / 64 * 64);
    take(memory, (size_t)size);
    return memory;
}

int main(int count, char **arguments) {
    if (count != 4 || !(recording = fopen(arguments[2], "rb"))) return 2;
    Engine engine;
    if (number() != (int64_t)sizeof engine) return 3;
    take(&engine, sizeof engine);
    for (int64_t left = number(); left > 0; left--) {
        const int64_t place = number(), size = number();
        void *memory = filled(size);
        memcpy((char *)&engine + place, &memory, sizeof memory);
    }
    const int64_t height = number(), samples = number();
    uint16_t *symbols = filled(2 * height * samples);
    const int64_t size = number();
    FILE *output = fopen(arguments[3], "wb");
    if (!strcmp(arguments[1], "encode")) {
        uint8_t *data = calloc(1, (size_t)size);
        if (DZ_KERNEL(dz_photo_encode)(&engine, symbols, 0, height, data, (uint64_t)size, 0)) return 4;
        fwrite(engine.coder, sizeof *engine.coder, 1, output);
        fwrite(data, 1, (size_t)size, output);
    } else {
        uint8_t *data = filled(size);
        if (DZ_KERNEL(dz_photo_decode)(&engine, symbols, 0, height, data, (uint64_t)size)) return 4;
        fwrite(symbols, 2, (size_t)(height * samples), output);
    }
    return fclose(output) ? 5 : 0;
}
