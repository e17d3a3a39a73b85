/* The arithmetic of rans.Message: one loop over the lanes, for messages on the CPU; and checks of numbers.

   rans.py has the same arithmetic in operations of torch, for other devices; the bits are the same. Heads are in
   [2^31, 2^63), so all integers here are positive where intervals are sound. */

#include "../native.h"

enum { WORD = 32, HEAD_BITS = 63, MOST_PRECISION = 31, DIVIDED_AT_ONCE = 14, MANTISSA = 52 };

#define LEAST (1ULL << 31)

/* The sign bit is set where [start, start + freq) is no interval of 2^precision. */
static inline int64_t no_interval(int64_t start, int64_t freq, int64_t end) {
    uint64_t s = (uint64_t)start, f = (uint64_t)freq, e = (uint64_t)end;
    return (int64_t)(s | (f - 1) | (e - f) | (e - s - f));
}

static inline double number_of(uint64_t bits) {
    double x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t bits_of(double x) {
    uint64_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* An integer below 2^52 as a number, and a number back, rounded to nearest; in vectors, for which processors lack the
   conversions. */
static inline double to_number(uint64_t integer) {
    return number_of(integer | 1075ULL << MANTISSA) - 4503599627370496.0;
}
static inline uint64_t to_integer(double x) { return bits_of(x + 4503599627370496.0) & ((1ULL << MANTISSA) - 1); }

/* x * y for y below 2^32. */
static inline uint64_t times(uint64_t x, uint64_t y) {
    y &= 0xFFFFFFFF;
    return (x & 0xFFFFFFFF) * y + ((x >> WORD) * y << WORD);
}

/* The quotient of x by count, which is nearest to that of `near` and below 2^50; the rest of x is what is left in it.
   A quotient of floats is off by less than 1/4 then, and rounded to nearest it is the right one or one more. */
static inline uint64_t quotient_of(uint64_t *x, double near, uint64_t count) {
    uint64_t quotient = to_integer(near / to_number(count));
    int64_t rest = (int64_t)(*x - times(quotient, count));
    uint64_t above = (uint64_t)(rest >> 63); /* all ones where the quotient is one too much */
    *x = (uint64_t)rest + (above & count);
    return quotient + above;
}

/* Put a symbol on every head: h becomes (h / freq) * 2^precision + h mod freq + start. The quotient is below
   2^(63 - precision). */
static __attribute__((noinline)) void divide(int64_t lanes, int64_t *restrict head, const int64_t *restrict start,
                                             const int64_t *restrict freq, int64_t precision) {
    for (int64_t i = 0; i < lanes; i++) {
        uint64_t state = (uint64_t)head[i], count = (uint64_t)freq[i];
        double near = to_number(state >> WORD) * 4294967296.0 + to_number(state & 0xFFFFFFFF);
        uint64_t quotient = quotient_of(&state, near, count);
        head[i] = (int64_t)((quotient << precision) + state + (uint64_t)start[i]);
    }
}

/* The same for precisions below 14, in two steps: quotients are larger, but freq is small. */
static __attribute__((noinline)) void divide_twice(int64_t lanes, int64_t *restrict head, const int64_t *restrict start,
                                                   const int64_t *restrict freq, int64_t precision) {
    for (int64_t i = 0; i < lanes; i++) {
        uint64_t upper = (uint64_t)head[i] >> WORD, count = (uint64_t)freq[i];
        uint64_t first = quotient_of(&upper, to_number(upper), count);
        uint64_t lower = upper << WORD | ((uint64_t)head[i] & 0xFFFFFFFF);
        uint64_t second = quotient_of(&lower, to_number(lower), count);
        head[i] = (int64_t)((((first << WORD) + second) << precision) + lower + (uint64_t)start[i]);
    }
}

/* The first lane whose start and freq are no interval of 2^precision, or -1. */
DZ_EXPORT int64_t DZ_KERNEL(dz_first_no_interval)(int64_t lanes, const int64_t *start, const int64_t *freq,
                                                  int64_t precision) {
    for (int64_t i = 0; i < lanes; i++)
        if (no_interval(start[i], freq[i], 1LL << precision) < 0)
            return i;
    return -1;
}

/* Push a symbol on every lane; words that leave the heads go to words[size:], which has room for `room` words in all.
   Returns the new size; or -1 where some start and freq are no interval, or there is not room for a word of each lane;
   then nothing has changed. */
DZ_EXPORT int64_t DZ_KERNEL(dz_push)(int64_t lanes, int64_t *restrict head, const int64_t *restrict start,
                                     const int64_t *restrict freq, int64_t precision, int32_t *restrict words,
                                     int64_t size, int64_t room) {
    int64_t wrong = 0;
    if (lanes < 0 || size < 0 || size > room - lanes || precision < 0 || precision > MOST_PRECISION)
        return -1;
    for (int64_t i = 0; i < lanes; i++) /* without an exit, so that it runs in vectors */
        wrong |= no_interval(start[i], freq[i], 1LL << precision);
    if (wrong < 0)
        return -1;
    for (int64_t i = 0; i < lanes; i++) {
        uint64_t state = (uint64_t)head[i];
        int full = state >> (HEAD_BITS - precision) >= (uint64_t)freq[i]; /* or the head would grow beyond its bits */
        words[size] = (int32_t)(uint32_t)state;                           /* stays where the head is full */
        size += full;
        head[i] = (int64_t)(full ? state >> WORD : state);
    }
    const Mode mode = ieee_mode();
    if (precision < DIVIDED_AT_ONCE)
        divide_twice(lanes, head, start, freq, precision);
    else
        divide(lanes, head, start, freq, precision);
    restore_mode(mode);
    return size;
}

/* The first lane whose slot is not in its interval, or -1. */
DZ_EXPORT int64_t DZ_KERNEL(dz_first_outside)(int64_t lanes, const int64_t *head, const int64_t *start,
                                              const int64_t *freq, int64_t precision) {
    for (int64_t i = 0; i < lanes; i++) {
        int64_t slot = head[i] & ((1LL << precision) - 1);
        if (slot < start[i] || freq[i] < 1 || (uint64_t)slot - (uint64_t)start[i] >= (uint64_t)freq[i])
            return i;
    }
    return -1;
}

/* Words that a pop takes, or -1 where some start and freq are no interval, or do not hold their slot. */
static inline int64_t words_of_pop(int64_t lanes, const int64_t *restrict head, const int64_t *restrict start,
                                   const int64_t *restrict freq, int64_t precision) {
    int64_t wrong = 0, lasting = 0, end = 1LL << precision;
    for (int64_t i = 0; i < lanes; i++) { /* without an exit, so that it runs in vectors */
        uint64_t state = (uint64_t)head[i];
        uint64_t offset = (state & (uint64_t)(end - 1)) - (uint64_t)start[i];
        wrong |= no_interval(start[i], freq[i], end);
        wrong |= (int64_t)(offset | ((uint64_t)freq[i] - 1 - offset));
        lasting += (times(state >> precision, (uint64_t)freq[i]) + offset) >> 31 != 0;
    }
    return wrong < 0 ? -1 : lanes - lasting;
}

DZ_EXPORT int64_t DZ_KERNEL(dz_words_of_pop)(int64_t lanes, const int64_t *head, const int64_t *start,
                                             const int64_t *freq, int64_t precision) {
    return words_of_pop(lanes, head, start, freq, precision);
}

/* Pop a symbol from every lane; words that the heads need are the last of the `size` ones. Returns how many are left;
   or -1 where some start and freq are no interval or do not hold their slot, or -2 where there are too few words; then
   nothing has changed. */
DZ_EXPORT int64_t DZ_KERNEL(dz_pop)(int64_t lanes, int64_t *restrict head, const int64_t *restrict start,
                                    const int64_t *restrict freq, int64_t precision, const int32_t *restrict words,
                                    int64_t size) {
    if (precision < 0 || precision > MOST_PRECISION)
        return -1;
    int64_t count = words_of_pop(lanes, head, start, freq, precision);
    if (count < 0)
        return -1;
    if (count > size)
        return -2;
    const uint64_t mask = (1ULL << precision) - 1;
    for (int64_t i = 0; i < lanes; i++) {
        uint64_t state = (uint64_t)head[i];
        head[i] = (int64_t)(times(state >> precision, (uint64_t)freq[i]) + (state & mask) - (uint64_t)start[i]);
    }
    if (count == 0)
        return size;
    int64_t next = size - count;
    for (int64_t i = 0; i < lanes; i++) { /* without branches, which nobody could foretell */
        uint64_t state = (uint64_t)head[i];
        uint64_t longer = state << WORD | (uint32_t)words[next < size ? next : size - 1];
        int few = state < LEAST;
        head[i] = (int64_t)(few ? longer : state);
        next += few;
    }
    return size - count;
}

/* The first place of n numbers that holds no finite one, or -1; with `positive` also one that is below 2^-1022. */
DZ_EXPORT int64_t DZ_KERNEL(dz_first_unsound)(int64_t n, const int64_t *bits, int64_t positive) {
    /* As integers: the bits of all sound numbers, without the sign where it does not matter, are in one interval. */
    const uint64_t sign = positive ? 0 : 1ULL << 63, low = positive ? 1ULL << MANTISSA : 0;
    const uint64_t width = (2047ULL << MANTISSA) - low;
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; i++)
        wrong += ((uint64_t)bits[i] & ~sign) - low >= width;
    for (int64_t i = 0; wrong && i < n; i++)
        if (((uint64_t)bits[i] & ~sign) - low >= width)
            return i;
    return -1;
}
