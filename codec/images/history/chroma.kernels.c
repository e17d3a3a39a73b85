/* Searches of the encoder for coarse chroma samples that give the fine ones. What they find is checked by the exact
   decoder; nothing of a file depends on how. Python has checked every size. */

#include "../../native.h"

typedef int16_t Four __attribute__((vector_size(8)));
typedef int16_t Eight __attribute__((vector_size(16)));
typedef int16_t Window __attribute__((vector_size(32)));

enum { SPAN = 4 /* sides of the window of fine samples on which a coarse one has an influence */ };

static inline float solved_at(float value, float factor, float before) { return value - factor * before; }

/* Weighted sums of fine samples 2i and 2i + 1, which are made of 3/4 of coarse sample i, and of those beside them, which
   have 1/4 of it; at the ends they have all. `at` says how far apart they are. */
static inline float weighted(const float *fine, int64_t i, int64_t n, int64_t at) {
    const float first = fine[2 * i * at], before = i ? 0.25f * fine[(2 * i - 1) * at] : 0.25f * first;
    const float second = 2 * i + 1 < n ? fine[(2 * i + 1) * at] : 0;
    const float after = 2 * i + 2 < n ? 0.25f * fine[(2 * i + 2) * at] : 2 * i + 1 < n ? 0.25f * second : 0;
    return (0.75f * first + 0.75f * second) + (before + after);
}

/* Least squares of the triangle filter down the columns of `fine` [high, wide], in `coarse` [(high + 1) / 2, wide]: a
   band of three diagonals, for whose elimination `factor`, `inverse` and `beside` are prepared. */
DZ_EXPORT void DZ_KERNEL(dz_history_solve_down)(const float *fine, int64_t high, int64_t wide, const float *factor,
                                                const float *inverse, const float *beside, float *coarse) {
    const int64_t rows = (high + 1) / 2;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t x = 0; x < wide; x++) {
            const float sum = weighted(fine + x, i, high, wide);
            coarse[i * wide + x] = i ? solved_at(sum, factor[i], coarse[(i - 1) * wide + x]) : sum;
        }
    for (int64_t i = rows - 1; i >= 0; i--)
        for (int64_t x = 0; x < wide; x++) {
            float *value = coarse + i * wide + x;
            *value = (i + 1 < rows ? solved_at(*value, beside[i], value[wide]) : *value) * inverse[i];
        }
}

/* The same along the rows: coarse [high, (wide + 1) / 2]. */
DZ_EXPORT void DZ_KERNEL(dz_history_solve_along)(const float *fine, int64_t high, int64_t wide, const float *factor,
                                                 const float *inverse, const float *beside, float *coarse) {
    const int64_t columns = (wide + 1) / 2;
    for (int64_t y = 0; y < high; y++) {
        float *row = coarse + y * columns, before = 0;
        for (int64_t i = 0; i < columns; i++) row[i] = weighted(fine + y * wide, i, wide, 1);
        for (int64_t i = 0; i < columns; i++) row[i] = before = solved_at(row[i], factor[i], before);
        before = 0;
        for (int64_t i = columns - 1; i >= 0; i--) row[i] = before = solved_at(row[i], beside[i], before) * inverse[i];
    }
}

/* Coarse chroma, and what it makes: `made`, 16 times the fine samples before they are rounded down; `error`, by how much
   the known ones differ from what they are to be; `mask`, which are known. These three are planes of the fine samples
   with one more on the left and above, and two more on the right and below. */
typedef struct {
    uint8_t *coarse, *fresh;
    int64_t columns, rows, broad, tall;
    int16_t *made, *error, *mask;
    int64_t stride;
    Window weights[4][4][3][3];
} Chroma;

static inline Window window_at(const int16_t *plane, int64_t stride) {
    Four row[SPAN];
    for (int i = 0; i < SPAN; i++) __builtin_memcpy(&row[i], plane + i * stride, sizeof row[i]);
    const Eight upper = __builtin_shufflevector(row[0], row[1], 0, 1, 2, 3, 4, 5, 6, 7);
    const Eight lower = __builtin_shufflevector(row[2], row[3], 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_shufflevector(upper, lower, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static inline void put_window(int16_t *plane, int64_t stride, Window x) {
    int16_t flat[SPAN * SPAN];
    __builtin_memcpy(flat, &x, sizeof flat);
    for (int i = 0; i < SPAN; i++) __builtin_memcpy(plane + i * stride, flat + SPAN * i, SPAN * sizeof *flat);
}

static inline int cost_of(Window error) {
    int16_t flat[SPAN * SPAN];
    __builtin_memcpy(flat, &error, sizeof flat);
    int sum = 0;
    for (int i = 0; i < SPAN * SPAN; i++) sum += flat[i] * flat[i];
    return sum;
}

/* By how much a coarse sample counts in the fine ones of a window that begins `shift` rows (or columns) after its own. */
static inline int weight(int at, int first, int last, int doubled) {
    const int edge = doubled ? (at == 0 ? (first ? 0 : 1) : at == 1 ? (first ? 4 : 3) : at == 2 ? (last ? 4 : 3)
                                                                                      : (last ? 0 : 1))
                             : (at == 1 ? 4 : 0);
    return at < 0 || at >= SPAN ? 0 : edge;
}

/* Weights for each kind of place (1: in the first row or column, 2: in the last), in the window of the sample itself and
   of those around it: weights[rows][columns][1 + dy][1 + dx] in that of the sample that is dy, dx after it. */
static inline void fill_weights(Chroma *c) {
    for (int v = 0; v < 4; v++)
        for (int h = 0; h < 4; h++)
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++)
                    for (int i = 0; i < SPAN; i++)
                        for (int j = 0; j < SPAN; j++) {
                            const int y = i + (c->tall ? 2 : 1) * dy, x = j + (c->broad ? 2 : 1) * dx;
                            c->weights[v][h][1 + dy][1 + dx][SPAN * i + j] =
                                (int16_t)(weight(y, v & 1, v >> 1, (int)c->tall) *
                                          weight(x, h & 1, h >> 1, (int)c->broad));
                        }
}

static inline int64_t place_of(const Chroma *c, int64_t row, int64_t column) {
    return (c->tall ? 2 * row : row) * c->stride + (c->broad ? 2 * column : column);
}

static inline const Window (*weights_of(const Chroma *c, int64_t row, int64_t column))[3] {
    const int v = (row == 0) | (row == c->rows - 1) << 1, h = (column == 0) | (column == c->columns - 1) << 1;
    return c->weights[v][h];
}

/* A window of what is made, of errors and of the mask. */
typedef struct {
    Window made, error, mask;
} View;

static inline View view_of(const Chroma *c, int64_t at) {
    return (View){window_at(c->made + at, c->stride), window_at(c->error + at, c->stride),
                  window_at(c->mask + at, c->stride)};
}

/* Errors after what is made has changed. */
static inline Window error_after(const View *view, Window change) {
    return (view->error + ((view->made + change) >> 4) - (view->made >> 4)) & view->mask;
}

/* Add to a coarse sample, and look again at what was given up nearby. */
static inline void add(Chroma *c, int64_t row, int64_t column, int step) {
    const int64_t at = place_of(c, row, column);
    const View view = view_of(c, at);
    const Window change = weights_of(c, row, column)[1][1] * (int16_t)step;
    put_window(c->error + at, c->stride, error_after(&view, change));
    put_window(c->made + at, c->stride, view.made + change);
    c->coarse[row * c->columns + column] = (uint8_t)(c->coarse[row * c->columns + column] + step);
    for (int64_t y = row > 2 ? row - 2 : 0; y <= row + 2 && y < c->rows; y++)
        for (int64_t x = column > 2 ? column - 2 : 0; x <= column + 2 && x < c->columns; x++)
            c->fresh[y * c->columns + x] = 1;
}

/* Move a coarse sample and one beside it, where that makes the fine ones better that both have an influence on. */
static inline int both(Chroma *c, int64_t row, int64_t column, const View *view) {
    const Window(*own)[3] = weights_of(c, row, column);
    const int value = c->coarse[row * c->columns + column];
    for (int64_t dy = c->tall ? -1 : 0; dy <= (c->tall ? 1 : 0); dy++)
        for (int64_t dx = c->broad ? -1 : 0; dx <= (c->broad ? 1 : 0); dx++) {
            const int64_t y = row + dy, x = column + dx;
            if ((!dy && !dx) || y < 0 || y >= c->rows || x < 0 || x >= c->columns) continue;
            const Window(*others)[3] = weights_of(c, y, x);
            const View there = view_of(c, place_of(c, y, x));
            const int before = cost_of(view->error) + cost_of(there.error), other = c->coarse[y * c->columns + x];
            for (int step = 0; step < 4; step++) {
                const int one = step & 1 ? 1 : -1, two = step & 2 ? 1 : -1;
                if (value + one < 0 || value + one > 255 || other + two < 0 || other + two > 255) continue;
                const Window here_change = own[1][1] * (int16_t)one + others[1 - dy][1 - dx] * (int16_t)two;
                const Window there_change = own[1 + dy][1 + dx] * (int16_t)one + others[1][1] * (int16_t)two;
                const int left = before - cost_of(error_after(view, here_change));
                if (left <= 0 || cost_of(error_after(&there, there_change)) >= left) continue;
                add(c, row, column, one);
                add(c, y, x, two);
                return 1;
            }
        }
    return 0;
}

/* Move a coarse sample, if that helps, or with one beside it if `pairs`; else, if `ties`, where it does no harm: from
   there others may be better. Returns whether it helped. */
static inline int move(Chroma *c, int64_t row, int64_t column, int64_t pairs, int64_t ties) {
    const View view = view_of(c, place_of(c, row, column));
    const Window own = weights_of(c, row, column)[1][1];
    const int value = c->coarse[row * c->columns + column];
    int least = cost_of(view.error), best = 0, even = 0;
    if (!least) return 0;
    for (int step = -2; step <= 2; step++) {
        if (!step || value + step < 0 || value + step > 255) continue;
        const int cost = cost_of(error_after(&view, own * (int16_t)step));
        if (cost < least)
            least = cost, best = step;
        else if (cost == least && !best)
            even = step;
    }
    if (best) add(c, row, column, best);
    if (best || (pairs && both(c, row, column, &view))) return 1;
    if (ties && even) add(c, row, column, even);
    return 0;
}

/* 16 times the fine samples of `coarse`, and what is added before they are rounded down, as in dz_history_upsample. */
static inline void make(const Chroma *c, int64_t wide, int64_t high) {
    for (int64_t y = 0; y < high; y++) {
        const int64_t at = c->tall ? y >> 1 : y;
        int64_t other = !c->tall ? at : y & 1 ? at + 1 : at - 1;
        other = other < 0 ? 0 : other >= c->rows ? c->rows - 1 : other;
        const uint8_t *near = c->coarse + at * c->columns, *far = c->coarse + other * c->columns;
        int16_t *out = c->made + (y + 1) * c->stride + 1;
        for (int64_t x = 0; x < wide; x++) {
            const int64_t here = c->broad ? x >> 1 : x;
            int64_t side = !c->broad ? here : x & 1 ? here + 1 : here - 1;
            side = side < 0 || side >= c->columns ? here : side;
            const int sum = 3 * near[here] + far[here], beside = 3 * near[side] + far[side];
            const int added = !c->broad ? (y & 1 ? 8 : 4) : c->tall ? 8 - (int)(x & 1) : 4 + 4 * (int)(x & 1);
            out[x] = (int16_t)(3 * sum + beside + added);
        }
    }
}

/* Move coarse samples one by one, or two at once, while that makes the fine ones better.

   Args: coarse [rows, columns], which is changed; whether it has half the columns, half the rows; the fine samples that
   it is to give, and which of them are known (1), [high, wide]; rounds at most; whether two at once are moved, and
   whether one is that makes no difference; space: three planes [high + 3, wide + 3] of 0, and one of bytes [rows, columns]. */
DZ_EXPORT void DZ_KERNEL(dz_history_descend)(uint8_t *coarse, int64_t columns, int64_t rows, int64_t broad, int64_t tall,
                                             const uint8_t *fine, const uint8_t *known, int64_t wide, int64_t high,
                                             int64_t rounds, int64_t pairs, int64_t ties, int16_t *space,
                                             uint8_t *fresh) {
    Chroma c = {.coarse = coarse, .fresh = fresh, .columns = columns, .rows = rows, .broad = broad, .tall = tall};
    const int64_t plane = (high + 3) * (wide + 3);
    c.made = space, c.error = space + plane, c.mask = space + 2 * plane, c.stride = wide + 3;
    fill_weights(&c);
    make(&c, wide, high);
    for (int64_t y = 0; y < high; y++)
        for (int64_t x = 0; x < wide; x++) {
            const int64_t at = (y + 1) * c.stride + x + 1;
            const int16_t mask = (int16_t)-(known[y * wide + x] == 1);
            c.mask[at] = mask;
            c.error[at] = (int16_t)(((c.made[at] >> 4) - fine[y * wide + x]) & mask);
        }
    for (int64_t i = 0; i < rows * columns; i++) fresh[i] = 1;
    int64_t moves = 1;
    for (int64_t round = 0; round < rounds && moves; round++) {
        moves = 0;
        for (int64_t row = 0; row < rows; row++)
            for (int64_t column = 0; column < columns; column++) {
                uint64_t any = 0;
                for (int i = 0; i < SPAN; i++) {
                    uint64_t four;
                    __builtin_memcpy(&four, c.error + place_of(&c, row, column) + i * c.stride, sizeof four);
                    any |= four;
                }
                if (!any || !fresh[row * columns + column]) continue;
                fresh[row * columns + column] = 0;
                moves += move(&c, row, column, pairs, ties);
            }
    }
}
