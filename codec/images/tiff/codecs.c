/* LZW and PackBits as TIFF has them, encoded with the decisions that libtiff takes: where it clears its table, which
   runs it joins. What has been compressed so can be made again, byte for byte, from the samples alone.

   Source: TIFF 6.0, sections 9 and 13; the decisions are those of TIFFEncodeStrip in libtiff 3.9 to 4.7. */

#include "../../native.h"

enum {
    CLEAR = 256,
    END = 257,
    FIRST = 258,
    SLOTS = 16384,    /* of the table of strings, at most a quarter of them taken */
    CHECK_GAP = 10000 /* bytes between two looks at the ratio */
};

typedef struct {
    uint8_t *out;
    int64_t length, room;
    uint64_t bits;
    int held, width;
    int64_t written; /* bits, since the table was cleared */
} Codes;

static void put(Codes *to, uint32_t code) {
    to->bits = to->bits << to->width | code;
    to->held += to->width;
    to->written += to->width;
    while (to->held >= 8) {
        to->held -= 8;
        if (to->length < to->room) to->out[to->length] = (uint8_t)(to->bits >> to->held);
        to->length++;
    }
}

/* Encode `count` bytes. `limit`: the table is cleared when its next code would be this one (4094 in libtiff).
   `ratio`: whether it is cleared too when compression gets worse, as libtiff does. `grow`: whether the last string
   counts towards the width of the code for the end. Returns the length, of which at most `room` bytes were written. */
DZ_EXPORT int64_t dz_tiff_lzw(const uint8_t *in, int64_t count, uint8_t *out, int64_t room, int32_t limit,
                                int32_t ratio, int32_t grow) {
    uint32_t keys[SLOTS]; /* generation of the table, byte, code of the string before it */
    uint16_t codes[SLOTS];
    uint32_t generation = 1;
    Codes to = {out, 0, room, 0, 0, 9, 0};
    if (limit < FIRST + 1 || limit > 4096) return -1;
    for (int slot = 0; slot < SLOTS; slot++) keys[slot] = 0;
    put(&to, CLEAR);
    int64_t taken = 1, check = CHECK_GAP, best = 0;
    uint32_t next = FIRST, string = 0;
    for (int64_t at = 0; at < count; at++) {
        if (at == 0) {
            string = in[0];
            continue;
        }
        const uint32_t byte = in[at];
        const uint32_t key = generation << 20 | byte << 12 | string;
        uint32_t slot = ((byte << 12 | string) * 2654435761u) >> 18;
        taken++;
        while (keys[slot] >> 20 == generation && keys[slot] != key) slot = (slot + 1) & (SLOTS - 1);
        if (keys[slot] == key) {
            string = codes[slot];
            continue;
        }
        put(&to, string);
        string = byte;
        keys[slot] = key;
        codes[slot] = (uint16_t)next++;
        int clear = next == (uint32_t)limit;
        if (!clear && next > (1u << to.width) - 1 && to.width < 12) {
            to.width++;
        } else if (!clear && ratio && taken >= check) {
            check = taken + CHECK_GAP;
            const int64_t bits = to.written;
            int64_t now;
            if (taken > 0x007fffff) {
                now = bits >> 8 ? taken / (bits >> 8) : 0x7fffffff;
            } else {
                now = (taken << 8) / bits;
            }
            if (now <= best) {
                clear = 1;
            } else {
                best = now;
            }
        }
        if (clear) {
            put(&to, CLEAR);
            to.width = 9;
            to.written = 0;
            best = taken = 0;
            next = FIRST;
            if (++generation == 4096) {
                generation = 1;
                for (int each = 0; each < SLOTS; each++) keys[each] = 0;
            }
        }
    }
    if (count > 0) {
        put(&to, string);
        next += grow != 0;
        if (next == (uint32_t)limit && grow) {
            put(&to, CLEAR);
            to.width = 9;
        } else if (next > (1u << to.width) - 1 && to.width < 12) {
            to.width++;
        }
    }
    put(&to, END);
    if (to.held) {
        if (to.length < room) out[to.length] = (uint8_t)(to.bits << (8 - to.held));
        to.length++;
    }
    return to.length;
}

/* Encode one row of `count` bytes, not across its end. Returns the length; `out` has room for count + count/64 + 2. */
static int64_t packbits_row(const uint8_t *in, int64_t count, uint8_t *out) {
    enum { START, LITERAL, RUN, LITERAL_RUN } state = START;
    int64_t length = 0, last = 0, at = 0;
    while (at < count) {
        const uint8_t byte = in[at++];
        int64_t run = 1;
        while (at < count && in[at] == byte) {
            run++;
            at++;
        }
        for (;;) {
            if (state == LITERAL_RUN) {
                /* A run of two between literals is a part of one longer literal. */
                if (run == 1 && out[length - 2] == 0xFF && out[last] < 126) {
                    out[last] = (uint8_t)(out[last] + 2);
                    out[length - 2] = out[length - 1];
                    state = out[last] == 127 ? START : LITERAL;
                } else {
                    state = RUN;
                }
                continue;
            }
            if (run > 1) {
                const int64_t part = run > 128 ? 128 : run;
                state = state == LITERAL ? LITERAL_RUN : RUN;
                out[length++] = (uint8_t)(257 - part);
                out[length++] = byte;
                run -= part;
                if (run) continue;
            } else if (state == LITERAL) {
                out[length++] = byte;
                if (++out[last] == 127) state = START;
            } else {
                last = length;
                out[length++] = 0;
                out[length++] = byte;
                state = LITERAL;
            }
            break;
        }
    }
    return length;
}

/* Encode rows of `width` bytes each for itself. Returns the length, or -1 if `room` is less than may be needed. */
DZ_EXPORT int64_t dz_packbits_encode(const uint8_t *in, int64_t rows, int64_t width, uint8_t *out, int64_t room) {
    int64_t length = 0;
    for (int64_t row = 0; row < rows; row++) {
        if (room - length < 2 * width + 2) return -1;
        length += packbits_row(in + row * width, width, out + length);
    }
    return length;
}
