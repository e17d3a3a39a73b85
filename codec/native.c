/* What codec/native.py asks the library first: which build it is, and what this processor can do. */

#include "native.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Counts the changes of what the exported functions take and give back. */
#define DZ_ABI 1

/* The number of the interface between this library and the Python files. */
DZ_EXPORT int dz_abi(void) { return DZ_ABI; }

/* CRC-32 of the sources that the library was compiled from, as native/build.py computes it. */
DZ_EXPORT uint32_t dz_sources(void) { return DZ_SOURCES; }

/* The highest level of kernels that this processor and its operating system can run: 1, 3 or 4. */
DZ_EXPORT int dz_level(void) {
#if defined(__x86_64__)
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 1;
    /* FMA, MOVBE, OSXSAVE, AVX, F16C */
    const unsigned first = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;
    if ((c & first) != first) return 1;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) != 6) return 1; /* the system does not save the AVX registers */
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 1;
    const unsigned features = b, v3 = 1u << 3 | 1u << 5 | 1u << 8; /* BMI1, AVX2, BMI2 */
    if ((features & v3) != v3) return 1;
    if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !(c & 1u << 5)) return 1; /* LZCNT */
    const unsigned v4 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* AVX-512 F, DQ, CD, BW, VL */
    return (features & v4) == v4 && (low & 0xE0) == 0xE0 ? 4 : 3;
#else
    return 1;
#endif
}

/* Set this thread's arithmetic to what IEEE 754 says, for what is computed outside the library, and undo it. */
DZ_EXPORT uint64_t dz_ieee_begin(void) { return ieee_mode(); }
DZ_EXPORT void dz_ieee_end(uint64_t mode) { restore_mode((Mode)mode); }
