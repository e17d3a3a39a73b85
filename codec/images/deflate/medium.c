/* The choice of tokens of zlib-ng at levels 3 to 6: a match is taken together with a glance at the one behind it. */

#include "deflate.h"

#define LEAST 4u

static Match best_match(const Coder *c, uint32_t at, uint32_t candidate) {
    Match found = {0, 1, at, at};
    if (candidate > c->base && candidate < at && at - candidate <= c->window - MIN_LOOKAHEAD) {
        uint32_t start = at;
        const uint32_t length = dz_deflate_longest_ng(c, at, c->loaded - c->at, candidate, 0, &start);
        if (length >= LEAST && start < at) {
            found.start = start;
            found.length = length;
        }
    }
    return found;
}

static void insert_match(Coder *c, Match m) {
    uint32_t at = m.at, length = m.length;
    if (length < LEAST) {
        if (length < 2) return;
        at++;
        length--;
        if (at >= m.first) dz_deflate_insert_all(c, at, at + length);
        return;
    }
    if (length <= 16 * c->lazy && c->loaded - c->at >= LEAST) {
        at++;
        length--;
        const uint32_t from = at >= m.first ? at : m.first;
        if (from < at + length) dz_deflate_insert_all(c, from, at + length);
    } else {
        dz_deflate_insert(c, at + length - 1);
    }
}

/* Where the next match can begin earlier, so that all but one byte of the present one is part of it, it does. */
static void merge(const Coder *c, Match *current, Match *next) {
    const uint8_t *raw = c->raw;
    if (raw[next->start - (current->length - 1)] != raw[next->at - (current->length - 1)]) return;
    Match a = *current, b = *next;
    const uint32_t most = c->window - MIN_LOOKAHEAD;
    const uint32_t limit = b.at - c->base > most ? b.at - most : c->base;
    int changed = 0;
    while (b.start > c->base + 1 && a.length >= 1 && b.at > limit && b.length < 256 && raw[b.start - 1] == raw[b.at - 1]) {
        b.at--;
        b.start--;
        b.length++;
        a.length--;
        changed = 1;
    }
    if (!changed || a.length > 1 || b.length == 2) return;
    b.first++;
    *current = a;
    *next = b;
}

/* One round of the coder: sets `match`, and `following` if it knows one. */
static void round_of(Coder *c) {
    if (dz_deflate_fill(c)) c->following.length = 0;
    const uint32_t look = c->loaded - c->at;
    if (!c->early && c->following.length) {
        c->match = c->following;
        c->following.length = 0;
    } else {
        const uint32_t candidate = look >= LEAST ? dz_deflate_insert(c, c->at) : c->base;
        c->match = best_match(c, c->at, candidate);
    }
    if (look > c->match.length + LEAST) insert_match(c, c->match);
    const uint32_t end = c->match.at + c->match.length;
    if (!c->early && look > MIN_LOOKAHEAD && end - c->base < 2 * c->window - MIN_LOOKAHEAD && end < c->size) {
        c->following = best_match(c, end, dz_deflate_insert(c, end));
        const uint32_t more = c->match.length - 1;
        if (more && c->following.length >= LEAST && more <= c->following.start - c->base && more <= end - c->base) {
            merge(c, &c->match, &c->following);
        }
    } else {
        c->following.length = 0;
    }
}

Token dz_deflate_medium(Coder *c) {
    if (!c->run) {
        /* a round that gives nothing leaves its bytes to the next one, which has them at its start */
        do {
            round_of(c);
        } while (!c->match.length);
        if (c->match.length >= LEAST) return (Token){c->match.length, c->match.at - c->match.start};
        c->run = c->match.length;
    }
    return (Token){1, 0};
}

void dz_deflate_medium_commit(Coder *c, Token predicted, Token actual) {
    if (predicted.length == actual.length && predicted.distance == actual.distance) {
        if (!actual.distance) c->run--;
    } else {
        c->run = c->following.length = 0;
        if (actual.distance) dz_deflate_insert_all(c, c->at + 1, c->at + actual.length);
    }
    c->at += actual.length;
}
