/* The parts of the deflate replay, and the state that they share. The caller gives the memory for it. */

#ifndef DZ_DEFLATE_H
#define DZ_DEFLATE_H

#include <stdint.h>

#include "../../native.h"

#define LITERALS 286
#define DISTANCES 30
#define LENGTHS 19
#define END_OF_BLOCK 256
#define MIN_MATCH 3u
#define MAX_MATCH 258u
#define MIN_LOOKAHEAD (MAX_MATCH + MIN_MATCH + 1)
#define HASH_SIZE 65536
#define MAX_WINDOW 32768
/* Bits of the longest description of two trees: 14 + 19 * 3 + 316 * (7 + 7), and a little more. */
#define HEADER_BYTES 640
#define NO_LIMIT 0xffffffffu

enum { STORED, STATIC, DYNAMIC };

/* How tokens are chosen. The first five are zlib's functions, the others those of zlib-ng. */
enum { STORE, FAST, SLOW, RUNS, HUFFMAN, NG_QUICK, NG_FAST, NG_MEDIUM, NG_SLOW };

/* What the caller says of the coder: an array of these many numbers. M_STORED is the most bytes of a block for a coder that
   only stores; for another one it says whether the coder forgets what it has seen where it writes an empty stored block. */
enum { M_LIBRARY, M_LEVEL, M_STRATEGY, M_WINDOW, M_MEMORY, M_FEED, M_STORED, M_COUNT };
enum { LIBRARY_STORE, LIBRARY_ZLIB, LIBRARY_NG };

enum { OK = 0, E_METHOD = -1, E_STREAM = -2, E_PATCH = -3, E_ROOM = -4, E_MEMORY = -5 };

typedef struct {
    uint32_t length, distance; /* a literal has length 1 and distance 0 */
} Token;

typedef struct {
    uint32_t start, length, at, first; /* where the copy lies, its length, where it goes, the first place to insert */
} Match;

typedef struct {
    uint32_t frequency, parent, bits, code;
} Node;

typedef struct {
    uint8_t lengths[LITERALS + 2], distances[DISTANCES + 2]; /* of codes, in bits */
    uint32_t literals_used, distances_used;
} Trees;

typedef struct {
    const uint8_t *data;
    uint64_t bits, at; /* how many there are, and the next one */
} Reader;

typedef struct {
    uint8_t *data;
    uint64_t room, at; /* in bits */
    int full;
} Writer;

typedef struct {
    const uint8_t *raw;
    uint32_t size;
    /* the method */
    uint32_t family, good, lazy, nice, chain, filtered, fixed, early, limit, window, hash_bits, hash_shift, ng, feed;
    uint32_t stored_length, rolling;
    /* the window, in places of `raw`: the next token, where the window begins, what is loaded, what was handed in */
    uint32_t at, base, loaded, fed;
    uint32_t inserted; /* places before this one are in the hash table, or never will be */
    uint32_t have_carried, have_next;
    Token carried, next;
    Match match, following;
    uint32_t run; /* literals still to come of a match that was given up */
    /* the block */
    uint32_t block_start, tokens, flush;
    uint32_t frequencies[LITERALS + 2], distance_frequencies[DISTANCES + 2];
    Node nodes[2 * LITERALS + 1];
    uint32_t heap[2 * LITERALS + 1];
    uint8_t depth[2 * LITERALS + 1];
    uint8_t header[HEADER_BYTES];
    uint16_t literal_table[1 << 15], distance_table[1 << 15];
    uint32_t literal_codes[LITERALS + 2], distance_codes[DISTANCES + 2];
    uint32_t head[HASH_SIZE], prev[MAX_WINDOW];
} Coder;

/* match.c */
int dz_deflate_start(Coder *c, const uint8_t *raw, uint32_t size, const uint32_t *method);
Token dz_deflate_predict(Coder *c);
void dz_deflate_commit(Coder *c, Token predicted, Token actual);

/* medium.c */
Token dz_deflate_medium(Coder *c);
void dz_deflate_medium_commit(Coder *c, Token predicted, Token actual);

/* search.c */
int dz_deflate_fill(Coder *c);
void dz_deflate_forget(Coder *c);
uint32_t dz_deflate_insert(Coder *c, uint32_t at);
void dz_deflate_insert_all(Coder *c, uint32_t at, uint32_t end);
uint32_t dz_deflate_equal(const Coder *c, uint32_t a, uint32_t b);
uint32_t dz_deflate_longest(const Coder *c, uint32_t at, uint32_t candidate, uint32_t previous, uint32_t *start);
uint32_t dz_deflate_longest_ng(
    const Coder *c, uint32_t at, uint32_t look, uint32_t candidate, uint32_t previous, uint32_t *start);
uint32_t dz_deflate_longest_rolling(
    const Coder *c, uint32_t at, uint32_t candidate, uint32_t previous, uint32_t *start);

/* trees.c */
uint32_t dz_deflate_length_code(uint32_t length, uint32_t *extra, uint32_t *value);
uint32_t dz_deflate_distance_code(uint32_t distance, uint32_t *extra, uint32_t *value);
void dz_deflate_static_trees(Trees *trees);
int dz_deflate_choose(Coder *c, Trees *trees, Writer *header);
void dz_deflate_codes(const uint8_t *lengths, uint32_t count, uint32_t *codes);

/* read.c */
int dz_deflate_read_trees(Reader *reader, Trees *trees);
int dz_deflate_tables(Coder *c, const Trees *trees);
int dz_deflate_read_token(Coder *c, Reader *in, Token *token);
int dz_deflate_read_stored(const Coder *c, Reader *in, uint32_t *padding, uint32_t *length);

/* Bits of a stream, the lowest of each byte first. */

static inline uint64_t dz_little(uint64_t word) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

static inline uint32_t dz_bits_peek(const Reader *r, uint32_t count) {
    uint64_t value = 0;
    const uint64_t byte = r->at >> 3, end = (r->bits + 7) >> 3;
    if (byte + 8 <= end) {
        __builtin_memcpy(&value, r->data + byte, 8);
        value = dz_little(value);
    } else {
        for (uint32_t i = 0; i < 5 && byte + i < end; i++) value |= (uint64_t)r->data[byte + i] << (8 * i);
    }
    return (uint32_t)(value >> (r->at & 7)) & (uint32_t)((1ull << count) - 1);
}

static inline uint32_t dz_bits_take(Reader *r, uint32_t count) {
    const uint32_t value = dz_bits_peek(r, count);
    r->at += count;
    return value;
}

static inline int dz_bits_over(const Reader *r) { return r->at > r->bits; }

static inline void dz_bits_put(Writer *w, uint32_t value, uint32_t count) {
    if (w->at + count > w->room) {
        w->full = 1;
        return;
    }
    if (w->room - w->at >= 64 + 8) {
        /* bits behind the last one are nothing yet */
        uint8_t *byte = w->data + (w->at >> 3);
        const uint32_t used = (uint32_t)(w->at & 7);
        const uint64_t word = dz_little((uint64_t)value << used | (used ? *byte & ((1u << used) - 1) : 0));
        __builtin_memcpy(byte, &word, 8);
        w->at += count;
        return;
    }
    while (count) {
        const uint32_t used = (uint32_t)(w->at & 7), take = count < 8 - used ? count : 8 - used;
        uint8_t *byte = w->data + (w->at >> 3);
        if (!used) *byte = 0;
        *byte = (uint8_t)(*byte | (value & ((1u << take) - 1)) << used);
        value >>= take;
        count -= take;
        w->at += take;
    }
}

#endif
