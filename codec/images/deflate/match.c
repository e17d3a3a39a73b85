/* Which token the imitated coder would write next, given those that it has written.

   The caller compares it with the token that stands in the stream, and tells us that one: so a wrong guess costs one
   correction and leads no later guess astray. */

#include "deflate.h"

/* Good, lazy, nice and chain, from level 1 on. */
static const uint16_t ZLIB[9][4] = {
    {4, 4, 8, 4},      {4, 5, 16, 8},     {4, 6, 32, 32},     {4, 4, 16, 16},     {8, 16, 32, 32},
    {8, 16, 128, 128}, {8, 32, 128, 256}, {32, 128, 258, 1024}, {32, 258, 258, 4096},
};
static const uint16_t NG[9][4] = {
    {0, 0, 0, 0},      {4, 4, 8, 4},      {4, 6, 16, 6},      {4, 12, 32, 24},    {8, 16, 32, 32},
    {8, 16, 128, 128}, {8, 32, 128, 256}, {32, 128, 258, 1024}, {32, 258, 258, 4096},
};
static const uint8_t NG_FAMILIES[9] = {
    NG_QUICK, NG_FAST, NG_MEDIUM, NG_MEDIUM, NG_MEDIUM, NG_MEDIUM, NG_SLOW, NG_SLOW, NG_SLOW,
};

enum { DEFAULT, FILTERED, HUFFMAN_ONLY, RLE, FIXED };

/* A match of three bytes further off than this is worth less than three literals, says zlib. */
#define TOO_FAR 4096
/* zlib-ng takes no match shorter than this but at levels 7 to 9. */
#define NG_MIN_MATCH 4u

static const Token LITERAL = {1, 0};

int dz_deflate_start(Coder *c, const uint8_t *raw, uint32_t size, const uint32_t *method) {
    const uint32_t library = method[M_LIBRARY], level = method[M_LEVEL], strategy = method[M_STRATEGY];
    const uint32_t window = method[M_WINDOW], memory = method[M_MEMORY];
    if (library > LIBRARY_NG || level < 1 || level > 9 || strategy > FIXED || window < 9 || window > 15) return E_METHOD;
    if (memory < 1 || memory > 9 || size > 0x7fffffffu) return E_METHOD;
    __builtin_memset(c, 0, sizeof *c);
    c->raw = raw;
    c->size = size;
    c->feed = method[M_FEED];
    c->stored_length = method[M_STORED];
    c->window = 1u << window;
    c->fed = c->feed && c->feed < size ? c->feed : size;
    c->ng = library == LIBRARY_NG;
    const uint16_t *numbers = c->ng ? NG[level - 1] : ZLIB[level - 1];
    c->good = numbers[0];
    c->lazy = numbers[1];
    c->nice = numbers[2];
    c->chain = numbers[3];
    c->rolling = c->ng && c->chain > 1024;
    c->early = c->ng && level < 5;
    c->filtered = strategy == FILTERED;
    c->fixed = strategy == FIXED;
    c->limit = (1u << (memory + 6)) - 1;
    c->hash_bits = c->ng ? 15 : memory + 7;
    c->hash_shift = (c->hash_bits + 2) / 3;
    if (library == LIBRARY_STORE) {
        c->family = STORE;
    } else if (strategy == HUFFMAN_ONLY) {
        c->family = HUFFMAN;
    } else if (strategy == RLE) {
        c->family = RUNS;
    } else {
        c->family = c->ng ? NG_FAMILIES[level - 1] : level < 4 ? FAST : SLOW;
    }
    if (c->family == NG_QUICK) c->limit = NO_LIMIT;
    return OK;
}

static int within(const Coder *c, uint32_t at, uint32_t candidate) {
    return candidate > c->base && candidate < at && at - candidate <= c->window - MIN_LOOKAHEAD;
}

/* The match at a place for the coders that look at the next one too before they take it. */
static Token search_lazily(Coder *c, uint32_t at, uint32_t previous) {
    Token found = {2, 0};
    const uint32_t look = c->loaded - at;
    if (look < (c->ng ? NG_MIN_MATCH : MIN_MATCH)) return found;
    if (at >= c->inserted) {
        dz_deflate_insert(c, at);
        c->inserted = at + 1;
    }
    const uint32_t candidate = c->prev[at & (c->window - 1)];
    if (previous >= c->lazy || !within(c, at, candidate)) return found;
    uint32_t start = at;
    if (!c->ng) {
        found.length = dz_deflate_longest(c, at, candidate, previous, &start);
    } else if (c->rolling) {
        found.length = dz_deflate_longest_rolling(c, at, candidate, previous, &start);
    } else {
        found.length = dz_deflate_longest_ng(c, at, look, candidate, previous, &start);
    }
    found.distance = at - start;
    if (found.length <= 5 && c->filtered) found.length = 2;
    if (!c->ng && found.length == MIN_MATCH && found.distance > TOO_FAR) found.length = 2;
    return found;
}

static Token predict_slow(Coder *c) {
    dz_deflate_fill(c);
    if (!c->have_carried) c->carried = search_lazily(c, c->at, 2);
    c->have_carried = c->have_next = 0;
    if (c->carried.length < MIN_MATCH || !c->carried.distance) return LITERAL;
    /* the coder goes on to the next byte, and may fill its window there */
    c->at++;
    dz_deflate_fill(c);
    if (c->at < c->size) {
        c->next = search_lazily(c, c->at, c->carried.length);
        c->have_next = c->next.length > c->carried.length && c->next.distance;
    }
    c->at--;
    return c->have_next ? LITERAL : c->carried;
}

static void commit_slow(Coder *c, Token predicted, Token actual) {
    const uint32_t end = c->at + actual.length;
    if (actual.distance) {
        const uint32_t last = c->loaded >= MIN_MATCH - 1 ? c->loaded - (MIN_MATCH - 1) : 0;
        const uint32_t stop = end < last ? end : last;
        if (c->inserted < c->at + 1) c->inserted = c->at + 1;
        if (stop > c->inserted) dz_deflate_insert_all(c, c->inserted, stop);
        c->inserted = end;
    } else if (c->have_next && !predicted.distance) {
        c->carried = c->next;
        c->have_carried = 1;
    }
    c->at = end;
}

static Token predict_fast(Coder *c) {
    dz_deflate_fill(c);
    const uint32_t look = c->loaded - c->at, least = c->ng ? NG_MIN_MATCH : MIN_MATCH;
    if (look < least) return LITERAL;
    const uint32_t candidate = dz_deflate_insert(c, c->at);
    if (!within(c, c->at, candidate)) return LITERAL;
    uint32_t start = c->at;
    const uint32_t length = c->ng ? dz_deflate_longest_ng(c, c->at, look, candidate, 0, &start)
                                  : dz_deflate_longest(c, c->at, candidate, 2, &start);
    if (length < least || start == c->at) return LITERAL;
    return (Token){length, c->at - start};
}

static void commit_fast(Coder *c, Token actual) {
    const uint32_t end = c->at + actual.length;
    if (actual.distance) {
        const uint32_t left = c->loaded > end ? c->loaded - end : 0;
        if (actual.length <= c->lazy && left >= (c->ng ? NG_MIN_MATCH : MIN_MATCH)) {
            dz_deflate_insert_all(c, c->at + 1, end);
        } else if (c->ng) {
            dz_deflate_insert(c, end - 1);
        }
    }
    c->at = end;
}

static Token predict_quick(Coder *c) {
    dz_deflate_fill(c);
    const uint32_t look = c->loaded - c->at;
    if (look < NG_MIN_MATCH) return LITERAL;
    uint32_t candidate = dz_deflate_insert(c, c->at);
    if (candidate < c->base) candidate = c->base;
    if (candidate >= c->at || c->at - candidate > c->window - MIN_LOOKAHEAD) return LITERAL;
    uint32_t length = dz_deflate_equal(c, candidate, c->at);
    if (length > look) length = look;
    return length < NG_MIN_MATCH ? LITERAL : (Token){length, c->at - candidate};
}

static Token predict_runs(Coder *c) {
    dz_deflate_fill(c);
    if (c->loaded - c->at < MIN_MATCH || c->at == c->base) return LITERAL;
    uint32_t length = dz_deflate_equal(c, c->at - 1, c->at);
    if (length > c->loaded - c->at) length = c->loaded - c->at;
    return length < MIN_MATCH ? LITERAL : (Token){length, 1};
}

Token dz_deflate_predict(Coder *c) {
    switch (c->family) {
    case FAST:
    case NG_FAST:
        return predict_fast(c);
    case SLOW:
    case NG_SLOW:
        return predict_slow(c);
    case RUNS:
        return predict_runs(c);
    case NG_QUICK:
        return predict_quick(c);
    case NG_MEDIUM:
        return dz_deflate_medium(c);
    default:
        dz_deflate_fill(c);
        return LITERAL;
    }
}

void dz_deflate_commit(Coder *c, Token predicted, Token actual) {
    uint32_t extra, value;
    if (actual.distance) {
        c->frequencies[dz_deflate_length_code(actual.length, &extra, &value)]++;
        c->distance_frequencies[dz_deflate_distance_code(actual.distance, &extra, &value)]++;
    } else {
        c->frequencies[c->raw[c->at]]++;
    }
    if (++c->tokens == c->limit) c->flush = 1;
    if (c->family == FAST || c->family == NG_FAST) {
        commit_fast(c, actual);
    } else if (c->family == SLOW || c->family == NG_SLOW) {
        commit_slow(c, predicted, actual);
    } else if (c->family == NG_MEDIUM) {
        dz_deflate_medium_commit(c, predicted, actual);
    } else {
        c->at += actual.length;
    }
}
