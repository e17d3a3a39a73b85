/* Searches of the encoder: for coarse chroma samples that give the fine ones, and for coefficients that give samples.
   What they find is checked by the exact decoder; nothing of a file depends on how. Python has checked every size. */

#include "../../native.h"

typedef float Eight __attribute__((vector_size(32)));
typedef int32_t Mask __attribute__((vector_size(32)));

/* Coarse chroma and the fine one that it is to give, as for dz_history_upsample. */
typedef struct {
    uint8_t *coarse;
    int64_t columns, rows, broad, tall;
    const uint8_t *fine, *known;
    int64_t wide, high;
} Chroma;

static inline int fine_at(const Chroma *c, int64_t y, int64_t x) {
    const int64_t at = c->tall ? y >> 1 : y, here = c->broad ? x >> 1 : x;
    int64_t other = !c->tall ? at : y & 1 ? at + 1 : at - 1;
    other = other < 0 ? 0 : other >= c->rows ? c->rows - 1 : other;
    const uint8_t *near = c->coarse + at * c->columns, *far = c->coarse + other * c->columns;
    if (!c->broad) return (3 * near[here] + far[here] + (y & 1 ? 2 : 1)) >> 2;
    const int64_t side = x & 1 ? here + 1 : here - 1;
    const int inside = side >= 0 && side < c->columns;
    if (!c->tall) return inside ? (3 * near[here] + near[side] + 1 + (int)(x & 1)) >> 2 : near[here];
    const int sum = 3 * near[here] + far[here], beside = inside ? 3 * near[side] + far[side] : sum;
    return (3 * sum + beside + 8 - (int)(x & 1)) >> 4;
}

/* Squared errors of the known fine samples on which a coarse one has an influence. */
static inline int cost_at(const Chroma *c, int64_t row, int64_t column) {
    int64_t top = c->tall ? 2 * row - 1 : row, bottom = c->tall ? 2 * row + 2 : row;
    int64_t left = c->broad ? 2 * column - 1 : column, right = c->broad ? 2 * column + 2 : column;
    top = top < 0 ? 0 : top, left = left < 0 ? 0 : left;
    bottom = bottom >= c->high ? c->high - 1 : bottom, right = right >= c->wide ? c->wide - 1 : right;
    int cost = 0;
    for (int64_t y = top; y <= bottom; y++)
        for (int64_t x = left; x <= right; x++) {
            if (c->known[y * c->wide + x] != 1) continue;
            const int error = fine_at(c, y, x) - c->fine[y * c->wide + x];
            cost += error * error;
        }
    return cost;
}

/* Move a coarse sample and one beside it, where that makes the fine ones better that both have an influence on. */
static inline int both(const Chroma *c, int64_t row, int64_t column) {
    uint8_t *sample = c->coarse + row * c->columns + column;
    for (int64_t y = row > 0 ? row - 1 : 0; y <= row + 1 && y < c->rows; y++)
        for (int64_t x = column > 0 ? column - 1 : 0; x <= column + 1 && x < c->columns; x++) {
            uint8_t *other = c->coarse + y * c->columns + x;
            if (other == sample) continue;
            const int before = cost_at(c, row, column) + cost_at(c, y, x), a = *sample, b = *other;
            for (int step = 0; step < 4; step++) {
                const int one = a + (step & 1 ? 1 : -1), two = b + (step & 2 ? 1 : -1);
                if (one < 0 || one > 255 || two < 0 || two > 255) continue;
                *sample = (uint8_t)one, *other = (uint8_t)two;
                if (cost_at(c, row, column) + cost_at(c, y, x) < before) return 1;
                *sample = (uint8_t)a, *other = (uint8_t)b;
            }
        }
    return 0;
}

/* Move coarse samples one by one, or two at once, while that makes the fine ones better; the number of moves in the last round. */
DZ_EXPORT int64_t DZ_KERNEL(dz_history_descend)(uint8_t *coarse, int64_t columns, int64_t rows, int64_t broad,
                                                int64_t tall, const uint8_t *fine, const uint8_t *known, int64_t wide,
                                                int64_t high, int64_t rounds) {
    const Chroma c = {coarse, columns, rows, broad, tall, fine, known, wide, high};
    int64_t moves = 1;
    for (int64_t round = 0; round < rounds && moves; round++) {
        moves = 0;
        for (int64_t row = 0; row < rows; row++)
            for (int64_t column = 0; column < columns; column++) {
                uint8_t *sample = coarse + row * columns + column;
                const int before = cost_at(&c, row, column), value = *sample;
                if (!before) continue;
                int least = before, best = value;
                for (int step = -2; step <= 2; step++) {
                    if (!step || value + step < 0 || value + step > 255) continue;
                    *sample = (uint8_t)(value + step);
                    const int cost = cost_at(&c, row, column);
                    if (cost < least) least = cost, best = value + step;
                }
                *sample = (uint8_t)best;
                moves += best != value ? 1 : both(&c, row, column);
            }
    }
    return moves;
}

enum { LATER = 6 /* moves until a coefficient may be moved again */ };

static inline Eight beyond(Eight x, Eight low, Eight high) {
    const Mask under = x < low, over = x > high;
    return (Eight)(((Mask)(x - low) & under) | ((Mask)(x - high) & over));
}

static inline float sum_of(Eight x) {
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

/* Look for coefficients of blocks whose samples lie within bounds, by moving one at a time.

   Args: coefficients [blocks, 64]; steps [64]; basis [64, 64], what one unit of a coefficient adds to the samples; the
   bounds of samples [blocks, 64], as real numbers; how many moves to try. A block keeps its coefficients unless the sum
   of squares by which samples are out of bounds becomes less; `left` says what it is then. */
DZ_EXPORT void DZ_KERNEL(dz_history_mend)(int16_t *plane, int64_t blocks, const int32_t *step, const float *basis,
                                          const float *low, const float *high, int64_t tries, float *left) {
    Eight wave[64][8];
    for (int k = 0; k < 64; k++)
        for (int i = 0; i < 8; i++)
            for (int j = 0; j < 8; j++) wave[k][i][j] = basis[64 * k + 8 * i + j] * (float)step[k];
    for (int64_t b = 0; b < blocks; b++) {
        int16_t *block = plane + 64 * b, best[64];
        Eight x[8], lo[8], hi[8], total = {0};
        int64_t free_again[64];
        for (int i = 0; i < 8; i++)
            for (int j = 0; j < 8; j++) {
                lo[i][j] = low[64 * b + 8 * i + j], hi[i][j] = high[64 * b + 8 * i + j];
                x[i][j] = 128.0f;
            }
        for (int k = 0; k < 64; k++) {
            best[k] = block[k], free_again[k] = 0;
            if (!block[k]) continue;
            for (int i = 0; i < 8; i++) x[i] += wave[k][i] * (float)block[k];
        }
        for (int i = 0; i < 8; i++) {
            const Eight out = beyond(x[i], lo[i], hi[i]);
            total += out * out;
        }
        float cost = sum_of(total), least = cost;
        for (int64_t move = 0; move < tries && least > 0; move++) {
            int chosen = -1, direction = 0;
            float smallest = 1e30f;
            for (int k = 0; k < 64; k++) {
                if (free_again[k] > move) continue;
                Eight up = {0}, down = {0};
                for (int i = 0; i < 8; i++) {
                    const Eight more = beyond(x[i] + wave[k][i], lo[i], hi[i]);
                    const Eight less = beyond(x[i] - wave[k][i], lo[i], hi[i]);
                    up += more * more, down += less * less;
                }
                const float a = sum_of(up), c = sum_of(down);
                if (a < smallest && block[k] < 1023) smallest = a, chosen = k, direction = 1;
                if (c < smallest && block[k] > -1023) smallest = c, chosen = k, direction = -1;
            }
            if (chosen < 0 || smallest > 4 * least + 1) break;
            block[chosen] = (int16_t)(block[chosen] + direction);
            free_again[chosen] = move + 1 + LATER;
            for (int i = 0; i < 8; i++) x[i] += wave[chosen][i] * (float)direction;
            cost = smallest;
            if (cost < least) {
                least = cost;
                for (int k = 0; k < 64; k++) best[k] = block[k];
            }
        }
        for (int k = 0; k < 64; k++) block[k] = best[k];
        left[b] = least;
    }
}
