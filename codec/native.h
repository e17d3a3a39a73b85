/* What every C file of the library shares: how a function is exported, and how the copies of a kernel are named. */

#ifndef DZ_NATIVE_H
#define DZ_NATIVE_H

#include <stdint.h>

#if defined(_WIN32)
#define DZ_EXPORT __declspec(dllexport)
#else
#define DZ_EXPORT __attribute__((visibility("default")))
#endif

/* DZ_KERNEL(dz_sum) is dz_sum_1, dz_sum_3 or dz_sum_4, after the level that a file named *.kernels.c is compiled for:
   x86-64, x86-64-v3 and x86-64-v4; on other processors it is always 1. */
#define DZ_JOIN_(name, level) name##_##level
#define DZ_JOIN(name, level) DZ_JOIN_(name, level)
#define DZ_KERNEL(name) DZ_JOIN(name, DZ_LEVEL)

#endif
