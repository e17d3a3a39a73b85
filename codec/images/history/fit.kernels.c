/* Searches of the encoder for coefficients whose samples lie within bounds. What they find is checked by the exact
   decoder; nothing of a file depends on how. Python has checked every size.

   Bounds are planes of bytes, of whole blocks: 0 and 255 are open, for there the decoder keeps samples within bytes. */

#include "transform.h"

enum {
    LARGEST = 1023,
    LATER = 6,  /* moves until a coefficient may be moved again */
    /* Moves looked at closely, of those that look best: all where steps are as coarse as these, in sum. */
    CHOSEN = 8,
    COARSE = 1024,
};
#define OPEN 1e4f
#define CENTRE 128.0f

/* A component at work: bounds of its samples, [rows * 8, columns * 8]; and steps and their inverses. */
typedef struct {
    const uint8_t *low, *high;
    int64_t rows, columns;
    Eight step[8], inverse[8];
} Plane;

typedef struct {
    Eight low[8], high[8];
} Bounds;

static inline Plane plane_of(const uint8_t *low, const uint8_t *high, int64_t rows, int64_t columns,
                             const int32_t *step) {
    Plane p = {.low = low, .high = high, .rows = rows, .columns = columns};
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 8; k++) p.step[i][k] = (float)step[8 * i + k], p.inverse[i][k] = 1.0f / p.step[i][k];
    return p;
}

/* Where the first sample of a block is. */
static inline int64_t corner(const Plane *p, int64_t block) {
    return block / p->columns * SIDE * SIDE * p->columns + block % p->columns * SIDE;
}

/* The real bounds of a block. Returns whether a sample may have more than one value. */
static inline int bounds_of(const Plane *p, int64_t block, Bounds *bounds) {
    const int64_t at = corner(p, block), stride = SIDE * p->columns;
    Mask open = {0};
    for (int i = 0; i < 8; i++) {
        const Eight low = bytes_at(p->low + at + i * stride), high = bytes_at(p->high + at + i * stride);
        const Mask under = low == 0.0f, over = high == 255.0f;
        open |= under | over | (low != high);
        bounds->low[i] = (Eight)(((Mask)all(-OPEN) & under) | ((Mask)(low - 0.5f) & ~under));
        bounds->high[i] = (Eight)(((Mask)all(OPEN) & over) | ((Mask)(high + 0.5f) & ~over));
    }
    int any = 0;
    for (int k = 0; k < 8; k++) any |= open[k];
    return any != 0;
}

static inline Eight kept(Eight x, Eight low, Eight high) { return least_of(most_of(x, low), high); }

/* Samples to the quantized coefficients nearest to them. */
static inline void quantize(const Plane *p, Eight *x) {
    for (int i = 0; i < 8; i++) x[i] -= CENTRE;
    to_frequencies(x);
    for (int i = 0; i < 8; i++) x[i] = kept(nearest(x[i] * p->inverse[i]), all(-LARGEST), all(LARGEST));
}

static inline void dequantize(const Plane *p, const Eight *block, Eight *x) {
    for (int i = 0; i < 8; i++) x[i] = block[i] * p->step[i];
    to_samples(x);
    for (int i = 0; i < 8; i++) x[i] += CENTRE;
}

static inline Eight beyond(Eight x, Eight low, Eight high) { return x - kept(x, low, high); }

/* The sum of squares by which samples are out of bounds. */
static inline float excess(const Eight *x, const Bounds *bounds) {
    Eight sum = {0};
    for (int i = 0; i < 8; i++) {
        const Eight out = beyond(x[i], bounds->low[i], bounds->high[i]);
        sum += out * out;
    }
    return sum_of(sum);
}

static inline void store(int16_t *plane, const Eight *block) {
    for (int i = 0; i < 8; i++) put_shorts(plane + 8 * i, block[i]);
}

/* Coefficients of every block by rounding those of a guess; where samples are open, again and again from the samples
   that they give, kept within bounds, while that helps.

   Args: bounds and the guess [8 * rows, 8 * columns]; steps [64]; how often at most; coefficients [rows * columns, 64]
   and the squares by which their samples are out of bounds [rows * columns], which are found. */
DZ_EXPORT void DZ_KERNEL(dz_history_round)(const uint8_t *low, const uint8_t *high, const uint8_t *guess, int64_t rows,
                                           int64_t columns, const int32_t *step, int64_t times, int16_t *plane,
                                           float *out) {
    const Plane p = plane_of(low, high, rows, columns, step);
    for (int64_t b = 0; b < rows * columns; b++) {
        Bounds bounds;
        Eight block[8], x[8];
        const int open = bounds_of(&p, b, &bounds);
        for (int i = 0; i < 8; i++)
            block[i] = kept(bytes_at(guess + corner(&p, b) + i * SIDE * columns), bounds.low[i] + 0.5f,
                            bounds.high[i] - 0.5f);
        quantize(&p, block);
        dequantize(&p, block, x);
        float least = excess(x, &bounds);
        for (int64_t time = 0; time < times && open && least > 0; time++) {
            Eight tried[8];
            for (int i = 0; i < 8; i++) tried[i] = kept(x[i], bounds.low[i], bounds.high[i]);
            quantize(&p, tried);
            dequantize(&p, tried, x);
            const float after = excess(x, &bounds);
            if (after >= least) break;
            least = after;
            for (int i = 0; i < 8; i++) block[i] = tried[i];
        }
        store(plane + AREA * b, block);
        out[b] = least;
    }
}

/* Move samples from what the coefficients give by a shift [8 * rows, 8 * columns], keep them within bounds, and round
   again, where any is shifted. */
DZ_EXPORT void DZ_KERNEL(dz_history_shift)(const uint8_t *low, const uint8_t *high, const float *shift, int64_t rows,
                                           int64_t columns, const int32_t *step, int16_t *plane, float *out) {
    const Plane p = plane_of(low, high, rows, columns, step);
    for (int64_t b = 0; b < rows * columns; b++) {
        Eight change[8], block[8], x[8];
        Mask any = {0};
        for (int i = 0; i < 8; i++) {
            __builtin_memcpy(&change[i], shift + corner(&p, b) + i * SIDE * columns, sizeof change[i]);
            any |= change[i] != 0.0f;
        }
        if (!(any[0] | any[1] | any[2] | any[3] | any[4] | any[5] | any[6] | any[7])) continue;
        Bounds bounds;
        bounds_of(&p, b, &bounds);
        for (int i = 0; i < 8; i++) block[i] = shorts_at(plane + AREA * b + 8 * i);
        dequantize(&p, block, x);
        for (int i = 0; i < 8; i++) block[i] = kept(x[i] + change[i], bounds.low[i], bounds.high[i]);
        quantize(&p, block);
        dequantize(&p, block, x);
        store(plane + AREA * b, block);
        out[b] = excess(x, &bounds);
    }
}

enum { NEVER = -2147483647 - 1 };

/* How much moves of each coefficient by one promise, best first: numbers that order them as their gains do, with the
   number of the coefficient in the last bits. A move changes the squares by twice the gradient, and by its own square as
   far as samples are out of bounds: half of it is a guess. */
static inline void promises(const Plane *p, const Eight *slope, const int32_t *free_again, int32_t move, Mask *key) {
    for (int i = 0; i < 8; i++) {
        Mask later;
        __builtin_memcpy(&later, free_again + 8 * i, sizeof later);
        const Eight gain = (2.0f * magnitude(slope[i]) - 0.5f * p->step[i]) * p->step[i];
        const Mask bits = (Mask)gain, at = {0, 1, 2, 3, 4, 5, 6, 7}, barred = later > move;
        key[i] = ((((bits ^ ((bits >> 31) & 0x7FFFFFFF)) & ~63) | (at + 8 * i)) & ~barred) | (NEVER & barred);
    }
}

/* The number of the best, which is barred; -1 where none is left. */
static inline int take_best(Mask *key) {
    Mask best = key[0];
    for (int i = 1; i < 8; i++) {
        const Mask over = key[i] > best;
        best = (key[i] & over) | (best & ~over);
    }
    int32_t found = best[0];
    for (int k = 1; k < 8; k++) found = best[k] > found ? best[k] : found;
    if (found == NEVER) return -1;
    const int at = found & 63;
    key[at >> 3][at & 7] = NEVER;
    return at;
}

/* Look for coefficients of blocks whose samples lie within bounds, by moving one at a time.

   Args: bounds [8 * rows, 8 * columns]; steps [64]; coefficients [rows * columns, 64]; the squares by which samples are
   out of bounds; how many moves to try. A block keeps its coefficients unless those squares become less. */
DZ_EXPORT void DZ_KERNEL(dz_history_mend)(const uint8_t *low, const uint8_t *high, int64_t rows, int64_t columns,
                                          const int32_t *step, int16_t *plane, float *out, int64_t tries) {
    const Plane p = plane_of(low, high, rows, columns, step);
    int32_t sum_of_steps = 0;
    for (int k = 0; k < AREA; k++) sum_of_steps += step[k];
    const int looks = sum_of_steps < COARSE ? CHOSEN : AREA;
    Eight wave[AREA][8]; /* what one more of each coefficient adds to the samples */
    for (int k = 0; k < AREA; k++) {
        for (int i = 0; i < 8; i++) wave[k][i] = all(0.0f);
        wave[k][k >> 3][k & 7] = (float)step[k];
        to_samples(wave[k]);
    }
    for (int64_t b = 0; b < rows * columns; b++) {
        if (!(out[b] > 0)) continue;
        Bounds bounds;
        bounds_of(&p, b, &bounds);
        int16_t *block = plane + AREA * b, best[AREA];
        int32_t free_again[AREA];
        Eight x[8];
        for (int i = 0; i < 8; i++) x[i] = shorts_at(block + 8 * i);
        dequantize(&p, x, x);
        for (int k = 0; k < AREA; k++) best[k] = block[k], free_again[k] = 0;
        float least = excess(x, &bounds);
        for (int32_t move = 0; move < tries && least > 0; move++) {
            Eight slope[8];
            Mask key[8];
            float gradient[AREA];
            for (int i = 0; i < 8; i++) slope[i] = beyond(x[i], bounds.low[i], bounds.high[i]);
            to_frequencies(slope);
            __builtin_memcpy(gradient, slope, sizeof gradient);
            promises(&p, slope, free_again, move, key);
            int chosen = -1, direction = 0;
            float smallest = 1e30f;
            for (int count = 0; count < looks; count++) {
                const int k = take_best(key);
                if (k < 0) break;
                const int way = gradient[k] > 0 ? -1 : 1;
                if (block[k] * way >= LARGEST) continue;
                Eight sum = {0};
                for (int i = 0; i < 8; i++) {
                    const Eight far = beyond(x[i] + wave[k][i] * (float)way, bounds.low[i], bounds.high[i]);
                    sum += far * far;
                }
                const float cost = sum_of(sum);
                if (cost < smallest) smallest = cost, chosen = k, direction = way;
            }
            if (chosen < 0 || smallest > 4 * least + 1) break;
            block[chosen] = (int16_t)(block[chosen] + direction);
            free_again[chosen] = move + 1 + LATER;
            for (int i = 0; i < 8; i++) x[i] += wave[chosen][i] * (float)direction;
            if (smallest < least) {
                least = smallest;
                for (int k = 0; k < AREA; k++) best[k] = block[k];
            }
        }
        for (int k = 0; k < AREA; k++) block[k] = best[k];
        out[b] = least;
    }
}
