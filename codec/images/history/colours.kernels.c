/* Searches of the encoder among colours: for luma and chroma that give pixels. Python has checked every size. */

#include "decode.h"

enum { UNKNOWN = 0, KNOWN = 1, NOWHERE = 2, LANES = 16, TRIES = 5 };

static inline int least_of(int a, int b) { return a < b ? a : b; }
static inline int most_of(int a, int b) { return a > b ? a : b; }

/* Of n pixels the lowest and the highest luma that gives them with their chroma; low above high where none does. */
DZ_EXPORT void DZ_KERNEL(dz_history_luma)(const uint8_t *rgb, const uint8_t *cb, const uint8_t *cr, int64_t n,
                                          uint8_t *low, uint8_t *high) {
    for (int64_t i = 0; i < n; i++) {
        int shift[3], least = 0, most = 255;
        chroma_of(cb[i], cr[i], shift);
        for (int c = 0; c < 3; c++) {
            const int value = rgb[3 * i + c];
            least = most_of(least, value == 0 ? 0 : value - shift[c]);
            most = least_of(most, value == 255 ? 255 : value - shift[c]);
        }
        const int none = least > most;
        low[i] = (uint8_t)(none ? 255 : least);
        high[i] = (uint8_t)(none ? 0 : most);
    }
}

/* Colours of pixels, and what is found of them. */
typedef struct {
    int32_t red[LANES], green[LANES], blue[LANES];
    int32_t luma[LANES], cb[LANES], cr[LANES], found[LANES];
} Lanes;

/* Try another luma. Returns how many pixels are known. */
static inline int try_luma(Lanes *l, const int32_t *guess, int more) {
    int known = 0;
    for (int i = 0; i < LANES; i++) {
        const int y = guess[i] + more;
        const int b = ((l->blue[i] - y) * 36984 + (CENTRE << 16) + 32768) >> 16;
        const int r = ((l->red[i] - y) * 46745 + (CENTRE << 16) + 32768) >> 16;
        int shift[3];
        chroma_of(b, r, shift);
        const int fits = ((y | b | r) >= 0) & (most_of(y, most_of(b, r)) <= 255) & (y + shift[0] == l->red[i]) &
                         (y + shift[1] == l->green[i]) & (y + shift[2] == l->blue[i]) & !l->found[i];
        l->luma[i] = fits ? y : l->luma[i];
        l->cb[i] = fits ? b : l->cb[i];
        l->cr[i] = fits ? r : l->cr[i];
        l->found[i] |= fits;
        known += l->found[i];
    }
    return known;
}

/* Of n pixels luma and chroma, and whether they are known: those of one that reaches the end of a channel are a guess. */
DZ_EXPORT void DZ_KERNEL(dz_history_lattice)(const uint8_t *rgb, int64_t n, uint8_t *luma, uint8_t *cb, uint8_t *cr,
                                             uint8_t *known) {
    for (int64_t first = 0; first < n; first += LANES) {
        const int count = n - first < LANES ? (int)(n - first) : LANES;
        Lanes l = {{0}, {0}, {0}, {0}, {0}, {0}, {0}};
        int32_t guess[LANES], open[LANES];
        for (int i = 0; i < count; i++) {
            const uint8_t *pixel = rgb + 3 * (first + i);
            l.red[i] = pixel[0], l.green[i] = pixel[1], l.blue[i] = pixel[2];
        }
        for (int i = 0; i < LANES; i++) {
            const int r = l.red[i], g = l.green[i], b = l.blue[i];
            const int y = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
            l.luma[i] = guess[i] = y;
            l.cb[i] = kept(((b - y) * 36984 + (CENTRE << 16) + 32768) >> 16);
            l.cr[i] = kept(((r - y) * 46745 + (CENTRE << 16) + 32768) >> 16);
            open[i] = (least_of(r, least_of(g, b)) == 0) | (most_of(r, most_of(g, b)) == 255);
        }
        for (int k = 0; k < TRIES; k++)
            if (try_luma(&l, guess, k & 1 ? (k + 1) >> 1 : -(k >> 1)) == LANES) break;
        for (int i = 0; i < count; i++) {
            luma[first + i] = (uint8_t)l.luma[i];
            cb[first + i] = (uint8_t)l.cb[i];
            cr[first + i] = (uint8_t)l.cr[i];
            known[first + i] = (uint8_t)(open[i] ? UNKNOWN : l.found[i] ? KNOWN : NOWHERE);
        }
    }
}

/* By how much chroma has to be moved for pixels that reach the end of a channel to be what they are.

   The least change of luma and chroma is the inverse of what red, green and blue lack; that of a coarse sample is the
   mean of those of its pixels.

   Args: pixels, what is known of them, luma (with `stride` samples in a row) and chroma of each [high, wide]; by how
   many bits rows and columns of coarse chroma are fewer; the shifts of both chromas [.., columns], to which sums are
   added, and their number. */
DZ_EXPORT void DZ_KERNEL(dz_history_lacks)(const uint8_t *rgb, const uint8_t *known, const uint8_t *luma,
                                           int64_t stride, const uint8_t *cb, const uint8_t *cr, int64_t high,
                                           int64_t wide, int64_t tall, int64_t broad, int64_t columns, float *blue,
                                           float *red, float *count) {
    for (int64_t y = 0; y < high; y++)
        for (int64_t x = 0; x < wide; x++) {
            const int64_t i = y * wide + x, at = (y >> tall) * columns + (x >> broad);
            if (known[i] != UNKNOWN) continue;
            const float l = luma[y * stride + x], b = cb[i] - 128.0f, r = cr[i] - 128.0f;
            const float made[3] = {l + 1.402f * r, l - 0.344136f * b - 0.714136f * r, l + 1.772f * b};
            float lack[3];
            for (int c = 0; c < 3; c++) {
                const int wanted = rgb[3 * i + c];
                const float less = (float)wanted - made[c];
                const int fits = (wanted == 255 && less < 0) || (wanted == 0 && less > 0) || (less > -1 && less < 1);
                lack[c] = fits ? 0 : less;
            }
            blue[at] += -0.168736f * lack[0] - 0.331264f * lack[1] + 0.5f * lack[2];
            red[at] += 0.5f * lack[0] - 0.418688f * lack[1] - 0.081312f * lack[2];
            count[at] += 1;
        }
}
