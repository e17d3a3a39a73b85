/* The window, the hash table and the search for the longest match, as in zlib and in zlib-ng.

   Places are those of the whole input; a place at or before the window's first one is what the coders call no match.
   The window is followed as the coder fills and moves it, for some of them lose a match where that happens. */

#include "deflate.h"

static uint32_t load_word(const Coder *c, uint32_t at) {
    uint32_t value = 0;
    if (c->size - at >= 4) {
        __builtin_memcpy(&value, c->raw + at, 4);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        value = __builtin_bswap32(value);
#endif
        return value;
    }
    for (uint32_t i = 0; at + i < c->size; i++) value |= (uint32_t)c->raw[at + i] << (8 * i);
    return value;
}

static uint32_t hash_of(const Coder *c, uint32_t at) {
    if (c->ng && !c->rolling) return (load_word(c, at) * 2654435761u) >> 16;
    const uint32_t word = load_word(c, at), mask = (1u << c->hash_bits) - 1;
    return ((word & 255) << 2 * c->hash_shift ^ (word >> 8 & 255) << c->hash_shift ^ (word >> 16 & 255)) & mask;
}

/* Puts a place into the table; the place before it in the chain. */
uint32_t dz_deflate_insert(Coder *c, uint32_t at) {
    if (at >= c->size) return c->base;
    const uint32_t hash = hash_of(c, at), head = c->head[hash];
    if (head != at) {
        c->prev[at & (c->window - 1)] = head;
        c->head[hash] = at;
    }
    return head;
}

void dz_deflate_insert_all(Coder *c, uint32_t at, uint32_t end) {
    for (; at < end; at++) dz_deflate_insert(c, at);
}

/* One filling of the window within a call that hands in data up to `fed`. */
static void fill_window(Coder *c) {
    do {
        const uint32_t limit = c->window - MIN_LOOKAHEAD;
        if (c->at - c->base >= c->window + limit) c->base += c->window;
        if (c->loaded == c->fed) return;
        const uint32_t room = 2 * c->window - (c->loaded - c->base), left = c->fed - c->loaded;
        c->loaded += left < room ? left : room;
        if (c->ng && !c->rolling && c->loaded - c->at >= MIN_MATCH && c->at > c->base) dz_deflate_insert(c, c->at - 1);
    } while (c->loaded - c->at < MIN_LOOKAHEAD);
}

/* Loads more of the input where the coder would, over as many calls as it takes; whether it had to. */
int dz_deflate_fill(Coder *c) {
    if (c->loaded - c->at >= MIN_LOOKAHEAD) return 0;
    for (;;) {
        fill_window(c);
        if (c->loaded - c->at >= MIN_LOOKAHEAD || c->fed == c->size) return 1;
        c->fed += c->feed && c->size - c->fed > c->feed ? c->feed : c->size - c->fed;
    }
}

/* What a full flush does: no match reaches over it. */
void dz_deflate_forget(Coder *c) {
    __builtin_memset(c->head, 0, sizeof c->head);
    c->base = c->at;
    c->have_carried = 0;
}

/* How many bytes are the same at two places, up to the longest match or the end of the input; a < b. */
uint32_t dz_deflate_equal(const Coder *c, uint32_t a, uint32_t b) {
    const uint32_t most = c->size - b < MAX_MATCH ? c->size - b : MAX_MATCH;
    const uint8_t *x = c->raw + a, *y = c->raw + b;
    uint32_t length = 0;
    while (length + 8 <= most) {
        uint64_t p, q;
        __builtin_memcpy(&p, x + length, 8);
        __builtin_memcpy(&q, y + length, 8);
        if (p != q) break;
        length += 8;
    }
    while (length < most && x[length] == y[length]) length++;
    return length;
}

static uint32_t first_allowed(const Coder *c, uint32_t at) {
    const uint32_t most = c->window - MIN_LOOKAHEAD;
    return at - c->base > most ? at - most : c->base;
}

/* zlib's search: the length of the longest match, or `previous` if there is none longer. */
uint32_t dz_deflate_longest(const Coder *c, uint32_t at, uint32_t candidate, uint32_t previous, uint32_t *start) {
    const uint8_t *scan = c->raw + at;
    const uint32_t look = c->loaded - at, limit = first_allowed(c, at), mask = c->window - 1;
    const uint32_t nice = c->nice < look ? c->nice : look;
    uint32_t chain = previous >= c->good ? c->chain >> 2 : c->chain, best = previous;
    if (best >= look) return look;
    do {
        if (candidate >= at) break;
        const uint8_t *match = c->raw + candidate;
        if (match[best] == scan[best] && match[best - 1] == scan[best - 1] && match[0] == scan[0] &&
            match[1] == scan[1]) {
            uint32_t length = dz_deflate_equal(c, candidate, at);
            if (length > look) length = look;
            if (length > best) {
                *start = candidate;
                best = length;
                if (length >= nice) break;
            }
        }
        candidate = c->prev[candidate & mask];
    } while (candidate > limit && --chain);
    return best;
}

static int same(const uint8_t *x, const uint8_t *y, uint32_t wide) {
    uint64_t a = 0, b = 0;
    if (wide == 2) {
        __builtin_memcpy(&a, x, 2);
        __builtin_memcpy(&b, y, 2);
    } else if (wide == 4) {
        __builtin_memcpy(&a, x, 4);
        __builtin_memcpy(&b, y, 4);
    } else {
        __builtin_memcpy(&a, x, 8);
        __builtin_memcpy(&b, y, 8);
    }
    return a == b;
}

/* zlib-ng looks at 2, 4 or 8 bytes at both ends before it compares; the match may have best + 1 bytes. */
static inline int may_grow(const Coder *c, uint32_t match, uint32_t at, uint32_t best) {
    const uint32_t wide = best < 4 ? 2 : best < 8 ? 4 : 8;
    const uint8_t *x = c->raw + match, *y = c->raw + at;
    return same(x + best + 1 - wide, y + best + 1 - wide, wide) && same(x, y, wide);
}

/* zlib-ng's search. `look` is what it believes to lie ahead. */
uint32_t dz_deflate_longest_ng(
    const Coder *c, uint32_t at, uint32_t look, uint32_t candidate, uint32_t previous, uint32_t *start) {
    const uint32_t limit = first_allowed(c, at), mask = c->window - 1, left = c->size - at;
    uint32_t best = previous ? previous : 2, chain = best >= c->good ? c->chain >> 2 : c->chain;
    if (look > left) look = left;
    while (candidate < at && best < look) {
        if (may_grow(c, candidate, at, best)) {
            const uint32_t length = dz_deflate_equal(c, candidate, at);
            if (length > best) {
                *start = candidate;
                if (length >= look) return look;
                if (length >= c->nice) return length;
                best = length;
            } else if (c->early) {
                break;
            }
        }
        if (!--chain) break;
        candidate = c->prev[candidate & mask];
        if (candidate <= limit) break;
    }
    return best;
}

static uint32_t clamped(const Coder *c, uint32_t place) { return place > c->base ? place : c->base; }

/* zlib-ng's search at level 9, which changes to the chain of a later byte of the match where that reaches further. */
uint32_t dz_deflate_longest_rolling(
    const Coder *c, uint32_t at, uint32_t candidate, uint32_t previous, uint32_t *start) {
    const uint32_t limit_base = first_allowed(c, at), mask = c->window - 1, look = c->loaded - at;
    uint32_t best = previous ? previous : 2, chain = best >= c->good ? c->chain >> 2 : c->chain;
    uint32_t limit = limit_base, offset = 0;
    if (best >= look) return look;
    if (best >= MIN_MATCH) {
        for (uint32_t i = 3; i <= best; i++) {
            const uint32_t place = clamped(c, c->head[hash_of(c, at + i - 2)]);
            if (place < candidate) {
                offset = i - 2;
                candidate = place;
            }
        }
        limit = limit_base + offset;
        if (candidate <= limit) return best;
    }
    while (candidate < at) {
        if (may_grow(c, candidate - offset, at, best)) {
            const uint32_t begin = candidate - offset;
            uint32_t length = dz_deflate_equal(c, begin, at);
            if (length > best) {
                *start = begin;
                if (length >= look) return look;
                if (length >= c->nice) return length;
                best = length;
                if (length > MIN_MATCH && begin + length < at) {
                    uint32_t further = begin;
                    offset = 0;
                    for (uint32_t i = 0; i <= length - MIN_MATCH; i++) {
                        const uint32_t place = clamped(c, c->prev[(begin + i) & mask]);
                        if (place < further) {
                            if (place <= limit_base + i) return best;
                            further = place;
                            offset = i;
                        }
                    }
                    candidate = further;
                    const uint32_t place = clamped(c, c->head[hash_of(c, at + length - 4)]);
                    if (place < candidate) {
                        offset = length - 4;
                        if (place <= limit_base + offset) return best;
                        candidate = place;
                    }
                    limit = limit_base + offset;
                    continue;
                }
            }
        }
        if (!--chain) break;
        candidate = c->prev[candidate & mask];
        if (candidate <= limit) break;
    }
    return best;
}
