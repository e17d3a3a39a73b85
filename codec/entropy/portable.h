/* Exponentials and distribution functions in operations that IEEE 754 fixes: the functions of portable.py, with the
   same operations in the same order, one number at a time; loops over them become vectors. */

#ifndef DZ_PORTABLE_H
#define DZ_PORTABLE_H

#include <stdint.h>

#define INLINED static inline __attribute__((always_inline))

#define TWO_52 4503599627370496.0
#define TWO_52_BITS (1075LL << 52)
/* 1.5 * 2^52: a number of this size has an integer in its lowest bits. */
#define SHIFTER 6755399441055744.0
#define LN2_HIGH 0.693147180369123816490
#define LN2_LOW 1.90821492927058770002e-10

INLINED int64_t bits_of(double x) {
    int64_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINED double number_of(int64_t bits) {
    double x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

/* A number below 2^51 in amount, rounded down; by an instruction where all processors of the level have one. */
INLINED double rounded_down(double x) {
#if defined(__SSE4_1__) || defined(__aarch64__)
    return __builtin_floor(x);
#else
    double nearest = x + SHIFTER - SHIFTER;
    double excess = nearest > x ? 1.0 : 0.0;
    return nearest - excess;
#endif
}

/* An integer from 0 to 2^51 as a number; in vectors, for which processors lack the conversion. */
INLINED double small_float(int64_t integer) { return number_of(integer + TWO_52_BITS) - TWO_52; }

/* A number from 0 to 2^51, rounded down. */
INLINED int64_t small_integer(double x) { return bits_of(rounded_down(x) + TWO_52) & ((1LL << 52) - 1); }

INLINED double portable_exp(double x) {
    x = x < 700.0 ? x : 700.0;
    x = x > -700.0 ? x : -700.0;
    double shifted = rounded_down(x * 1.4426950408889634 + 0.5) + SHIFTER;
    double k = shifted - SHIFTER;
    double r = (x - k * LN2_HIGH) - k * LN2_LOW;
    double r2 = r * r;
    double r4 = r2 * r2;
    double low = (1.0 + r) + r2 * (0.5 + r * (1.0 / 6));
    double middle = (1.0 / 24 + r * (1.0 / 120)) + r2 * (1.0 / 720 + r * (1.0 / 5040));
    double high = (1.0 / 40320 + r * (1.0 / 362880)) + r2 * (1.0 / 3628800 + r * (1.0 / 39916800));
    double power = number_of((int64_t)((uint64_t)bits_of(shifted) << 52) + (1023LL << 52));
    return (low + r4 * (middle + r4 * high)) * power;
}

INLINED double portable_log(double x) {
    int64_t biased = (int64_t)((uint64_t)bits_of(x * 1.4142135623730951) >> 52);
    double power = number_of(biased + TWO_52_BITS) - (TWO_52 + 1023.0);
    double m = x * number_of((int64_t)((uint64_t)(2046 - biased) << 52)); /* in [sqrt(1/2), sqrt(2)) */
    double s = (m - 1.0) / (m + 1.0);
    double z = s * s;
    double series = 1.0 / 13 + z * (1.0 / 15 + z * (1.0 / 17 + z * (1.0 / 19 + z * (1.0 / 21))));
    series = 1.0 / 3 + z * (1.0 / 5 + z * (1.0 / 7 + z * (1.0 / 9 + z * (1.0 / 11 + z * series))));
    series = 1.0 + z * series;
    return power * LN2_HIGH + (2.0 * s * series + power * LN2_LOW);
}

INLINED double portable_sigmoid(double x) { return 1.0 / (1.0 + portable_exp(-x)); }

INLINED double portable_ndtr(double x) {
    double a = x < 0.0 ? -x : x;
    a = a < 37.0 ? a : 37.0;
    double p = 3.52624965998911e-02 * a + 0.700383064443688;
    p = p * a + 6.37396220353165;
    p = p * a + 33.912866078383;
    p = p * a + 112.079291497871;
    p = p * a + 221.213596169931;
    p = p * a + 220.206867912376;
    double q = 8.83883476483184e-02 * a + 1.75566716318264;
    q = q * a + 16.064177579207;
    q = q * a + 86.7807322029461;
    q = q * a + 296.564248779674;
    q = q * a + 637.333633378831;
    q = q * a + 793.826512519948;
    q = q * a + 440.413735824752;
    double tail = portable_exp(-0.5 * (a * a)) * (p / q), rest = 1.0 - tail;
    return x < 0.0 ? tail : rest;
}

/* The inverse of `portable_ndtr` to nine digits, for p in (0, 1/2]. */
INLINED double rough_ndtri(double p) {
    double q = __builtin_sqrt(-2.0 * portable_log(p));
    double tail = -7.784894002430293e-03 * q - 3.223964580411365e-01;
    tail = tail * q - 2.400758277161838e00;
    tail = tail * q - 2.549732539343734e00;
    tail = tail * q + 4.374664141464968e00;
    tail = tail * q + 2.938163982698783e00;
    double below = 7.784695709041462e-03 * q + 3.224671290700398e-01;
    below = below * q + 2.445134137142996e00;
    below = below * q + 3.754408661907416e00;
    double d = p - 0.5;
    double r = d * d;
    double centre = -3.969683028665376e01 * r + 2.209460984245205e02;
    centre = centre * r - 2.759285104469687e02;
    centre = centre * r + 1.383577518672690e02;
    centre = centre * r - 3.066479806614716e01;
    centre = centre * r + 2.506628277459239e00;
    double under = -5.447609879822406e01 * r + 1.615858368580409e02;
    under = under * r - 1.556989798598866e02;
    under = under * r + 6.680131188771972e01;
    under = under * r - 1.328068155288572e01;
    double outside = tail / (below * q + 1.0), inside = d * centre / (under * r + 1.0);
    return p < 0.02425 ? outside : inside;
}

INLINED double portable_ndtri(double p) {
    double rest = 1.0 - p;
    double lower = p < 0.5 ? p : rest;
    double x = rough_ndtri(lower);
    double step = (portable_ndtr(x) - lower) * 2.5066282746310002 * portable_exp(0.5 * (x * x));
    x = x - step / (1.0 + 0.5 * (x * step));
    double other = -x;
    return p < 0.5 ? x : other;
}

#endif
