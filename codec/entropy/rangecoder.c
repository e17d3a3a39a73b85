/* The range coder's functions for Python: many symbols at once, and the two ends of a message. */

#include "rangecoder.h"

#include "../native.h"

/* Encode n intervals of 2^precision each; returns how many were encoded before `capacity` might not have sufficed. */
DZ_EXPORT int64_t dz_range_encode(RangeCoder *coder, uint8_t *out, uint64_t capacity, const int64_t *start,
                                  const int64_t *freq, const int64_t *precision, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (coder->position + RANGE_FLUSH_BYTES > capacity) return i;
        range_encode(coder, out, (uint64_t)start[i], (uint64_t)freq[i], (unsigned)precision[i]);
    }
    return n;
}

/* Write the last byte and drop up to eight zeros, which the decoder supplies; returns the length of the message. */
DZ_EXPORT int64_t dz_range_finish(RangeCoder *coder, uint8_t *out, uint64_t capacity) {
    if (coder->position + 1 > capacity) return -1;
    uint8_t top = (uint8_t)(coder->low >> 56);
    if (coder->low & (RANGE_TOP - 1)) {
        if (top == 255) range_carry(out, coder->position);
        top++;
    }
    out[coder->position++] = top;
    coder->low = 0;
    uint64_t length = coder->position;
    const uint64_t least = length > 8 ? length - 8 : 0;
    while (length > least && out[length - 1] == 0) length--;
    return (int64_t)length;
}

/* Read the first eight bytes of a message into a new state. */
DZ_EXPORT void dz_range_start(RangeCoder *coder, const uint8_t *data, uint64_t size) {
    for (int i = 0; i < 8; i++) {
        coder->code = coder->code << 8 | (coder->position < size ? data[coder->position] : 0);
        coder->position++;
    }
}

/* The slot that a decoder finds next. */
DZ_EXPORT uint64_t dz_range_slot(const RangeCoder *coder, unsigned precision) { return range_slot(coder, precision); }

/* Remove one symbol. */
DZ_EXPORT void dz_range_consume(RangeCoder *coder, const uint8_t *data, uint64_t size, uint64_t start, uint64_t freq,
                                unsigned precision) {
    range_consume(coder, data, size, start, freq, precision);
}
