/* Coefficients to the bytes of a scan. */

#include "scan.h"

/* Most bytes of a block: 64 codes of 16 bits with 11 more, each byte followed by a zero, and a marker. */
enum { BLOCK_BYTES = 512 };

typedef struct {
    uint8_t *out;
    int64_t capacity, position;
    uint64_t bits;
    int held;
    int failed;
} Sink;

/* A run of empty ends: of how many blocks, which is the first, and where its end begins. */
typedef struct {
    int64_t blocks, first, from, corrections;
} Run;

INLINE void put_bits(Sink *k, uint32_t value, int n) {
    k->bits = k->bits << n | (value & ((1u << n) - 1));
    k->held += n;
    while (k->held >= 8) {
        const uint8_t byte = (uint8_t)(k->bits >> (k->held - 8));
        k->out[k->position++] = byte;
        if (byte == 0xFF) k->out[k->position++] = 0;
        k->held -= 8;
    }
}

INLINE void put_symbol(Sink *k, const Table *t, int symbol) {
    if (!t->length[symbol]) k->failed = NO_CODE;
    put_bits(k, t->code[symbol], t->length[symbol]);
}

INLINE int bits_of(int32_t value) { return value ? 32 - __builtin_clz((unsigned)value) : 0; }

/* The low bits that tell a number from the others of its length. */
INLINE uint32_t told(int32_t value) { return (uint32_t)(value < 0 ? value - 1 : value); }

INLINE void write_dc(const Scan *s, Sink *k, int p, const int16_t *block, int32_t *last) {
    if (s->high) {
        put_bits(k, (uint32_t)(block[0] >> s->low) & 1, 1);
        return;
    }
    const int32_t value = block[0] >> s->low, change = value - *last;
    const int size = bits_of(change < 0 ? -change : change);
    *last = value;
    put_symbol(k, s->table + s->part[p].dc, size);
    put_bits(k, told(change), size);
}

INLINE void write_sequential(const Scan *s, Sink *k, int p, const int16_t *block) {
    const Table *table = s->table + s->part[p].ac;
    int zeros = 0;
    for (int i = 1; i < 64; i++) {
        const int32_t value = block[ZIGZAG[i]];
        if (!value) {
            zeros++;
            continue;
        }
        for (; zeros > 15; zeros -= 16) put_symbol(k, table, 0xF0);
        const int size = bits_of(value < 0 ? -value : value);
        put_symbol(k, table, zeros << 4 | size);
        put_bits(k, told(value), size);
        zeros = 0;
    }
    if (zeros) put_symbol(k, table, 0);
}

/* The block with a number in a scan of one component. */
INLINE const int16_t *block_of(const Scan *s, int64_t index) {
    return s->part[0].blocks + (index / s->columns * s->part[0].stride + index % s->columns) * 64;
}

INLINE int32_t magnitude(const Scan *s, const int16_t *block, int64_t i) {
    const int32_t value = block[ZIGZAG[i]];
    return (value < 0 ? -value : value) >> s->low;
}

/* The bits that correct coefficients from `from` up to `to`. */
INLINE void put_corrections(const Scan *s, Sink *k, const int16_t *block, int64_t from, int64_t to) {
    for (int64_t i = from; i <= to; i++)
        if (magnitude(s, block, i) > 1) put_bits(k, (uint32_t)magnitude(s, block, i) & 1, 1);
}

static void end_run(const Scan *s, Sink *k, Run *run) {
    if (!run->blocks) return;
    const int size = bits_of((int32_t)run->blocks) - 1;
    put_symbol(k, s->table + s->part[0].ac, size << 4);
    put_bits(k, (uint32_t)run->blocks, size);
    if (s->high)
        for (int64_t i = 0; i < run->blocks; i++) {
            if (k->position + BLOCK_BYTES > k->capacity) {
                k->failed = NO_ROOM;
                break;
            }
            put_corrections(s, k, block_of(s, run->first + i), i ? s->first : run->from, s->last);
        }
    run->blocks = 0;
    run->corrections = 0;
}

/* Count a block whose end from `from` on is empty but for corrections. */
INLINE void extend_run(const Scan *s, Sink *k, Run *run, int64_t index, const int16_t *block, int64_t from) {
    if (!run->blocks) run->first = index, run->from = from;
    run->blocks++;
    if (s->high && s->runs == 1)
        for (int64_t i = from; i <= s->last; i++) run->corrections += magnitude(s, block, i) > 1;
    if (run->blocks == MOST_RUN || s->runs == 2 || run->corrections > MOST_CORRECTIONS) end_run(s, k, run);
}

INLINE void write_first(const Scan *s, Sink *k, int64_t index, const int16_t *block, Run *run) {
    const Table *table = s->table + s->part[0].ac;
    int64_t zeros = 0;
    for (int64_t i = s->first; i <= s->last; i++) {
        const int32_t value = magnitude(s, block, i);
        if (!value) {
            zeros++;
            continue;
        }
        end_run(s, k, run);
        for (; zeros > 15; zeros -= 16) put_symbol(k, table, 0xF0);
        const int size = bits_of(value);
        put_symbol(k, table, (int)zeros << 4 | size);
        put_bits(k, block[ZIGZAG[i]] < 0 ? ~(uint32_t)value : (uint32_t)value, size);
        zeros = 0;
    }
    if (zeros) extend_run(s, k, run, index, block, s->last + 1 - zeros);
}

INLINE void write_refinement(const Scan *s, Sink *k, int64_t index, const int16_t *block, Run *run) {
    const Table *table = s->table + s->part[0].ac;
    int64_t end = s->first - 1, from = s->first; /* the last new coefficient; whose corrections are to be written */
    for (int64_t i = s->first; i <= s->last; i++)
        if (magnitude(s, block, i) == 1) end = i;
    int zeros = 0;
    for (int64_t i = s->first; i <= end; i++) {
        const int32_t value = magnitude(s, block, i);
        if (!value && ++zeros < 16) continue;
        if (value > 1) continue;
        end_run(s, k, run);
        if (!value) { /* sixteen zeros */
            put_symbol(k, table, 0xF0);
        } else {
            put_symbol(k, table, zeros << 4 | 1);
            put_bits(k, block[ZIGZAG[i]] >= 0, 1);
        }
        put_corrections(s, k, block, from, i - 1);
        from = i + 1;
        zeros = 0;
    }
    if (from <= s->last) extend_run(s, k, run, index, block, from);
}

/* Fill the last byte of an interval. */
INLINE void write_pad(const Scan *s, Sink *k, int64_t interval) {
    const int n = -k->held & 7;
    if (n) put_bits(k, s->padding == 2 ? s->pad[interval] : s->padding ? 0xFF : 0, n);
}

/* Write a scan. Returns how many bytes it takes, or why it cannot be written. */
DZ_EXPORT int64_t dz_jpeg_write_scan(const Scan *s, uint8_t *out, int64_t capacity) {
    Sink k = {out, capacity, 0, 0, 0, 0};
    Run run = {0};
    int32_t dc[MOST_PARTS] = {0};
    int64_t left = s->interval, interval = 0, index = 0, broken = 0;
    for (int64_t row = 0; row < s->rows; row++) {
        for (int64_t column = 0; column < s->columns; column++, index++) {
            if (s->interval && left == 0) {
                end_run(s, &k, &run);
                if (k.position + BLOCK_BYTES > capacity) return NO_ROOM;
                write_pad(s, &k, interval);
                out[k.position++] = 0xFF;
                out[k.position++] = (uint8_t)(0xD0 + (interval & 7));
                interval++;
                left = s->interval;
                for (int i = 0; i < MOST_PARTS; i++) dc[i] = 0;
            }
            left--;
            if (s->runs == 0 && broken < s->breaks && s->broken[broken] == index) {
                end_run(s, &k, &run);
                broken++;
            }
            for (int p = 0; p < s->parts; p++) {
                const Part *part = s->part + p;
                for (int64_t y = 0; y < part->down; y++)
                    for (int64_t x = 0; x < part->across; x++) {
                        const int16_t *block = part->blocks +
                            ((row * part->down + y) * part->stride + column * part->across + x) * 64;
                        if (k.position + BLOCK_BYTES > capacity) return NO_ROOM;
                        if (s->first == 0) write_dc(s, &k, p, block, dc + p);
                        if (!s->progressive)
                            write_sequential(s, &k, p, block);
                        else if (s->first && s->high)
                            write_refinement(s, &k, index, block, &run);
                        else if (s->first)
                            write_first(s, &k, index, block, &run);
                    }
            }
            if (k.failed) return k.failed;
        }
    }
    end_run(s, &k, &run);
    if (k.position + BLOCK_BYTES > capacity) return NO_ROOM;
    write_pad(s, &k, interval);
    return k.failed ? k.failed : k.position;
}
