/* What the programs of this folder share: random numbers, and memory of exactly the size that is asked for. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed;

static uint64_t random_word(void) { /* splitmix64 */
    uint64_t z = (seed += 0x9E3779B97F4A7C15ULL);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return z ^ z >> 31;
}

static uint32_t random_below(uint32_t end) { return (uint32_t)(random_word() >> 32) % end; }

static void *room(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory)
        exit(3);
    return memory;
}
