/* The floating-point environment of exact arithmetic: round to nearest, and subnormal numbers as they are.

   A program that embeds us may have set another rounding mode, or that subnormal numbers count as zero. An exported
   function that computes with floats calls another one, which is not inlined, between `fp_enter` and `fp_leave`. */

#ifndef DZ_FPENV_H
#define DZ_FPENV_H

#include <stdint.h>

#define FP_APART __attribute__((noinline))

#if defined(__x86_64__)
static inline uint64_t fp_enter(void) {
    uint32_t before, exact = 0x1F80; /* as a process begins: to nearest, no traps, nothing flushed */
    __asm__ volatile("stmxcsr %0" : "=m"(before) : : "memory");
    __asm__ volatile("ldmxcsr %0" : : "m"(exact) : "memory");
    return before;
}
static inline void fp_leave(uint64_t before) {
    uint32_t word = (uint32_t)before;
    __asm__ volatile("ldmxcsr %0" : : "m"(word) : "memory");
}
#elif defined(__aarch64__)
static inline uint64_t fp_enter(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before) : : "memory");
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0) : "memory");
    return before;
}
static inline void fp_leave(uint64_t before) { __asm__ volatile("msr fpcr, %0" : : "r"(before) : "memory"); }
#else
static inline uint64_t fp_enter(void) { return 0; }
static inline void fp_leave(uint64_t before) { (void)before; }
#endif

#endif
