/* The four functions of the C library that compilers call of their own accord, for a library that is linked to none.
   The empty assembly keeps a compiler from recognising each loop as the very function that it implements. */

#include <stddef.h>

#define LOCAL __attribute__((visibility("hidden")))

typedef long long Word __attribute__((vector_size(16), aligned(1), may_alias));

/* Copy n bytes between places that do not overlap. */
LOCAL void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    char *t = to;
    const char *f = from;
    for (; n >= sizeof(Word); n -= sizeof(Word), t += sizeof(Word), f += sizeof(Word)) {
        *(Word *)t = *(const Word *)f;
        __asm__ volatile("" ::: "memory");
    }
    for (; n > 0; n--) {
        *t++ = *f++;
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

/* Copy n bytes between places that may overlap. */
LOCAL void *memmove(void *to, const void *from, size_t n) {
    char *t = to;
    const char *f = from;
    if (t <= f || t >= f + n) {
        for (size_t i = 0; i < n; i++) {
            t[i] = f[i];
            __asm__ volatile("" ::: "memory");
        }
    } else {
        for (size_t i = n; i > 0; i--) {
            t[i - 1] = f[i - 1];
            __asm__ volatile("" ::: "memory");
        }
    }
    return to;
}

/* Fill n bytes with one value. */
LOCAL void *memset(void *to, int value, size_t n) {
    char *t = to;
    const Word word = (Word){} + (long long)(0x0101010101010101ull * (unsigned char)value);
    for (; n >= sizeof(Word); n -= sizeof(Word), t += sizeof(Word)) {
        *(Word *)t = word;
        __asm__ volatile("" ::: "memory");
    }
    for (; n > 0; n--) {
        *t++ = (char)value;
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

/* Compare n bytes: negative, zero or positive. */
LOCAL int memcmp(const void *left, const void *right, size_t n) {
    const unsigned char *l = left, *r = right;
    for (size_t i = 0; i < n; i++) {
        if (l[i] != r[i]) return l[i] - r[i];
        __asm__ volatile("" ::: "memory");
    }
    return 0;
}

/* What clang calls where only equality matters. */
LOCAL int bcmp(const void *left, const void *right, size_t n) {
    return memcmp(left, right, n);
}
