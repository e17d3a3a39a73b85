/* One scan of a JPEG file between its bytes and its coefficients: what the reader and the writer have in common.

   scans.py owns every buffer and has checked every size: a part's blocks cover what the scan visits, a table's counts
   and symbols are those of a file and may be anything. Source: ITU-T T.81, annexes F and G. */

#ifndef DZ_JPEG_SCAN_H
#define DZ_JPEG_SCAN_H

#include <stdint.h>

#include "../../native.h"

#define INLINE static inline __attribute__((always_inline))

enum { MOST_PARTS = 4, LOOK_BITS = 10, LONGEST_CODE = 16, MOST_RUN = 0x7FFF, LARGEST = 2047 };
/* libjpeg keeps this many correction bits, and ends a run when a block more might not fit. */
enum { MOST_CORRECTIONS = 1000 - 63 };

/* How a scan fails. */
enum { ENDED_EARLY = -1, NO_CODE = -2, OUT_OF_RANGE = -3, NO_RESTART = -4, TOO_MANY_BREAKS = -5, NO_ROOM = -6 };

/* A Huffman table: as it is in a file, and both ways to use it. */
typedef struct {
    uint8_t count[16];                 /* codes of each length */
    uint8_t symbol[256];               /* in the order of their codes */
    uint16_t look[1 << LOOK_BITS];     /* length << 8 | symbol of the code that begins so; 0 for longer ones */
    int32_t end[LONGEST_CODE + 1];     /* first number past the codes of a length, at 16 bits; -1 if there are none */
    int32_t offset[LONGEST_CODE + 1];  /* place of a symbol less its code */
    uint16_t code[256];                /* of each symbol */
    uint8_t length[256];               /* 0 for symbols without a code */
} Table;

/* One component in a scan. */
typedef struct {
    int16_t *blocks; /* [.., stride, 64], coefficients in rows of ascending horizontal frequency */
    int64_t stride;  /* blocks in a row of the component */
    int64_t across;  /* blocks of an MCU: 1 where the scan has no other component */
    int64_t down;
    int64_t dc;      /* numbers of its tables */
    int64_t ac;
} Part;

typedef struct {
    Part part[MOST_PARTS];
    int64_t parts;
    int64_t columns, rows;      /* MCUs */
    int64_t interval;           /* MCUs between restarts, or 0 */
    int64_t first, last;        /* coefficients in zigzag order */
    int64_t high, low;          /* bits of approximation */
    int64_t progressive;
    Table *table;               /* [8]: four for DC, four for AC */
    uint8_t *pad;               /* the bits that fill the last byte of each interval, above them ones */
    int64_t pads;               /* how many of them */
    int64_t padding;            /* 1: all ones, 0: all zeros, 2: as `pad` says */
    int64_t *broken;            /* blocks before which a run of empty ends was ended for no reason */
    int64_t breaks, most_breaks;
    int64_t runs;               /* 0: broken as `broken` says, 1: as libjpeg does, 2: runs of one */
} Scan;

static const uint8_t ZIGZAG[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

#endif
