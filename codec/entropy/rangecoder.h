/* A byte-wise range coder with carry, for C code that codes symbol by symbol; rangecoder.py describes it. */

#ifndef DZ_RANGECODER_H
#define DZ_RANGECODER_H

#include <stdint.h>

/* State of a coder; places and meaning as in rangecoder.py. */
typedef struct {
    uint64_t low;      /* lower end of the interval (encoder) */
    uint64_t range;    /* its width */
    uint64_t code;     /* offset into the interval (decoder) */
    uint64_t position; /* bytes written or read */
} RangeCoder;

#define RANGE_TOP ((uint64_t)1 << 56)

/* Most bytes that one symbol or the end of the message adds. */
#define RANGE_FLUSH_BYTES 9

/* Add one to the number that the bytes before `position` are. */
static inline void range_carry(uint8_t *out, uint64_t position) {
    while (position > 0 && out[position - 1] == 255) out[--position] = 0;
    if (position > 0) out[position - 1]++;
}

/* Append a symbol with the interval [start, start + freq) of 2^precision. There must be room for RANGE_FLUSH_BYTES. */
static inline void range_encode(RangeCoder *coder, uint8_t *out, uint64_t start, uint64_t freq, unsigned precision) {
    const uint64_t unit = coder->range >> precision, low = coder->low + unit * start;
    if (low < coder->low) range_carry(out, coder->position);
    coder->low = low;
    coder->range = unit * freq;
    while (coder->range < RANGE_TOP) {
        out[coder->position++] = (uint8_t)(coder->low >> 56);
        coder->low <<= 8;
        coder->range <<= 8;
        if (coder->range == 0) coder->range = RANGE_TOP; /* an interval without width: the caller's fault; do not hang */
    }
}

/* The number below 2^precision whose interval the decoder is to find. */
static inline uint64_t range_slot(const RangeCoder *coder, unsigned precision) {
    const uint64_t slot = coder->code / (coder->range >> precision), last = ((uint64_t)1 << precision) - 1;
    return slot < last ? slot : last;
}

/* Remove the symbol with the interval [start, start + freq), which holds the slot; zeros follow the data's end. */
static inline void range_consume(RangeCoder *coder, const uint8_t *data, uint64_t size, uint64_t start, uint64_t freq,
                                 unsigned precision) {
    const uint64_t unit = coder->range >> precision;
    coder->code -= unit * start;
    coder->range = unit * freq;
    while (coder->range < RANGE_TOP) {
        coder->code = coder->code << 8 | (coder->position < size ? data[coder->position] : 0);
        coder->position++;
        coder->range <<= 8;
        if (coder->range == 0) coder->range = RANGE_TOP;
    }
}

#define BIT_PRECISION 16

/* Append a bit that is 1 with a probability of part / 2^16, 0 < part < 2^16. There must be room for three bytes. */
static inline void range_encode_bit(RangeCoder *coder, uint8_t *out, int64_t bit, uint64_t part) {
    const uint64_t one = (coder->range >> BIT_PRECISION) * part, rest = coder->range - one;
    const uint64_t mask = -(uint64_t)bit, low = coder->low + (one & ~mask); /* nobody can foretell a bit: no branches */
    if (low < coder->low) range_carry(out, coder->position);
    coder->low = low;
    coder->range = rest ^ ((one ^ rest) & mask);
    while (coder->range < RANGE_TOP) {
        out[coder->position++] = (uint8_t)(coder->low >> 56);
        coder->low <<= 8;
        coder->range <<= 8;
    }
}

/* Remove a bit; zeros follow the data's end. */
static inline int64_t range_decode_bit(RangeCoder *coder, const uint8_t *data, uint64_t size, uint64_t part) {
    const uint64_t one = (coder->range >> BIT_PRECISION) * part;
    const int64_t bit = coder->code < one;
    coder->code -= bit ? 0 : one;
    coder->range = bit ? one : coder->range - one;
    while (coder->range < RANGE_TOP) {
        coder->code = coder->code << 8 | (coder->position < size ? data[coder->position] : 0);
        coder->position++;
        coder->range <<= 8;
    }
    return bit;
}

#endif
