/* Single steps of the engine for the tests, which hold them against other ways to compute the same. */

#include "engine.h"

/* Intervals, probabilities and gradients of the pixels [first, last) of the batch, for channel c. */
DZ_EXPORT void DZ_KERNEL(dz_photo_intervals)(const Engine *e, int64_t c, int64_t first, int64_t last) {
    const Mode mode = ieee_mode();
    DZ_KERNEL(photo_intervals)(e, c, first, last);
    restore_mode(mode);
}

/* The gradient of the same pixels, and the ways to their symbols down the tree, as for samples of 8 bits. */
DZ_EXPORT void DZ_KERNEL(dz_photo_slope)(const Engine *e, int64_t c, int64_t first, int64_t last) {
    const Mode mode = ieee_mode();
    DZ_KERNEL(photo_slope)(e, c, first, last, 1);
    restore_mode(mode);
}

/* The symbol of channel c of pixel b whose interval holds `target`. */
DZ_EXPORT int64_t DZ_KERNEL(dz_photo_find)(const Engine *e, int64_t c, int64_t b, int64_t target, int64_t *interval) {
    const Mode mode = ieee_mode();
    const int64_t symbol = DZ_KERNEL(photo_find)(e, c, b, target, interval);
    restore_mode(mode);
    return symbol;
}

/* Let the first state of expert 0 learn n samples [n, largest] of one noise variance, whose targets are [n, C]. */
DZ_EXPORT void DZ_KERNEL(dz_photo_fit)(const Engine *e, const float *sample, const double *target, int64_t n,
                                       double variance) {
    const Mode mode = ieee_mode();
    for (int64_t i = 0; i < n; i++, sample += e->largest, target += e->channels) {
        double error[4];
        DZ_KERNEL(photo_predict)(e, 0, 0, sample);
        for (int64_t c = 0; c < e->channels; c++) error[c] = target[c] - e->raw[c * MOST_EXPERTS];
        DZ_KERNEL(photo_update)(e, 0, 0, sample, error, 1, variance);
    }
    restore_mode(mode);
}
