/* The exact decoder: coefficients to samples, coarse chroma to fine, and colours, as libjpeg-turbo computes them by
   default. FORMAT.md says what it does; Python has checked every size. */

#include "decode.h"

typedef int32_t Eight __attribute__((vector_size(32)));
typedef uint32_t Bits __attribute__((vector_size(32)));

enum {
    CONSTANT = 13, /* bits behind the point of the transform's constants */
    FIRST = 2,     /* bits kept between its two passes */
    LOWEST = -32768,
    HIGHEST = 32767
};

static inline Eight within(Eight x, int32_t low, int32_t high) {
    const Eight l = {low, low, low, low, low, low, low, low}, h = {high, high, high, high, high, high, high, high};
    Eight under = x < l, over = x > h;
    x = (x & ~under) | (l & under);
    return (x & ~over) | (h & over);
}

/* One pass over eight rows, of which every lane is one column; sums are modulo 2^32.

   Source: Loeffler, Ligtenberg and Moschytz, Practical fast 1-D DCT algorithms with 11 multiplications (1989), with
   constants of 13 bits. */
static inline void pass(Eight *row, int shift, uint32_t half) {
    Bits x[8];
    for (int i = 0; i < 8; i++) x[i] = (Bits)row[i];
    const Bits turn = (x[2] + x[6]) * 4433u, low = turn - x[6] * 15137u, high = turn + x[2] * 6270u;
    const Bits sum = (x[0] + x[4]) << CONSTANT, difference = (x[0] - x[4]) << CONSTANT;
    const Bits even[4] = {sum + high, difference + low, difference - low, sum - high};
    const Bits all = (x[7] + x[3] + x[5] + x[1]) * 9633u;
    const Bits a = (x[7] + x[1]) * 7373u, b = (x[5] + x[3]) * 20995u;
    const Bits c = all - (x[7] + x[3]) * 16069u, d = all - (x[5] + x[1]) * 3196u;
    const Bits odd[4] = {x[1] * 12299u - a + d, x[3] * 25172u - b + c, x[5] * 16819u - b + d, x[7] * 2446u - a + c};
    for (int i = 0; i < 4; i++) {
        row[i] = (Eight)(even[i] + odd[i] + half) >> shift;
        row[7 - i] = (Eight)(even[i] - odd[i] + half) >> shift;
    }
}

static inline void turn(Eight *row) {
    int32_t flat[8][8];
    for (int y = 0; y < 8; y++)
        for (int x = 0; x < 8; x++) flat[y][x] = row[y][x];
    for (int x = 0; x < 8; x++)
        row[x] = (Eight){flat[0][x], flat[1][x], flat[2][x], flat[3][x], flat[4][x], flat[5][x], flat[6][x], flat[7][x]};
}

/* Coefficients of a block, in rows, to its samples times 16, before they are kept within 0 and 255, in rows. */
static inline void transform(const int16_t *block, const int32_t *step, Eight *row) {
    for (int y = 0; y < 8; y++) {
        for (int x = 0; x < 8; x++) row[y][x] = block[8 * y + x] * step[8 * y + x];
        row[y] = within(row[y], LOWEST, HIGHEST);
    }
    pass(row, CONSTANT - FIRST, 1u << (CONSTANT - FIRST - 1));
    for (int y = 0; y < 8; y++) row[y] = within(row[y], LOWEST, HIGHEST);
    turn(row);
    pass(row, CONSTANT + FIRST + 3 - 4, 0);
    turn(row);
}

/* Samples of block rows first to last - 1, [8 * rows, 8 * columns], and sixteenths of what was rounded away, likewise. */
DZ_EXPORT void DZ_KERNEL(dz_history_samples)(const int16_t *plane, const int32_t *step, int64_t columns, int64_t first,
                                             int64_t last, uint8_t *samples, uint8_t *fraction) {
    for (int64_t y = first; y < last; y++)
        for (int64_t x = 0; x < columns; x++) {
            Eight row[8];
            transform(plane + (y * columns + x) * 64, step, row);
            for (int i = 0; i < 8; i++) {
                const int64_t at = (8 * y + i) * 8 * columns + 8 * x;
                const Eight wide = row[i] + 8, value = within((wide >> 4) + CENTRE, 0, 255), rest = wide & 15;
                for (int k = 0; k < 8; k++) samples[at + k] = (uint8_t)value[k], fraction[at + k] = (uint8_t)rest[k];
            }
        }
}

/* Twice as many rows and columns, or of one of them, by a triangle filter.

   coarse is [rows, columns] with that many samples between its rows; fine [high, wide], where high and wide are twice
   as many or one less if `tall` and `broad`, else as many. With fewer than three columns they are repeated instead. */
DZ_EXPORT void DZ_KERNEL(dz_history_upsample)(const uint8_t *coarse, int64_t stride, int64_t columns, int64_t rows,
                                              int64_t broad, int64_t tall, uint8_t *fine, int64_t wide, int64_t high) {
    const int64_t plain = broad && columns < 3;
    for (int64_t y = 0; y < high; y++) {
        const int64_t at = tall ? y >> 1 : y;
        int64_t other = !tall || plain ? at : y & 1 ? at + 1 : at - 1;
        other = other < 0 ? 0 : other >= rows ? rows - 1 : other;
        const uint8_t *near = coarse + at * stride, *far = coarse + other * stride;
        uint8_t *out = fine + y * wide;
        if (!broad) {
            const int bias = y & 1 ? 2 : 1;
            for (int64_t x = 0; x < wide; x++)
                out[x] = tall ? (uint8_t)((3 * near[x] + far[x] + bias) >> 2) : near[x];
        } else if (plain) {
            for (int64_t x = 0; x < wide; x++) out[x] = near[x >> 1];
        } else {
            for (int64_t x = 0; x < wide; x++) {
                const int64_t here = x >> 1, side = x & 1 ? here + 1 : here - 1;
                const int inside = side >= 0 && side < columns;
                if (!tall)
                    out[x] = inside ? (uint8_t)((3 * near[here] + near[side] + 1 + (x & 1)) >> 2) : near[here];
                else {
                    const int sum = 3 * near[here] + far[here];
                    const int beside = inside ? 3 * near[side] + far[side] : sum;
                    out[x] = (uint8_t)((3 * sum + beside + 8 - (x & 1)) >> 4);
                }
            }
        }
    }
}

/* Luma and chroma of n pixels, each one of which has its own, to RGB. */
DZ_EXPORT void DZ_KERNEL(dz_history_colours)(const uint8_t *luma, const uint8_t *cb, const uint8_t *cr, int64_t n,
                                             uint8_t *rgb) {
    for (int64_t i = 0; i < n; i++) {
        int shift[3];
        chroma_of(cb[i], cr[i], shift);
        for (int c = 0; c < 3; c++) rgb[3 * i + c] = (uint8_t)kept(luma[i] + shift[c]);
    }
}
