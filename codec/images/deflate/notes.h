/* Notes of tokens, in their order: a number gap << 2 | kind, with as many tokens right since the last note. Kind 0: a
   literal; 1: a match, length - 3 in a byte and its distance; 2: a match of the distance that was guessed, length - 3 in a
   byte. Notes of blocks: a number of right blocks since the last note, and a byte of the flags below with what they call
   for. Numbers are seven bits a byte, the lowest first. */

#ifndef DZ_DEFLATE_NOTES_H
#define DZ_DEFLATE_NOTES_H

#include "deflate.h"

/* What a note on a block tells: its number of tokens, or of bytes if it is stored; that it is the last one, or is not, other
   than it seemed; its kind, from B_TYPE on; its trees; the bits before a stored block. */
enum { B_COUNT = 1, B_LAST = 2, B_TYPE = 4, B_HEADER = 16, B_PADDING = 32 };

typedef struct {
    uint8_t *data;
    uint64_t room, at;
    int full;
} Notes;

static inline void put_byte(Notes *n, uint32_t value) {
    if (n->at == n->room) {
        n->full = 1;
        return;
    }
    n->data[n->at++] = (uint8_t)value;
}

static inline void put_number(Notes *n, uint64_t value) {
    for (; value > 127; value >>= 7) put_byte(n, (uint32_t)(value & 127) | 128);
    put_byte(n, (uint32_t)value);
}

static inline uint32_t get_byte(Notes *n) {
    if (n->at == n->room) {
        n->full = 1;
        return 0;
    }
    return n->data[n->at++];
}

static inline uint64_t get_number(Notes *n) {
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 42; shift += 7) {
        const uint32_t byte = get_byte(n);
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    n->full = 1;
    return 0;
}

static inline void copy_bits(Writer *out, Reader *in) {
    while (in->at < in->bits) {
        const uint32_t take = in->bits - in->at < 16 ? (uint32_t)(in->bits - in->at) : 16;
        dz_bits_put(out, dz_bits_take(in, take), take);
    }
}

static inline void start_block(Coder *c) {
    __builtin_memset(c->frequencies, 0, sizeof c->frequencies);
    __builtin_memset(c->distance_frequencies, 0, sizeof c->distance_frequencies);
    c->block_start = c->at;
    c->tokens = c->flush = 0;
}

/* Whether the coder would end its block here, for its buffer is full. */
static inline int is_full(const Coder *c) { return c->flush && !c->run; }

/* Whether the coder would end its block here; `literal`: that was the last token. The lazy coders write a literal at the
   very end after they have looked whether their buffer is full. */
static inline int would_end(const Coder *c, int literal, int *last) {
    const int lazy = c->family == SLOW || c->family == NG_SLOW;
    *last = c->at == c->size && !(is_full(c) && !(lazy && literal));
    return is_full(c) || c->at == c->size;
}

/* Follows the coder through a stored block of so many bytes: what it would have written is taken for right. `ended` is
   set to the number of tokens after which it would have ended the block. */
static inline void follow_stored(Coder *c, uint32_t length, uint32_t *ended, int *literal) {
    const uint32_t end = c->at + length;
    int last;
    *literal = 0;
    if (would_end(c, 0, &last)) *ended = 0;
    if (c->family == STORE) {
        c->at = end;
        return;
    }
    if (!length && c->stored_length) dz_deflate_forget(c);
    while (c->at < end) {
        const Token guess = dz_deflate_predict(c);
        const Token taken = guess.length <= end - c->at ? guess : (Token){1, 0};
        dz_deflate_commit(c, guess, taken);
        *literal = !taken.distance;
        if (*ended == NO_LIMIT && would_end(c, *literal, &last)) *ended = c->tokens;
    }
}

#endif
