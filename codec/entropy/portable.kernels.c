/* Loops over lanes for the distributions of pmf.py: intervals of symbols, and the symbols of slots.

   Lanes are evaluated in blocks that stay in the nearest cache, one operation for all of a block after the other, so
   that compilers make vectors of the loops. The functions are those of portable.h. What computes with floats is called
   apart, between the setting of the processor's mode and its return, so that nothing is moved out of there. */

#include "../native.h"
#include "portable.h"

enum { LOGISTIC, GAUSSIAN, BINS };

enum { BLOCK = 512, EXTRA_ROWS = 3, NEWTON_STEPS = 6, MOST_TRIES = 128 };

/* A mixture on every lane, and `scratch`: rows of BLOCK numbers, which are weights, sharpnesses and means of the
   components, then these three. */
typedef struct {
    int64_t kind, components, lanes, size, precision;
    const double *logits, *means, *scales; /* [components, lanes] */
    double *scratch;                       /* [3 * components + EXTRA_ROWS, BLOCK] */
    double *total, *at, *below;            /* [BLOCK] */
} Mixture;

INLINED double clamp(double x, double low, double high) { /* not a number becomes `low` */
    x = x > low ? x : low;
    return x < high ? x : high;
}

/* The parameters of n lanes into scratch: weights, which are not normalised, their sums, sharpnesses and means. */
INLINED void begin(const Mixture *mixture, int64_t first, int64_t n) {
    double *restrict total = mixture->total;
    const int64_t components = mixture->components, lanes = mixture->lanes;
    for (int64_t i = 0; i < n; i++)
        total[i] = mixture->logits[first + i];
    for (int64_t j = 1; j < components; j++) {
        const double *restrict logit = mixture->logits + j * lanes + first;
        for (int64_t i = 0; i < n; i++)
            total[i] = total[i] > logit[i] ? total[i] : logit[i];
    }
    for (int64_t j = 0; j < components; j++) {
        const double *restrict logit = mixture->logits + j * lanes + first;
        const double *restrict given = mixture->means + j * lanes + first;
        const double *restrict scale = mixture->scales + j * lanes + first;
        double *restrict weight = mixture->scratch + j * BLOCK;
        double *restrict sharp = mixture->scratch + (components + j) * BLOCK;
        double *restrict mean = mixture->scratch + (2 * components + j) * BLOCK;
        for (int64_t i = 0; i < n; i++)
            weight[i] = portable_exp(logit[i] - total[i]);
        for (int64_t i = 0; i < n; i++)
            sharp[i] = 1.0 / scale[i];
        for (int64_t i = 0; i < n; i++)
            mean[i] = given[i];
    }
    for (int64_t i = 0; i < n; i++)
        total[i] = mixture->scratch[i];
    for (int64_t j = 1; j < components; j++) {
        const double *restrict weight = mixture->scratch + j * BLOCK;
        for (int64_t i = 0; i < n; i++)
            total[i] += weight[i];
    }
}

/* Starts of the intervals of `symbols` + offset, of n lanes, into `out`. */
INLINED void starts(const Mixture *mixture, int64_t n, const int64_t *restrict symbols, int64_t offset,
                    int64_t *restrict out) {
    double *restrict total = mixture->total, *restrict at = mixture->at, *restrict below = mixture->below;
    const int64_t components = mixture->components, size = mixture->size, last = size > 1 ? size - 1 : 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t edge = symbols[i] + offset;
        edge = edge > 1 ? edge : 1;
        at[i] = small_float(edge < last ? edge : last);
    }
    if (mixture->kind == BINS) {
        const double whole = (double)size;
        for (int64_t i = 0; i < n; i++)
            at[i] = portable_ndtri(at[i] / whole);
    } else
        for (int64_t i = 0; i < n; i++)
            at[i] -= 0.5;
    for (int64_t i = 0; i < n; i++)
        below[i] = 0.0;
    for (int64_t j = 0; j < components; j++) {
        const double *restrict weight = mixture->scratch + j * BLOCK;
        const double *restrict sharp = mixture->scratch + (components + j) * BLOCK;
        const double *restrict mean = mixture->scratch + (2 * components + j) * BLOCK;
        if (mixture->kind == LOGISTIC)
            for (int64_t i = 0; i < n; i++)
                below[i] += weight[i] * portable_sigmoid((at[i] - mean[i]) * sharp[i]);
        else
            for (int64_t i = 0; i < n; i++)
                below[i] += weight[i] * portable_ndtr((at[i] - mean[i]) * sharp[i]);
    }
    const int64_t end = 1LL << mixture->precision;
    const double free = (double)(end - 2 * size);
    for (int64_t i = 0; i < n; i++) {
        int64_t symbol = symbols[i] + offset;
        int64_t inner = small_integer(clamp(below[i] / total[i], 0.0, 1.0) * free) + 2 * symbol;
        inner = symbol >= size ? end : inner;
        out[i] = symbol <= 0 ? 0 : inner;
    }
}

/* Symbols from which to search for slots; they have no influence on what is found. */
INLINED void guess(const Mixture *mixture, int64_t n, const int64_t *restrict slots, int64_t *restrict symbols) {
    double *restrict total = mixture->total, *restrict p = mixture->at, *restrict value = mixture->below;
    const int64_t components = mixture->components;
    const double size = (double)mixture->size, unit = 1.0 / (double)(1LL << mixture->precision);
    for (int64_t i = 0; i < n; i++)
        p[i] = (small_float(slots[i]) + 0.5) * unit;
    if (mixture->kind == LOGISTIC)
        for (int64_t i = 0; i < n; i++)
            p[i] = portable_log(p[i] / (1.0 - p[i]));
    else
        for (int64_t i = 0; i < n; i++) {
            double rest = 1.0 - p[i];
            double deviation = rough_ndtri(p[i] < rest ? p[i] : rest), other = -deviation;
            p[i] = p[i] < 0.5 ? deviation : other;
        }
    for (int64_t i = 0; i < n; i++)
        value[i] = 0.0;
    for (int64_t j = 0; j < components; j++) {
        const double *restrict weight = mixture->scratch + j * BLOCK;
        const double *restrict sharp = mixture->scratch + (components + j) * BLOCK;
        const double *restrict mean = mixture->scratch + (2 * components + j) * BLOCK;
        for (int64_t i = 0; i < n; i++)
            value[i] += weight[i] * (mean[i] + p[i] / sharp[i]);
    }
    for (int64_t i = 0; i < n; i++)
        value[i] = value[i] / total[i];
    if (mixture->kind == BINS)
        for (int64_t i = 0; i < n; i++)
            value[i] = portable_ndtr(value[i]) * size - 0.5;
    for (int64_t i = 0; i < n; i++)
        symbols[i] = small_integer(clamp(value[i] + 0.5, 0.0, size - 1.0));
}

static __attribute__((noinline)) void intervals(const Mixture *mixture, const int64_t *symbols, int64_t *start,
                                                int64_t *freq) {
    for (int64_t first = 0; first < mixture->lanes; first += BLOCK) {
        int64_t n = mixture->lanes - first < BLOCK ? mixture->lanes - first : BLOCK;
        int64_t *restrict low = start + first, *restrict high = freq + first;
        begin(mixture, first, n);
        starts(mixture, n, symbols + first, 0, low);
        starts(mixture, n, symbols + first, 1, high);
        for (int64_t i = 0; i < n; i++)
            high[i] -= low[i];
    }
}

/* Lanes that are searched for, those whose symbol is found taken out. */
typedef struct {
    int64_t lane[BLOCK], slot[BLOCK], at[BLOCK], low[BLOCK], high[BLOCK], start[BLOCK], stop[BLOCK];
} Search;

/* Look at the intervals of `at`: symbols that are found are written, the other lanes get another place to look at. They
   follow Newton's rule inside the bracket found so far; if that does not end soon, they halve the bracket. Returns how
   many lanes are left. */
INLINED int64_t narrow(const Mixture *mixture, Search *search, int64_t n, int tries, int64_t *symbols) {
    int64_t missing = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t slot = search->slot[i], at = search->at[i], start = search->start[i], stop = search->stop[i];
        if (start <= slot && slot < stop) {
            symbols[search->lane[i]] = at;
            continue;
        }
        int64_t below = search->low[i], above = search->high[i], next;
        double step, width = (double)(stop - start);
        if (slot < start) {
            above = at - 1;
            step = (double)(slot - start) / width;
        } else {
            below = at + 1;
            step = (double)(slot - stop) / width + 1.0;
        }
        if (tries < NEWTON_STEPS)
            next = (int64_t)clamp((double)at + step, (double)below, (double)above);
        else
            next = (below + above) >> 1;
        search->at[missing] = next;
        search->lane[missing] = search->lane[i], search->slot[missing] = slot;
        search->low[missing] = below, search->high[missing] = above;
        for (int64_t row = 0; row < 3 * mixture->components; row++)
            mixture->scratch[row * BLOCK + missing] = mixture->scratch[row * BLOCK + i];
        mixture->total[missing] = mixture->total[i];
        missing++;
    }
    return missing;
}

static __attribute__((noinline)) int64_t find(const Mixture *mixture, const int64_t *slots, int64_t *symbols) {
    Search search;
    for (int64_t first = 0; first < mixture->lanes; first += BLOCK) {
        int64_t n = mixture->lanes - first < BLOCK ? mixture->lanes - first : BLOCK;
        begin(mixture, first, n);
        for (int64_t i = 0; i < n; i++)
            search.slot[i] = slots[first + i];
        guess(mixture, n, search.slot, search.at);
        for (int64_t i = 0; i < n; i++)
            search.lane[i] = first + i, search.low[i] = 0, search.high[i] = mixture->size - 1;
        for (int tries = 0; n; tries++) {
            if (tries == MOST_TRIES)
                return search.lane[0];
            starts(mixture, n, search.at, 0, search.start);
            starts(mixture, n, search.at, 1, search.stop);
            n = narrow(mixture, &search, n, tries, symbols);
        }
    }
    return -1;
}

static __attribute__((noinline)) void map(int64_t function, int64_t n, const double *restrict x, double *restrict out) {
    switch (function) {
    case 0:
        for (int64_t i = 0; i < n; i++)
            out[i] = portable_exp(x[i]);
        break;
    case 1:
        for (int64_t i = 0; i < n; i++)
            out[i] = portable_log(x[i]);
        break;
    case 2:
        for (int64_t i = 0; i < n; i++)
            out[i] = portable_sigmoid(x[i]);
        break;
    case 3:
        for (int64_t i = 0; i < n; i++)
            out[i] = portable_ndtr(x[i]);
        break;
    case 4:
        for (int64_t i = 0; i < n; i++)
            out[i] = portable_ndtri(x[i]);
        break;
    default:
        break;
    }
}

static Mixture mixture_of(int64_t kind, int64_t components, int64_t lanes, const double *logits, const double *means,
                          const double *scales, int64_t size, int64_t precision, double *scratch) {
    double *extra = scratch + 3 * components * BLOCK;
    return (Mixture){kind,    components,        lanes,         size, precision, logits, means, scales,
                     scratch, extra + 2 * BLOCK, extra + BLOCK, extra};
}

/* Fill in the interval [start, start + freq) of each lane's symbol; returns the first lane whose symbol is not there,
   or -1.

   kind: LOGISTIC, GAUSSIAN or BINS. logits, means, scales: [components, lanes]. size: symbols of the alphabet.
   precision: bits. scratch: [3 * components + EXTRA_ROWS, BLOCK]. symbols, start, freq: [lanes]. */
DZ_EXPORT int64_t DZ_KERNEL(dz_intervals)(int64_t kind, int64_t components, int64_t lanes, const double *logits,
                                          const double *means, const double *scales, int64_t size, int64_t precision,
                                          double *scratch, const int64_t *symbols, int64_t *start, int64_t *freq) {
    for (int64_t i = 0; i < lanes; i++)
        if (symbols[i] < 0 || symbols[i] >= size)
            return i;
    Mixture mixture = mixture_of(kind, components, lanes, logits, means, scales, size, precision, scratch);
    const Mode mode = ieee_mode();
    intervals(&mixture, symbols, start, freq);
    restore_mode(mode);
    return -1;
}

/* Find the symbol whose interval holds each lane's slot; returns the first lane whose slot is outside [0, 2^precision),
   or -1. Arguments as for dz_intervals; slots, symbols: [lanes]. */
DZ_EXPORT int64_t DZ_KERNEL(dz_find)(int64_t kind, int64_t components, int64_t lanes, const double *logits,
                                     const double *means, const double *scales, int64_t size, int64_t precision,
                                     double *scratch, const int64_t *slots, int64_t *symbols) {
    for (int64_t i = 0; i < lanes; i++)
        if (slots[i] < 0 || slots[i] >> precision)
            return i;
    Mixture mixture = mixture_of(kind, components, lanes, logits, means, scales, size, precision, scratch);
    const Mode mode = ieee_mode();
    int64_t wrong = find(&mixture, slots, symbols);
    restore_mode(mode);
    return wrong;
}

/* exp, log, sigmoid, ndtr or ndtri (`function` is 0 to 4) of n numbers. */
DZ_EXPORT void DZ_KERNEL(dz_map)(int64_t function, int64_t n, const double *x, double *out) {
    const Mode mode = ieee_mode();
    map(function, n, x, out);
    restore_mode(mode);
}
