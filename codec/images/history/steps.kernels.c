/* What the encoder looks at to find quantization steps and the grid of blocks. Python has checked every size. */

#include "transform.h"

enum { SIZES = 2048, STEPS = 255 };

static inline int any_of(Mask x) { return (x[0] | x[1] | x[2] | x[3] | x[4] | x[5] | x[6] | x[7]) != 0; }

/* Collect magnitudes above `faint` of the coefficients of blocks all of whose samples are known, up to `most` of each
   frequency and `alike` that round to the same integer.

   Args: bounds of samples [8 * rows, 8 * columns]; whether only those blocks count that have such a coefficient beside
   the first row and column; found magnitudes [64, most], how many there are [64], and how many round to each integer
   [64, SIZES], which are added to; blocks that are known, and those of them that have such a coefficient [2], likewise.
   Blocks are looked at in an order in which the first are from everywhere. */
DZ_EXPORT void DZ_KERNEL(dz_history_sizes)(const uint8_t *low, const uint8_t *high, int64_t rows, int64_t columns,
                                           int64_t stride, float faint, int64_t inner, int64_t most, int64_t alike,
                                           float *found, int64_t *count, uint8_t *seen, int64_t *blocks) {
    const int64_t total = rows * columns, wide = SIDE * columns;
    int64_t b = 0;
    for (int64_t number = 0; number < total; number++, b = (b + stride) % total) {
        const int64_t at = b / columns * SIDE * wide + b % columns * SIDE;
        Eight x[8];
        Mask open = {0};
        for (int i = 0; i < 8; i++) {
            const Eight least = bytes_at(low + at + i * wide), above = bytes_at(high + at + i * wide);
            open |= (least != above) | (least == 0.0f) | (above == 255.0f);
            x[i] = least - 128.0f;
        }
        if (any_of(open)) continue;
        to_frequencies(x);
        Mask detail = {0}, large[8];
        for (int i = 0; i < 8; i++) {
            x[i] = magnitude(x[i]);
            large[i] = x[i] > faint;
            if (i) detail |= large[i] & (Mask){0, -1, -1, -1, -1, -1, -1, -1};
        }
        const int has = any_of(detail);
        blocks[0]++, blocks[1] += has;
        if (inner && !has) continue;
        for (int i = 0; i < 8; i++) {
            if (!any_of(large[i])) continue;
            for (int k = 0; k < 8; k++) {
                const int64_t frequency = 8 * i + k, size = (int64_t)(x[i][k] + 0.5f);
                if (!large[i][k] || count[frequency] >= most || size >= SIZES) continue;
                uint8_t *same = seen + frequency * SIZES + size;
                if (*same >= alike) continue;
                ++*same;
                found[frequency * most + count[frequency]++] = x[i][k];
            }
        }
    }
}

/* e to the power of -x, nearly: the limit's definition with 256 factors. */
static inline Eight decay(Eight x) {
    Eight y = 1.0f + x * (1.0f / 256);
    for (int i = 0; i < 8; i++) y = y * y;
    return 1.0f / y;
}

/* How well each step from 1 to 256 explains n magnitudes, as a product of their densities: its logarithm to base 2 [256],
   but for that of a last factor between 1 and 2, which is in `rest` [256].

   Args: magnitudes [n], at most as many of them as are looked at; the deviation of noise, the chance of what no step
   explains; how many steps, a multiple of 8. */
DZ_EXPORT void DZ_KERNEL(dz_history_scores)(const float *values, int64_t n, float noise, float stray, int64_t steps,
                                            int32_t *power, float *rest) {
    const Eight peak = all((1 - stray) * 0.39894228f / noise), scale = all(0.5f / (noise * noise));
    for (int64_t first = 0; first < steps; first += 8) {
        const Eight step = (Eight){1, 2, 3, 4, 5, 6, 7, 8} + (float)first, inverse = 1.0f / step, height = peak * step;
        Eight product = all(1.0f);
        Mask bits = {0};
        for (int64_t i = 0; i < n; i++) {
            const Eight value = all(values[i]), times = most_of(nearest(value * inverse), all(1.0f));
            const Eight away = value - step * times;
            product *= height * decay(least_of(away * away * scale, all(60.0f))) + stray;
            if (i % 8 == 7 || i == n - 1) {
                bits += (((Mask)product >> 23) & 255) - 127;
                product = (Eight)(((Mask)product & 0x007FFFFF) | 0x3F800000);
            }
        }
        __builtin_memcpy(power + first, &bits, sizeof bits);
        __builtin_memcpy(rest + first, &product, sizeof product);
    }
}

/* For each of the 64 grids of blocks, by its first row and column: frequencies below `small` in blocks where one is above
   `lively`, and how many such blocks there are, [64, 2]. At most `most` blocks of each are looked at. */
DZ_EXPORT void DZ_KERNEL(dz_history_grids)(const uint8_t *samples, int64_t height, int64_t width, int64_t most,
                                           float small, float lively, int64_t *found) {
    for (int64_t top = 0; top < SIDE; top++)
        for (int64_t left = 0; left < SIDE; left++, found += 2) {
            const int64_t columns = (width - left) / SIDE, total = (height - top) / SIDE * columns;
            const int64_t count = total < most ? total : most;
            found[0] = found[1] = 0;
            for (int64_t number = 0; number < count; number++) {
                const int64_t b = number * total / count;
                const uint8_t *at = samples + (top + b / columns * SIDE) * width + left + b % columns * SIDE;
                Eight x[8];
                Mask over = {0}, under = {0};
                for (int i = 0; i < 8; i++) x[i] = bytes_at(at + i * width) - 128.0f;
                to_frequencies(x);
                x[0][0] = lively; /* the mean is none */
                for (int i = 0; i < 8; i++) {
                    x[i] = magnitude(x[i]);
                    over |= x[i] > lively;
                    under += x[i] < small;
                }
                if (!any_of(over)) continue;
                for (int k = 0; k < 8; k++) found[0] -= under[k];
                found[1]++;
            }
        }
}
