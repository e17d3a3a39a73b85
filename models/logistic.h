/* Logistic mixing of bit predictors: what the coders that adapt to one picture share. All arithmetic is on integers, and
   `>>` of a negative number rounds down, as GCC and clang have it. */

#ifndef DZ_LOGISTIC_H
#define DZ_LOGISTIC_H

#include <stdint.h>

enum { COUNT_LIMIT = 100 };

/* Places in `registers`, in which Python keeps the arithmetic coder between two calls. */
enum { X1, X2, CODE, POSITION };

typedef struct {
    uint32_t x1, x2, code;
    int64_t position;
} Arithmetic;

static inline int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* One step of a 32-bit hash. */
static inline uint32_t mix(uint32_t state, uint32_t value) {
    state = (state + value + 1) * 0x2C1B3C6Du;
    return state ^ (state >> 15);
}

/* A counter after one more event: its probability moves by 1 / (events + 1.5) of the way. */
static inline uint32_t learn(uint32_t counter, int32_t bit, const int32_t *rate) {
    int32_t count = smaller((int32_t)(counter & 1023), COUNT_LIMIT);
    int64_t probability = counter >> 10;
    probability += (((int64_t)bit * (1 << 22) - probability) * rate[count]) >> 16;
    probability = probability<0 ? 0 : probability>(1 << 22) - 1 ? (1 << 22) - 1 : probability;
    return (uint32_t)probability << 10 | (uint32_t)smaller(count + 1, COUNT_LIMIT);
}

/* A binary arithmetic coder of 32 bits: code the bit that has `chance` / 2^16 of being 1. The encoder drops bytes
   behind the end of `data`, the decoder reads zeros there. */
static inline int32_t code_bit(Arithmetic *coder, int decoding, int32_t bit, int32_t chance, uint8_t *data,
                               int64_t size) {
    uint32_t range = coder->x2 - coder->x1, part = (uint32_t)chance;
    uint32_t middle = coder->x1 + (range >> 16) * part + ((range & 0xFFFF) * part >> 16);
    if (decoding)
        bit = coder->code <= middle;
    if (bit)
        coder->x2 = middle;
    else
        coder->x1 = middle + 1;
    while (((coder->x1 ^ coder->x2) & 0xFF000000u) == 0) {
        int inside = coder->position < size;
        if (decoding)
            coder->code = coder->code << 8 | (inside ? data[coder->position] : 0u);
        else if (inside)
            data[coder->position] = (uint8_t)(coder->x2 >> 24);
        coder->position++;
        coder->x1 <<= 8;
        coder->x2 = coder->x2 << 8 | 255;
    }
    return bit;
}

#endif
