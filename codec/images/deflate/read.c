/* Reads a stream of deflate: trees, tokens, stored blocks; and looks over its first blocks for what they betray. */

#include "deflate.h"

#define MAX_BITS 15
#define MAX_LENGTH_BITS 7

static const uint8_t ORDER[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};


enum { REPEAT = 16, ZEROS = 17 };

/* A table of 2^15 entries, symbol << 4 | bits, for codes that leave none over, or are the only one; 0 if they do. */
static int table_of(const uint8_t *lengths, uint32_t count, uint16_t *table) {
    uint32_t codes[LITERALS + 2], used = 0, single = 0;
    uint64_t room = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!lengths[i]) continue;
        room += 1u << (MAX_BITS - lengths[i]);
        single = used++ ? 0 : lengths[i] == 1;
    }
    if (room > 1u << MAX_BITS || (used && room < 1u << MAX_BITS && !single)) return 0;
    dz_deflate_codes(lengths, count, codes);
    __builtin_memset(table, 0, sizeof(uint16_t) << MAX_BITS);
    for (uint32_t i = 0; i < count; i++) {
        if (!lengths[i]) continue;
        for (uint32_t at = codes[i]; at < 1u << MAX_BITS; at += 1u << lengths[i]) {
            table[at] = (uint16_t)(i << 4 | lengths[i]);
        }
    }
    return 1;
}

/* Reads the description of dynamic trees. */
int dz_deflate_read_trees(Reader *reader, Trees *trees) {
    uint8_t lengths[LENGTHS] = {0}, all[LITERALS + 2 + DISTANCES + 2] = {0};
    uint32_t codes[LENGTHS];
    const uint32_t literals = dz_bits_take(reader, 5) + 257, distances = dz_bits_take(reader, 5) + 1;
    const uint32_t sent = dz_bits_take(reader, 4) + 4;
    if (literals > LITERALS || distances > DISTANCES) return 0;
    for (uint32_t i = 0; i < sent; i++) lengths[ORDER[i]] = (uint8_t)dz_bits_take(reader, 3);
    dz_deflate_codes(lengths, LENGTHS, codes);
    for (uint32_t i = 0; i < literals + distances;) {
        const uint32_t ahead = dz_bits_peek(reader, MAX_LENGTH_BITS);
        uint32_t symbol = 0;
        while (symbol < LENGTHS && (!lengths[symbol] || (ahead & ((1u << lengths[symbol]) - 1)) != codes[symbol])) {
            symbol++;
        }
        if (symbol == LENGTHS) return 0;
        reader->at += lengths[symbol];
        uint32_t run = 1, value = symbol;
        if (symbol == REPEAT) {
            if (!i) return 0;
            value = all[i - 1];
            run = 3 + dz_bits_take(reader, 2);
        } else if (symbol > REPEAT) {
            value = 0;
            run = symbol == ZEROS ? 3 + dz_bits_take(reader, 3) : 11 + dz_bits_take(reader, 7);
        }
        if (dz_bits_over(reader) || i + run > literals + distances) return 0;
        while (run--) all[i++] = (uint8_t)value;
    }
    __builtin_memset(trees, 0, sizeof *trees);
    __builtin_memcpy(trees->lengths, all, literals);
    __builtin_memcpy(trees->distances, all + literals, distances);
    trees->literals_used = literals;
    trees->distances_used = distances;
    return trees->lengths[END_OF_BLOCK] != 0;
}

/* Tables for `dz_deflate_read_token`; 0 for trees that are none. */
int dz_deflate_tables(Coder *c, const Trees *trees) {
    return table_of(trees->lengths, LITERALS + 2, c->literal_table) &&
           table_of(trees->distances, DISTANCES + 2, c->distance_table);
}

/* The next token of a block, which has to give the data: 1, 0 for the end of the block, or an error. */
int dz_deflate_read_token(Coder *c, Reader *in, Token *token) {
    static const uint8_t FIRST[29] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  10, 12, 14,  16,  20, 24,
                                      28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 255};
    const uint32_t entry = c->literal_table[dz_bits_peek(in, 15)], symbol = entry >> 4;
    if (!entry) return E_STREAM;
    in->at += entry & 15;
    *token = (Token){1, 0};
    if (symbol < 256) return c->at < c->size && c->raw[c->at] == symbol ? 1 : E_STREAM;
    if (symbol == END_OF_BLOCK) return 0;
    if (symbol >= LITERALS) return E_STREAM;
    const uint32_t more = symbol < 265 || symbol == 285 ? 0 : (symbol - 261) >> 2;
    token->length = 3 + FIRST[symbol - 257] + dz_bits_take(in, more);
    const uint32_t far = c->distance_table[dz_bits_peek(in, 15)], place = far >> 4;
    if (!far || place >= DISTANCES) return E_STREAM;
    in->at += far & 15;
    const uint32_t bits = place < 4 ? 0 : (place >> 1) - 1;
    token->distance = 1 + (place < 4 ? place : (2 + (place & 1)) << bits) + dz_bits_take(in, bits);
    return token->length <= c->size - c->at && token->distance <= c->at ? 1 : E_STREAM;
}

/* A stored block behind its three bits, which has to hold the data. */
int dz_deflate_read_stored(const Coder *c, Reader *in, uint32_t *padding, uint32_t *length) {
    *padding = dz_bits_take(in, (uint32_t)(-in->at & 7));
    *length = dz_bits_take(in, 16);
    if ((*length ^ dz_bits_take(in, 16)) != 0xffff || dz_bits_over(in)) return 0;
    if (*length > c->size - c->at || 8ull * *length > in->bits - in->at) return 0;
    if (__builtin_memcmp(c->raw + c->at, in->data + (in->at >> 3), *length)) return 0;
    in->at += 8ull * *length;
    return 1;
}

/* What is seen in the first blocks, up to the first block behind `stop` bytes of the data. */
enum { S_FIRST, S_TOKENS, S_MORE, S_STORED, S_STATIC, S_DYNAMIC, S_MATCHES, S_NEAR, S_EMPTY, S_LENGTH };

/* Fills in: the kind of the first block, its tokens (or bytes), whether another one follows it, how many blocks there are
   of each kind, matches, those of distance 1, empty stored blocks, and the most bytes of a stored block. */
DZ_EXPORT int dz_deflate_survey(
    void *state, const uint8_t *raw, uint64_t size, const uint8_t *stream, uint64_t stream_size, uint64_t stop,
    uint64_t *seen) {
    static const uint32_t METHOD[M_COUNT] = {LIBRARY_STORE, 1, 0, 15, 8, 0, 0};
    Coder *c = state;
    Reader in = {stream, 8 * stream_size, 0};
    Trees trees;
    if (size > 0x7fffffffu) return E_METHOD;
    const int error = dz_deflate_start(c, raw, (uint32_t)size, METHOD);
    if (error) return error;
    for (uint32_t i = 0; i <= S_LENGTH; i++) seen[i] = 0;
    for (uint32_t block = 0, last = 0; !last && c->at <= stop; block++) {
        last = dz_bits_take(&in, 1);
        const uint32_t type = dz_bits_take(&in, 2);
        uint64_t tokens = 0;
        if (dz_bits_over(&in) || type > DYNAMIC) return E_STREAM;
        seen[S_STORED + type]++;
        if (type == STORED) {
            uint32_t padding, length;
            if (!dz_deflate_read_stored(c, &in, &padding, &length)) return E_STREAM;
            c->at += length;
            seen[S_EMPTY] += !length;
            tokens = length;
            if (length > seen[S_LENGTH]) seen[S_LENGTH] = length;
        } else {
            if (type == STATIC) dz_deflate_static_trees(&trees);
            if (type == DYNAMIC && !dz_deflate_read_trees(&in, &trees)) return E_STREAM;
            if (!dz_deflate_tables(c, &trees)) return E_STREAM;
            for (;; tokens++) {
                Token token;
                const int more = dz_deflate_read_token(c, &in, &token);
                if (more < 0 || dz_bits_over(&in)) return E_STREAM;
                if (!more) break;
                c->at += token.length;
                if (!token.distance) continue;
                seen[S_MATCHES]++;
                seen[S_NEAR] += token.distance == 1;
            }
        }
        if (!block) {
            seen[S_FIRST] = type;
            seen[S_TOKENS] = tokens;
            seen[S_MORE] = !last;
        }
    }
    return OK;
}
