/* The bytes of a scan to coefficients, and to what else the same bytes need. */

#include "scan.h"

/* Bits from the highest on, without the zeros that follow FF. */
typedef struct {
    const uint8_t *data;
    int64_t size, position;
    uint64_t bits;
    int64_t held;
} Bits;

/* Prepare a table for both directions: 0, or -1 if its codes do not fit into their lengths. */
DZ_EXPORT int64_t dz_jpeg_table(Table *t) {
    for (int i = 0; i < 1 << LOOK_BITS; i++) t->look[i] = 0;
    for (int i = 0; i < 256; i++) t->length[i] = 0, t->code[i] = 0;
    int32_t code = 0, place = 0;
    for (int length = 1; length <= LONGEST_CODE; length++) {
        t->offset[length] = place - code;
        t->end[length] = -1;
        for (int i = 0; i < t->count[length - 1]; i++, code++, place++) {
            if (place >= 256 || code >= 1 << length) return -1;
            const int symbol = t->symbol[place];
            t->code[symbol] = (uint16_t)code;
            t->length[symbol] = (uint8_t)length;
            if (length <= LOOK_BITS)
                for (int32_t k = code << (LOOK_BITS - length); k < (code + 1) << (LOOK_BITS - length); k++)
                    t->look[k] = (uint16_t)(length << 8 | symbol);
            t->end[length] = (code + 1) << (LONGEST_CODE - length);
        }
        code <<= 1;
    }
    return 0;
}

INLINE void fill(Bits *b) {
    while (b->held <= 48 && b->position < b->size) {
        const uint8_t byte = b->data[b->position];
        if (byte == 0xFF) {
            if (b->position + 1 >= b->size || b->data[b->position + 1] != 0) return;
            b->position++;
        }
        b->position++;
        b->bits = b->bits << 8 | byte;
        b->held += 8;
    }
}

/* The next n bits, n from 0 to 16; sets `failed` where there are fewer. */
INLINE int32_t take(Bits *b, int n, int64_t *failed) {
    if (b->held < n) {
        fill(b);
        if (b->held < n) {
            *failed = ENDED_EARLY;
            return 0;
        }
    }
    b->held -= n;
    return (int32_t)(b->bits >> b->held & ((1u << n) - 1));
}

INLINE int32_t symbol_of(Bits *b, const Table *t, int64_t *failed) {
    if (b->held < LONGEST_CODE) fill(b);
    /* Behind the end zeros are looked at, and not taken. */
    const uint32_t look = b->held >= LONGEST_CODE ? (uint32_t)(b->bits >> (b->held - LONGEST_CODE)) & 0xFFFF
                                                  : (uint32_t)(b->bits << (LONGEST_CODE - b->held)) & 0xFFFF;
    int length = t->look[look >> (LONGEST_CODE - LOOK_BITS)] >> 8, symbol;
    if (length)
        symbol = t->look[look >> (LONGEST_CODE - LOOK_BITS)] & 255;
    else {
        for (length = LOOK_BITS + 1; length <= LONGEST_CODE && (int32_t)look >= t->end[length];) length++;
        if (length > LONGEST_CODE) {
            *failed = b->held < LONGEST_CODE ? ENDED_EARLY : NO_CODE;
            return 0;
        }
        symbol = t->symbol[(t->offset[length] + (int32_t)(look >> (LONGEST_CODE - length))) & 255];
    }
    if (length > b->held) {
        *failed = ENDED_EARLY;
        return 0;
    }
    b->held -= length;
    return symbol;
}

/* A number of n bits, of which those that begin with a zero are negative. */
INLINE int32_t signed_bits(Bits *b, int n, int64_t *failed) {
    if (n == 0) return 0;
    const int32_t value = take(b, n, failed);
    return value < 1 << (n - 1) ? value - (1 << n) + 1 : value;
}

INLINE int64_t put(int16_t *to, int32_t value) {
    if (value < -LARGEST || value > LARGEST) return OUT_OF_RANGE;
    *to = (int16_t)value;
    return 0;
}

/* What is carried from block to block. */
typedef struct {
    int32_t dc[MOST_PARTS];
    int64_t run;     /* blocks that the present run of empty ends has yet to go */
    int64_t ended;   /* whether the block before was the last of a run that could have been longer */
    int64_t longest; /* run of all */
} Carried;

INLINE int64_t read_dc(const Scan *s, Bits *b, int p, int16_t *block, Carried *c) {
    int64_t failed = 0;
    if (s->high) {
        const int32_t bit = take(b, 1, &failed);
        return failed ? failed : put(block, block[0] | bit << s->low);
    }
    const int32_t size = symbol_of(b, s->table + s->part[p].dc, &failed);
    if (size > 12) return failed ? failed : OUT_OF_RANGE;
    const int32_t change = signed_bits(b, size, &failed);
    if (failed) return failed;
    c->dc[p] += change;
    if (c->dc[p] < -LARGEST || c->dc[p] > LARGEST) return OUT_OF_RANGE;
    return put(block, c->dc[p] * (1 << s->low));
}

INLINE int64_t read_sequential(const Scan *s, Bits *b, int p, int16_t *block) {
    int64_t failed = 0;
    const Table *table = s->table + s->part[p].ac;
    for (int k = 1; k < 64; k++) {
        const int32_t symbol = symbol_of(b, table, &failed), size = symbol & 15;
        if (failed) return failed;
        if (size == 0) {
            if (symbol == 0) return 0;
            if (symbol != 0xF0) return NO_CODE;
            k += 15;
            continue;
        }
        k += symbol >> 4;
        if (k > 63) return OUT_OF_RANGE;
        const int32_t value = signed_bits(b, size, &failed);
        if (failed) return failed;
        failed = put(block + ZIGZAG[k], value);
        if (failed) return failed;
    }
    return 0;
}

/* Begin a run of empty ends. `whole` tells that this block is all empty, so that a run before could have gone on. */
INLINE int64_t begin_run(Scan *s, Bits *b, int32_t symbol, int64_t index, int whole, Carried *c) {
    int64_t failed = 0;
    const int n = symbol >> 4;
    c->run = (1 << n) + take(b, n, &failed);
    if (failed) return failed;
    if (whole && c->ended) {
        if (s->breaks >= s->most_breaks) return TOO_MANY_BREAKS;
        s->broken[s->breaks++] = index;
    }
    if (c->run > c->longest) c->longest = c->run;
    c->ended = 0;
    return 0;
}

/* Count a block that belongs to a run. */
INLINE void end_block(Carried *c, int64_t length) {
    c->run--;
    if (c->run == 0) c->ended = length < MOST_RUN;
}

INLINE int64_t read_first(Scan *s, Bits *b, int16_t *block, int64_t index, Carried *c, int64_t *length) {
    int64_t failed = 0;
    if (c->run == 0) {
        const Table *table = s->table + s->part[0].ac;
        for (int64_t k = s->first; k <= s->last; k++) {
            const int32_t symbol = symbol_of(b, table, &failed), size = symbol & 15;
            if (failed) return failed;
            if (size == 0 && symbol != 0xF0) {
                failed = begin_run(s, b, symbol, index, k == s->first, c);
                if (failed) return failed;
                *length = c->run;
                break;
            }
            c->ended = 0;
            if (size == 0) {
                k += 15;
                continue;
            }
            k += symbol >> 4;
            if (k > s->last) return OUT_OF_RANGE;
            const int32_t value = signed_bits(b, size, &failed);
            if (failed) return failed;
            failed = put(block + ZIGZAG[k], value * (1 << s->low));
            if (failed) return failed;
        }
    }
    if (c->run) end_block(c, *length);
    return 0;
}

/* One more bit of a coefficient that is known not to be zero. */
INLINE int64_t correct(const Scan *s, Bits *b, int16_t *to) {
    int64_t failed = 0;
    const int32_t bit = take(b, 1, &failed) << s->low;
    if (failed) return failed;
    if ((*to < 0 ? -*to : *to) & bit) return OUT_OF_RANGE;
    return put(to, *to < 0 ? *to - bit : *to + bit);
}

INLINE int64_t read_refinement(Scan *s, Bits *b, int16_t *block, int64_t index, Carried *c, int64_t *length) {
    int64_t failed = 0, k = s->first;
    if (c->run == 0) {
        const Table *table = s->table + s->part[0].ac;
        while (k <= s->last) {
            const int32_t symbol = symbol_of(b, table, &failed);
            int32_t zeros = symbol >> 4, value = 0;
            if (failed) return failed;
            if ((symbol & 15) == 0 && zeros < 15) {
                failed = begin_run(s, b, symbol, index, k == s->first, c);
                if (failed) return failed;
                *length = c->run;
                break;
            }
            c->ended = 0;
            if (symbol & 15) {
                if ((symbol & 15) != 1) return OUT_OF_RANGE;
                value = take(b, 1, &failed) ? 1 << s->low : -(1 << s->low);
                if (failed) return failed;
            }
            for (; k <= s->last; k++) {
                int16_t *at = block + ZIGZAG[k];
                if (*at) {
                    failed = correct(s, b, at);
                    if (failed) return failed;
                } else if (zeros-- == 0) {
                    failed = put(at, value);
                    if (failed) return failed;
                    k++;
                    break;
                }
            }
            if (k > s->last && value && zeros >= 0) return OUT_OF_RANGE;
        }
    }
    if (c->run) {
        for (; k <= s->last; k++)
            if (block[ZIGZAG[k]]) {
                failed = correct(s, b, block + ZIGZAG[k]);
                if (failed) return failed;
            }
        end_block(c, *length);
    }
    return 0;
}

/* Note the bits up to the end of a byte, and step back to the first byte that was not used. */
INLINE void end_interval(Scan *s, Bits *b, int64_t interval, int64_t *ones, int64_t *zeros) {
    const int n = (int)(b->held & 7);
    const uint32_t left = (uint32_t)(b->bits >> (b->held - n)) & ((1u << n) - 1);
    *ones &= left == (1u << n) - 1;
    *zeros &= left == 0;
    s->pad[interval] = (uint8_t)(left | 0xFFu << n);
    for (b->held -= n; b->held > 0; b->held -= 8, b->bits >>= 8)
        b->position -= (b->bits & 255) == 255 ? 2 : 1;
}

/* Read a scan. Returns how many bytes it takes, or why it cannot be read. */
DZ_EXPORT int64_t dz_jpeg_read_scan(Scan *s, const uint8_t *data, int64_t size) {
    Bits b = {data, size, 0, 0, 0};
    Carried c = {{0}, 0, 0, 0};
    int64_t left = s->interval, interval = 0, index = 0, length = 0, ones = 1, zeros = 1;
    for (int64_t row = 0; row < s->rows; row++) {
        for (int64_t column = 0; column < s->columns; column++, index++) {
            if (s->interval && left == 0) {
                if (c.run) return OUT_OF_RANGE;
                end_interval(s, &b, interval, &ones, &zeros);
                if (b.position + 2 > size || data[b.position] != 0xFF ||
                    data[b.position + 1] != 0xD0 + (interval & 7))
                    return NO_RESTART;
                b.position += 2;
                interval++;
                left = s->interval;
                for (int i = 0; i < MOST_PARTS; i++) c.dc[i] = 0;
                c.ended = 0;
            }
            left--;
            for (int p = 0; p < s->parts; p++) {
                const Part *part = s->part + p;
                for (int64_t y = 0; y < part->down; y++)
                    for (int64_t x = 0; x < part->across; x++) {
                        int16_t *block = part->blocks +
                            ((row * part->down + y) * part->stride + column * part->across + x) * 64;
                        int64_t failed = 0;
                        if (s->first == 0) failed = read_dc(s, &b, p, block, &c);
                        if (failed) return failed;
                        if (!s->progressive)
                            failed = read_sequential(s, &b, p, block);
                        else if (s->first && s->high)
                            failed = read_refinement(s, &b, block, index, &c, &length);
                        else if (s->first)
                            failed = read_first(s, &b, block, index, &c, &length);
                        if (failed) return failed;
                    }
            }
        }
    }
    if (c.run) return OUT_OF_RANGE;
    end_interval(s, &b, interval, &ones, &zeros);
    s->padding = ones ? 1 : zeros ? 0 : 2;
    s->runs = s->breaks && c.longest == 1 ? 2 : 0;
    return b.position;
}
