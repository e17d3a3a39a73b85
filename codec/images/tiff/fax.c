/* Facsimile coding of one bit a pixel: modified Huffman and modified modified READ, as they stand in TIFF files.

   Both leave an encoder hardly a choice, so a stream can be made again from its pixels.

   Source: ITU-T T.4 (1999), tables 2 and 3; T.6 (1988), section 2.2; TIFF 6.0, sections 10 and 11. */

#include "../../native.h"

enum {
    ONE_ROW = 0,     /* one row after the other, each filled up to a byte: compression 2 */
    LINE_ENDS = 1,   /* each row begins with the end of a line: compression 3, one-dimensional */
    ALIGNED = 2,     /* the same, and the end of a line fills a byte */
    TWO_ROWS = 3,    /* rows as differences to those above, and the end of a block: compression 4 */
    UNFINISHED = 4,  /* the same without the end of a block */
    LONGEST = 2560
};

/* Codes of the runs 0 to 63 and 64, 128, ... to 2560, with a leading 1 that says where they begin. */
static const uint16_t white[104] = {
    0x135, 0x47, 0x17, 0x18, 0x1B, 0x1C, 0x1E, 0x1F, 0x33, 0x34, 0x27, 0x28, 0x48, 0x43, 0x74, 0x75, 0x6A, 0x6B, 0xA7,
    0x8C, 0x88, 0x97, 0x83, 0x84, 0xA8, 0xAB, 0x93, 0xA4, 0x98, 0x102, 0x103, 0x11A, 0x11B, 0x112, 0x113, 0x114,
    0x115, 0x116, 0x117, 0x128, 0x129, 0x12A, 0x12B, 0x12C, 0x12D, 0x104, 0x105, 0x10A, 0x10B, 0x152, 0x153, 0x154,
    0x155, 0x124, 0x125, 0x158, 0x159, 0x15A, 0x15B, 0x14A, 0x14B, 0x132, 0x133, 0x134, 0x3B, 0x32, 0x57, 0xB7, 0x136,
    0x137, 0x164, 0x165, 0x168, 0x167, 0x2CC, 0x2CD, 0x2D2, 0x2D3, 0x2D4, 0x2D5, 0x2D6, 0x2D7, 0x2D8, 0x2D9, 0x2DA,
    0x2DB, 0x298, 0x299, 0x29A, 0x58, 0x29B, 0x808, 0x80C, 0x80D, 0x1012, 0x1013, 0x1014, 0x1015, 0x1016, 0x1017,
    0x101C, 0x101D, 0x101E, 0x101F,
};
static const uint16_t black[104] = {
    0x437, 0xA, 0x7, 0x6, 0xB, 0x13, 0x12, 0x23, 0x45, 0x44, 0x84, 0x85, 0x87, 0x104, 0x107, 0x218, 0x417, 0x418,
    0x408, 0x867, 0x868, 0x86C, 0x837, 0x828, 0x817, 0x818, 0x10CA, 0x10CB, 0x10CC, 0x10CD, 0x1068, 0x1069, 0x106A,
    0x106B, 0x10D2, 0x10D3, 0x10D4, 0x10D5, 0x10D6, 0x10D7, 0x106C, 0x106D, 0x10DA, 0x10DB, 0x1054, 0x1055, 0x1056,
    0x1057, 0x1064, 0x1065, 0x1052, 0x1053, 0x1024, 0x1037, 0x1038, 0x1027, 0x1028, 0x1058, 0x1059, 0x102B, 0x102C,
    0x105A, 0x1066, 0x1067, 0x40F, 0x10C8, 0x10C9, 0x105B, 0x1033, 0x1034, 0x1035, 0x206C, 0x206D, 0x204A, 0x204B,
    0x204C, 0x204D, 0x2072, 0x2073, 0x2074, 0x2075, 0x2076, 0x2077, 0x2052, 0x2053, 0x2054, 0x2055, 0x205A, 0x205B,
    0x2064, 0x2065, 0x808, 0x80C, 0x80D, 0x1012, 0x1013, 0x1014, 0x1015, 0x1016, 0x1017, 0x101C, 0x101D, 0x101E,
    0x101F,
};

typedef struct {
    uint8_t *out;
    int64_t length, room;
    uint32_t bits;
    int held;
} Bits;

static void put(Bits *to, uint32_t code, int width) {
    to->bits = to->bits << width | code;
    to->held += width;
    while (to->held >= 8) {
        to->held -= 8;
        if (to->length < to->room) to->out[to->length] = (uint8_t)(to->bits >> to->held);
        to->length++;
    }
}

static void fill(Bits *to) {
    if (to->held) put(to, 0, 8 - to->held);
}

static void put_marked(Bits *to, uint32_t code) {
    const int width = 31 - __builtin_clz(code);
    put(to, code & ((1u << width) - 1), width);
}

static void put_run(Bits *to, int64_t run, const uint16_t *codes) {
    while (run >= LONGEST + 64) {
        put_marked(to, codes[63 + LONGEST / 64]);
        run -= LONGEST;
    }
    if (run >= 64) put_marked(to, codes[63 + run / 64]);
    put_marked(to, codes[run % 64]);
}

static int pixel(const uint8_t *row, int64_t at) { return row ? row[at >> 3] >> (7 - (at & 7)) & 1 : 0; }

/* The first pixel from `at` on that is not of `colour`, or `end`. No row above is a white one. */
static int64_t change(const uint8_t *row, int64_t at, int64_t end, int colour) {
    if (!row) return colour && at < end ? at : end;
    const uint8_t same = colour ? 0xFF : 0;
    while (at < end) {
        if (!(at & 7) && row[at >> 3] == same) {
            at += 8;
        } else if (pixel(row, at) == colour) {
            at++;
        } else {
            return at;
        }
    }
    return end;
}

static void put_row(Bits *to, const uint8_t *row, int64_t width) {
    int64_t at = 0;
    for (int colour = 0;; colour = !colour) {
        const int64_t next = change(row, at, width, colour);
        put_run(to, next - at, colour ? black : white);
        at = next;
        if (at >= width) break;
    }
}

static void put_difference(Bits *to, const uint8_t *row, const uint8_t *above, int64_t width) {
    static const uint8_t codes[7] = {3, 3, 3, 1, 2, 2, 2}, widths[7] = {7, 6, 3, 1, 3, 6, 7};
    int64_t a0 = 0;
    int colour = 0;
    int64_t a1 = change(row, 0, width, 0), b1 = change(above, 0, width, 0);
    for (;;) {
        const int64_t b2 = b1 < width ? change(above, b1, width, !colour) : width;
        if (b2 < a1) {
            put(to, 1, 4); /* pass */
            a0 = b2;
        } else if (b1 - a1 >= -3 && b1 - a1 <= 3) {
            put(to, codes[b1 - a1 + 3], widths[b1 - a1 + 3]); /* vertical */
            a0 = a1;
            colour = !colour;
        } else {
            const int64_t a2 = a1 < width ? change(row, a1, width, !colour) : width;
            put(to, 1, 3); /* horizontal */
            put_run(to, a1 - a0, colour ? black : white);
            put_run(to, a2 - a1, colour ? white : black);
            a0 = a2;
        }
        if (a0 >= width) break;
        a1 = change(row, a0, width, colour);
        b1 = change(above, change(above, a0, width, !colour), width, colour);
    }
}

/* Encode rows of `width` pixels, each in `stride` bytes, 1 for black, in one of the ways above. Returns the length, of
   which at most `room` bytes were written; -1 if a row has no room for its pixels. */
DZ_EXPORT int64_t dz_fax_encode(const uint8_t *in, int64_t rows, int64_t width, int64_t stride, int32_t way,
                                uint8_t *out, int64_t room) {
    Bits to = {out, 0, room, 0, 0};
    if (width < 1 || stride < (width + 7) / 8) return -1;
    for (int64_t at = 0; at < rows; at++) {
        const uint8_t *row = in + at * stride;
        if (way == ALIGNED) {
            while ((to.held + 12) & 7) put(&to, 0, 1);
        }
        if (way == LINE_ENDS || way == ALIGNED) put(&to, 1, 12);
        if (way == TWO_ROWS || way == UNFINISHED) {
            put_difference(&to, row, at ? row - stride : 0, width);
        } else {
            put_row(&to, row, width);
        }
        if (way == ONE_ROW) fill(&to);
    }
    if (way == TWO_ROWS) {
        put(&to, 1, 12);
        put(&to, 1, 12);
    }
    fill(&to);
    return to.length;
}
