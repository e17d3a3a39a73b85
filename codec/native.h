/* What every C file of the library shares: how a function is exported, and how the copies of a kernel are named. */

#ifndef DZ_NATIVE_H
#define DZ_NATIVE_H

#include <stdint.h>

#if defined(_WIN32)
#define DZ_EXPORT __declspec(dllexport)
#else
#define DZ_EXPORT __attribute__((visibility("default")))
#endif

/* The processor's rounding mode and treatment of denormal numbers belong to the calling thread: set them to what IEEE
   754 says for the time of a call, and back. */
#if defined(__x86_64__)
typedef unsigned Mode;
static inline Mode ieee_mode(void) {
    const Mode before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x1F80);
    return before;
}
static inline void restore_mode(Mode mode) { __builtin_ia32_ldmxcsr(mode); }
#elif defined(__aarch64__)
typedef uint64_t Mode;
static inline Mode ieee_mode(void) {
    Mode before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"((Mode)0) : "memory");
    return before;
}
static inline void restore_mode(Mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory"); }
#else
typedef int Mode;
static inline Mode ieee_mode(void) { return 0; }
static inline void restore_mode(Mode mode) { (void)mode; }
#endif

/* DZ_KERNEL(dz_sum) is dz_sum_1, dz_sum_3 or dz_sum_4, after the level that a file named *.kernels.c is compiled for:
   x86-64, x86-64-v3 and x86-64-v4; on other processors it is always 1. */
#define DZ_JOIN_(name, level) name##_##level
#define DZ_JOIN(name, level) DZ_JOIN_(name, level)
#define DZ_KERNEL(name) DZ_JOIN(name, DZ_LEVEL)

#endif
