/* Hostile scans and coefficients of JPEG files: `jpeg RUNS SEED TABLES`, compiled with sanitizers, which end the process
   at the first read or write outside a buffer, and at what C leaves undefined. TABLES is a file of what engine.py looks
   up: stretch, squash, trust, basis, rate, taps.

   Every run reads random bytes, or what it wrote before and damaged, as a scan of random kind; writes what was read, which
   has to be the same bytes if it gives as many; then codes the coefficients by the model of random size and decodes
   them, or random bytes. All buffers are as long as they have to be and no longer. */

#include "hostile.h"

#include "../../codec/images/jpeg/scanread.c"
#include "../../codec/images/jpeg/scanwrite.c"
#undef INLINE
#define LARGEST MODEL_LARGEST
#define BLOCK_BYTES MODEL_BLOCK_BYTES
#include "../../models/jpeg/coefficients.kernels.c"

enum { MOST_BYTES = 3000, MOST_BREAKS = 40, SELECTED = 201 + 624 + 534, CORRECTED = 201 + 1200 };

static float stretch[4096], squash_table[1536], trust[1024], basis[72], taps[3 * 64 * (REGRESSED + SCALED)];
static int64_t rate[1024];

static int16_t *blocks(int64_t count, int fill) {
    int16_t *made = room((size_t)count * 128);
    for (int64_t i = 0; i < count * 64; i++)
        made[i] = (int16_t)(fill && !random_below(5) ? (int)random_below(1 << (1 + random_below(11))) - 1024 : 0);
    for (int64_t i = 0; i < count * 64; i++)
        if (made[i] > 2047 || made[i] < -2047) made[i] = 2047;
    return made;
}

static void draw_table(Table *t) {
    int left = 1;
    for (int i = 0; i < 16; i++) { /* now and then more codes than there may be */
        left *= 2;
        int count = left < 1 || random_below(2) ? 0 : (int)random_below((uint32_t)(left < 40 ? left + !random_below(200) : 40));
        t->count[i] = (uint8_t)(count > 255 ? 255 : count);
        left -= count < left ? count : left;
    }
    for (int i = 0; i < 256; i++) t->symbol[i] = (uint8_t)(random_below(3) ? (uint32_t)i : random_below(256));
    dz_jpeg_table(t);
}

static int scan(int64_t *read, int64_t *same) {
    Table *table = room(8 * sizeof(Table));
    Scan s = {0};
    int failed = 0;
    for (int i = 0; i < 8; i++) draw_table(table + i);
    s.parts = 1 + random_below(3);
    s.columns = 1 + random_below(4), s.rows = 1 + random_below(4);
    s.interval = random_below(2) ? 0 : 1 + random_below(5);
    s.progressive = random_below(3) > 0;
    s.last = 63;
    if (s.progressive) {
        s.first = random_below(64), s.low = random_below(12), s.high = random_below(2) ? s.low + 1 : 0;
        s.last = s.first ? s.first + random_below((uint32_t)(64 - s.first)) : 0;
        if (s.first) s.parts = 1;
    }
    s.table = table;
    for (int p = 0; p < s.parts; p++) {
        Part *part = s.part + p;
        part->across = s.parts > 1 ? 1 + random_below(2) : 1, part->down = s.parts > 1 ? 1 + random_below(2) : 1;
        part->stride = s.columns * part->across + random_below(2);
        part->blocks = blocks(part->stride * s.rows * part->down, s.high != 0);
        part->dc = random_below(4), part->ac = 4 + random_below(4);
    }
    s.pads = s.interval ? (s.columns * s.rows + s.interval - 1) / s.interval : 1;
    s.pad = room((size_t)s.pads);
    s.most_breaks = MOST_BREAKS;
    s.broken = room(MOST_BREAKS * 8);
    const int64_t size = random_below(MOST_BYTES);
    uint8_t *data = room((size_t)size), *out = room((size_t)size + 2048);
    for (int64_t i = 0; i < size; i++) data[i] = (uint8_t)(random_below(30) ? random_word() : random_below(2) * 255);
    if (s.interval)
        for (int64_t i = 0; i + 1 < size; i++)
            if (!random_below(40)) data[i] = 255, data[i + 1] = (uint8_t)(0xD0 + random_below(8));
    const int64_t used = dz_jpeg_read_scan(&s, data, size);
    if (used > size) failed = 10;
    if (used >= 0) *read += 1;
    const int64_t again = dz_jpeg_write_scan(&s, out, size + 2048);
    if (again > size + 2048) failed = 11;
    if (used >= 0 && again == used && !memcmp(out, data, (size_t)used)) *same += 1;
    for (int p = 0; p < s.parts; p++) free(s.part[p].blocks);
    free(table), free(s.pad), free(s.broken), free(data), free(out);
    return failed;
}

static float *floats(int64_t count, float value) {
    float *made = room((size_t)count * 4);
    for (int64_t i = 0; i < count; i++) made[i] = value;
    return made;
}

static int coefficients(int hostile) {
    const int64_t columns = 1 + random_below(5), rows = 1 + random_below(5), inputs = (int64_t[]){FAST, 16, 24}[random_below(3)];
    const int64_t lines = 1 << random_below(6), capacity = 3 * BLOCK_BYTES * columns * rows;
    int16_t *plane[3], *found[3];
    float *step = floats(256, 1.0f);
    for (int i = 0; i < 192; i++) step[i] = (float)(1 + random_below(random_below(3) ? 100 : 65535));
    for (int i = 0; i < 64; i++) step[192 + i] = 1.0f / step[i];
    for (int i = 0; i < 3; i++) plane[i] = blocks(columns * rows, 1), found[i] = blocks(columns * rows, 0);
    uint8_t *data = room((size_t)capacity);
    int64_t size = random_below(400);
    for (int64_t i = 0; i < size; i++) data[i] = (uint8_t)random_word();
    for (int decoding = hostile; decoding < 2; decoding++) {
        RangeCoder coder = {0, ~0ULL, 0, 0};
        if (decoding)
            for (int i = 0; i < 8; i++, coder.position++)
                coder.code = coder.code << 8 | (coder.position < (uint64_t)size ? data[coder.position] : 0);
        Engine e = {.columns = columns, .inputs = inputs, .lines = lines, .pace = 0.01f, .second_pace = 0.003f};
        e.counter = (uint32_t *)floats((inputs - 1) * lines * NODES, 0.0f);
        float *weights = floats(SELECTED * GROUPS * inputs, 0.3f);
        e.weight[0] = weights, e.weight[1] = weights + 201 * GROUPS * inputs;
        e.weight[2] = e.weight[1] + 624 * GROUPS * inputs;
        e.second = floats(201 * NODES * SETS, 0.33f);
        float *corrections = floats(CORRECTED * NODES * KNOTS, 0.5f);
        e.correction[0] = corrections, e.correction[1] = corrections + 201 * NODES * KNOTS;
        e.tail = (uint32_t *)floats(4 * 64 * 16 * TAIL, 0.0f);
        e.stretch = stretch, e.squash = squash_table, e.trust = trust, e.basis = basis, e.rate = rate, e.taps = taps;
        e.limit = 255, e.step = step, e.coder = &coder;
        e.out = decoding ? 0 : data, e.capacity = (uint64_t)capacity, e.data = data, e.size = (uint64_t)size;
        for (int c = 0; c < 3; c++) {
            e.seen = (Seen *)floats(3 * (columns + 4) * (int64_t)sizeof(Seen) / 4, 0.0f);
            e.plane = decoding ? found[c] : plane[c];
            e.component = c, e.first = e.next = 0, e.last = rows;
            e.luma = c ? (decoding ? found[0] : plane[0]) : 0;
            e.luma_columns = columns, e.luma_rows = rows;
            e.luma_across = 1 + random_below(1), e.luma_down = 1, e.across = e.down = 1;
            e.chroma = c == 2 ? (decoding ? found[1] : plane[1]) : 0;
            DZ_KERNEL(dz_jpeg_code)(&e);
            if (e.first != rows) return 20;
            free(e.seen);
        }
        if (!decoding) {
            for (int i = 0; i < 8; i++) {
                if (coder.low >> 63 && i == 0 && 0) return 21;
                data[coder.position++] = (uint8_t)(coder.low >> 56);
                coder.low <<= 8;
            }
            size = (int64_t)coder.position;
        }
        free(e.counter), free(weights), free(e.second), free(corrections), free(e.tail);
    }
    int wrong = 0;
    for (int i = 0; i < 3; i++) {
        if (!hostile && memcmp(plane[i], found[i], (size_t)(columns * rows) * 128)) wrong = 22;
        free(plane[i]), free(found[i]);
    }
    free(step), free(data);
    return wrong;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    const int64_t runs = atoll(arguments[1]);
    seed = (uint64_t)atoll(arguments[2]);
    FILE *file = fopen(arguments[3], "rb");
    if (!file || fread(stretch, sizeof stretch, 1, file) != 1 || fread(squash_table, sizeof squash_table, 1, file) != 1 ||
        fread(trust, sizeof trust, 1, file) != 1 || fread(basis, sizeof basis, 1, file) != 1 ||
        fread(rate, sizeof rate, 1, file) != 1 || fread(taps, sizeof taps, 1, file) != 1)
        return 4;
    int64_t read = 0, same = 0;
    for (int64_t run = 0; run < runs; run++) {
        int failed = scan(&read, &same);
        if (!failed && run % 8 == 0) failed = coefficients(run % 16 == 0);
        if (failed) {
            fprintf(stderr, "run %lld: %d\n", (long long)run, failed);
            return failed;
        }
    }
    printf("%lld runs, %lld read, %lld the same\n", (long long)runs, (long long)read, (long long)same);
    return 0;
}
