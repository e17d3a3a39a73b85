/* Lays the discs of leaves.py. */

#include "../../codec/native.h"

/* The first integer from 0 to `size` that is not below x. */
static int64_t ceiling(double x, int64_t size) {
    if (!(x > 0.0))
        return 0;
    if (x > (double)size)
        return size;
    int64_t whole = (int64_t)x;
    return whole + ((double)whole < x);
}

/* The integers from 0 to x are those below this, at most `size`. */
static int64_t behind(double x, int64_t size) {
    if (!(x >= 0.0))
        return 0;
    return x >= (double)(size - 1) ? size : (int64_t)x + 1;
}

static __attribute__((noinline)) int64_t lay(int64_t size, uint8_t *restrict image, uint8_t *restrict free,
                                             int64_t count, const double *radii, const double *centres,
                                             const uint8_t *greys, int64_t left) {
    for (int64_t i = 0; i < count && left > 0; i++) {
        const double r = radii[i], cy = centres[2 * i], cx = centres[2 * i + 1];
        const int64_t bottom = behind(cy + r, size), right = behind(cx + r, size), first = ceiling(cx - r, size);
        for (int64_t y = ceiling(cy - r, size); y < bottom; y++) {
            const double dy = (double)y - cy;
            for (int64_t x = first; x < right; x++) {
                const double dx = (double)x - cx;
                if (free[y * size + x] && dy * dy + dx * dx <= r * r) {
                    free[y * size + x] = 0;
                    image[y * size + x] = greys[i];
                    left--;
                }
            }
        }
    }
    return left;
}

/* Lay `count` leaves behind those that lie, each only where nothing lies yet. Returns the pixels that are still free.

   image, free: [size, size]. radii: [count]. centres: [count, 2]. greys: [count]. left: pixels that are free. */
DZ_EXPORT int64_t dz_lay_leaves(int64_t size, uint8_t *image, uint8_t *free, int64_t count, const double *radii,
                                const double *centres, const uint8_t *greys, int64_t left) {
    const Mode mode = ieee_mode();
    left = lay(size, image, free, count, radii, centres, greys, left);
    restore_mode(mode);
    return left;
}
