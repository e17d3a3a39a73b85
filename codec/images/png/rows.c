/* The filters of PNG rows (PNG, third edition, section 9), and the sums by which writers choose among them. */

#include "../../native.h"

enum { NONE, SUB, UP, AVERAGE, PAETH, FILTERS };

static inline uint8_t paeth(uint8_t left, uint8_t up, uint8_t corner) {
    const int to_left = up - corner, to_up = left - corner, to_corner = to_left + to_up;
    const int a = to_left < 0 ? -to_left : to_left, b = to_up < 0 ? -to_up : to_up;
    const int c = to_corner < 0 ? -to_corner : to_corner;
    return a <= b && a <= c ? left : b <= c ? up : corner;
}

/* Filters `count` bytes of a row; left and corner lie `step` bytes before, `above` is the row before or zeros. */
static inline void filter(const uint8_t *row, const uint8_t *above, uint64_t count, uint64_t step, int kind, uint8_t *out) {
    const uint64_t first = step < count ? step : count;
    for (uint64_t i = 0; i < first; i++) {
        const int up = above[i];
        const int guess = kind == UP || kind == PAETH ? up : kind == AVERAGE ? up >> 1 : 0;
        out[i] = (uint8_t)(row[i] - guess);
    }
    const uint8_t *x = row + first, *a = row, *b = above + first, *c = above;
    uint8_t *o = out + first;
    const uint64_t rest = count - first;
    if (kind == NONE) {
        for (uint64_t i = 0; i < rest; i++) o[i] = x[i];
    } else if (kind == SUB) {
        for (uint64_t i = 0; i < rest; i++) o[i] = (uint8_t)(x[i] - a[i]);
    } else if (kind == UP) {
        for (uint64_t i = 0; i < rest; i++) o[i] = (uint8_t)(x[i] - b[i]);
    } else if (kind == AVERAGE) {
        for (uint64_t i = 0; i < rest; i++) o[i] = (uint8_t)(x[i] - ((a[i] + b[i]) >> 1));
    } else {
        for (uint64_t i = 0; i < rest; i++) o[i] = (uint8_t)(x[i] - paeth(a[i], b[i], c[i]));
    }
}

/* Filters rows, each by its own kind, which is written before it. `zeros` is a row of them. */
DZ_EXPORT void dz_png_filter(
    const uint8_t *rows, const uint8_t *zeros, uint64_t height, uint64_t width, uint64_t step, const uint8_t *kinds,
    uint8_t *out) {
    for (uint64_t y = 0; y < height; y++) {
        const uint8_t *row = rows + y * width;
        *out = kinds[y];
        filter(row, y ? row - width : zeros, width, step, kinds[y], out + 1);
        out += 1 + width;
    }
}

/* For every row and filter the sum of the absolute values of its bytes, taken as signed. `room` is a row. */
DZ_EXPORT void dz_png_sums(
    const uint8_t *rows, const uint8_t *zeros, uint64_t height, uint64_t width, uint64_t step, uint8_t *room,
    uint64_t *sums) {
    for (uint64_t y = 0; y < height; y++) {
        const uint8_t *row = rows + y * width;
        for (int kind = NONE; kind < FILTERS; kind++) {
            filter(row, y ? row - width : zeros, width, step, kind, room);
            uint64_t sum = 0;
            for (uint64_t i = 0; i < width; i++) sum += room[i] < 128 ? room[i] : 256u - room[i];
            *sums++ = sum;
        }
    }
}

/* Undoes the filters: rows with the number of their filter before each, to rows without. Returns the first row whose
   filter does not exist, or `height`. */
DZ_EXPORT uint64_t dz_png_unfilter(
    const uint8_t *filtered, const uint8_t *zeros, uint64_t height, uint64_t width, uint64_t step, uint8_t *rows) {
    for (uint64_t y = 0; y < height; y++) {
        const uint8_t kind = *filtered, *in = filtered + 1;
        uint8_t *row = rows + y * width;
        const uint8_t *above = y ? row - width : zeros;
        const uint64_t first = step < width ? step : width;
        if (kind >= FILTERS) return y;
        for (uint64_t i = 0; i < first; i++) {
            const int guess = kind == UP || kind == PAETH ? above[i] : kind == AVERAGE ? above[i] >> 1 : 0;
            row[i] = (uint8_t)(in[i] + guess);
        }
        if (kind == NONE) {
            for (uint64_t i = first; i < width; i++) row[i] = in[i];
        } else if (kind == SUB) {
            for (uint64_t i = first; i < width; i++) row[i] = (uint8_t)(in[i] + row[i - step]);
        } else if (kind == UP) {
            for (uint64_t i = first; i < width; i++) row[i] = (uint8_t)(in[i] + above[i]);
        } else if (kind == AVERAGE) {
            for (uint64_t i = first; i < width; i++) row[i] = (uint8_t)(in[i] + ((row[i - step] + above[i]) >> 1));
        } else {
            for (uint64_t i = first; i < width; i++) {
                row[i] = (uint8_t)(in[i] + paeth(row[i - step], above[i], above[i - step]));
            }
        }
        filtered += 1 + width;
    }
    return height;
}
