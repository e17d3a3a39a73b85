/* Planes of differences that are nearly all zero, coded by counters. Python has checked every size. */

#include "../../codec/entropy/rangecoder.h"
#include "../../codec/native.h"

enum {
    SIDE = 8,
    COUNT_BITS = 10,
    LIMIT = 250,
    CLASSES = 16, /* of what is known of a sample beforehand */
    NEAR = 3,     /* differences beside and above, 0 to 2 */
    BUSY = 4,     /* how many of the block so far */
    SIZES = 9     /* bits of a magnitude, less one */
};

/* The order of counters in memory; differences.py knows how many there are. */
enum {
    AT_BLOCK = 0,
    AT_ZERO = AT_BLOCK + 16,
    AT_SIGN = AT_ZERO + CLASSES * NEAR * BUSY,
    AT_SIZE = AT_SIGN + CLASSES * NEAR,
    AT_LOW = AT_SIZE + NEAR * SIZES
};

typedef struct {
    uint32_t *counter;
    RangeCoder *coder;
    uint8_t *out; /* NULL for the decoder */
    const uint8_t *data;
    uint64_t size;
} Stream;

static inline int code(Stream *s, int at, int bit) {
    const uint32_t old = s->counter[at];
    int64_t chance = old >> COUNT_BITS;
    const int64_t events = old & ((1u << COUNT_BITS) - 1);
    uint64_t part = (uint64_t)chance >> 6;
    part = part < 1 ? 1 : part > 65535 ? 65535 : part;
    if (s->out)
        range_encode_bit(s->coder, s->out, bit, part);
    else
        bit = (int)range_decode_bit(s->coder, s->data, s->size, part);
    const int64_t target = bit ? (1 << 22) - 1 : 0;
    chance += (target - chance) * 2 / (2 * events + 3);
    s->counter[at] = (uint32_t)chance << COUNT_BITS | (uint32_t)(events < LIMIT ? events + 1 : LIMIT);
    return bit;
}

/* A difference that is not 0, from -255 to 255: its sign, the bits of its magnitude, those below the highest. */
static inline int coded(Stream *s, int class, int near, int value) {
    const int negative = code(s, AT_SIGN + class * NEAR + near, value < 0);
    int size = value < 0 ? -value : value, bits = 0;
    for (int rest = size >> 1; rest; rest >>= 1) bits++;
    int found = 0;
    while (found < SIZES - 2 && code(s, AT_SIZE + near * SIZES + found, bits > found)) found++;
    int magnitude = 1;
    for (int i = found - 1; i >= 0; i--)
        magnitude = 2 * magnitude + code(s, AT_LOW + found * SIZES + i, size >> i & 1);
    return negative ? -magnitude : magnitude;
}

/* Code rows first to last - 1 of a plane [rows, width]; first is a multiple of 8. `class` has a number below 16 for each
   sample. `marks` has a byte for each column of blocks, at first 0, and one more before them. */
DZ_EXPORT void DZ_KERNEL(dz_history_differences)(int16_t *plane, const uint8_t *class, int64_t width, int64_t first,
                                                 int64_t last, uint8_t *marks, uint32_t *counter, RangeCoder *coder,
                                                 uint8_t *out, const uint8_t *data, uint64_t size) {
    Stream s = {counter, coder, out, data, size};
    for (int64_t top = first; top < last; top += SIDE)
        for (int64_t left = 0; left < width; left += SIDE) {
            const int64_t bottom = top + SIDE < last ? top + SIDE : last;
            const int64_t right = left + SIDE < width ? left + SIDE : width;
            int any = 0, busy = 0;
            if (out)
                for (int64_t y = top; y < bottom; y++)
                    for (int64_t x = left; x < right; x++) any |= plane[y * width + x] != 0;
            uint8_t *mark = marks + 1 + left / SIDE;
            any = code(&s, AT_BLOCK + mark[-1] * 4 + *mark, any);
            if (any)
                for (int64_t y = top; y < bottom; y++)
                    for (int64_t x = left; x < right; x++) {
                        int16_t *value = plane + y * width + x;
                        const int near = (x > 0 && value[-1]) + (y > 0 && value[-width]);
                        const int kind = class[y * width + x] & (CLASSES - 1);
                        const int crowd = busy < 2 ? busy : busy < 8 ? 2 : 3;
                        if (code(&s, AT_ZERO + (kind * NEAR + near) * BUSY + crowd, *value != 0)) {
                            *value = (int16_t)coded(&s, kind, near, *value);
                            busy++;
                        } else
                            *value = 0;
                    }
            else if (!out)
                for (int64_t y = top; y < bottom; y++)
                    for (int64_t x = left; x < right; x++) plane[y * width + x] = 0;
            *mark = (uint8_t)(busy == 0 ? 0 : busy < 3 ? 1 : busy < 12 ? 2 : 3);
        }
}
