/* Follows a stream of deflate token by token beside an imitated coder, and notes where they differ. */

#include "notes.h"

DZ_EXPORT uint64_t dz_deflate_state(void) { return sizeof(Coder); }

typedef struct {
    Reader in;
    Notes tokens, blocks;
    uint64_t right_tokens, right_blocks; /* since the last note */
    uint32_t most;                       /* tokens of a block */
} Analysis;

static void note_token(Analysis *a, Token guess, Token actual) {
    if (guess.length == actual.length && guess.distance == actual.distance) {
        a->right_tokens++;
        return;
    }
    const uint32_t kind = !actual.distance ? 0 : actual.distance == guess.distance ? 2 : 1;
    put_number(&a->tokens, a->right_tokens << 2 | kind);
    if (kind) put_byte(&a->tokens, actual.length - 3);
    if (kind == 1) put_number(&a->tokens, actual.distance);
    a->right_tokens = 0;
}

/* Follows the tokens of a block up to its end, or to `stop`. Returns 1 if it was the end. */
static int follow_tokens(Coder *c, Analysis *a, uint32_t stop, uint32_t *ended, int *literal) {
    int last;
    if (would_end(c, 0, &last)) *ended = 0;
    for (;;) {
        Token actual;
        const int more = dz_deflate_read_token(c, &a->in, &actual);
        if (more < 0 || dz_bits_over(&a->in)) return E_STREAM;
        if (!more) return 1;
        const Token guess = dz_deflate_predict(c);
        note_token(a, guess, actual);
        dz_deflate_commit(c, guess, actual);
        *literal = !actual.distance;
        if (*ended == NO_LIMIT && would_end(c, *literal, &last)) *ended = c->tokens;
        if (a->tokens.full) return E_ROOM;
        if (c->at >= stop && c->at < c->size) return 0;
    }
}

/* One block; returns 1 if more follow, 0 after the last one or where `stop` was reached. */
static int follow_block(Coder *c, Analysis *a, uint32_t stop) {
    Trees actual, guessed;
    uint8_t described[HEADER_BYTES];
    Writer header = {c->header, 8 * HEADER_BYTES, 0, 0};
    uint32_t ended = NO_LIMIT, flags = 0, padding = 0, length = 0;
    int literal = 0, last_guess;
    const int last = (int)dz_bits_take(&a->in, 1), type = (int)dz_bits_take(&a->in, 2);
    uint64_t begin = a->in.at;
    start_block(c);
    if (type == STORED) {
        if (!dz_deflate_read_stored(c, &a->in, &padding, &length)) return E_STREAM;
        follow_stored(c, length, &ended, &literal);
        a->right_tokens += c->tokens;
        if (c->family == STORE) {
            const uint32_t rest = c->size - c->block_start;
            ended = length == (rest < c->stored_length ? rest : c->stored_length) ? c->tokens : NO_LIMIT;
            last_guess = c->at == c->size;
        } else {
            would_end(c, literal, &last_guess);
        }
    } else {
        if (c->family == STORE || type > DYNAMIC) return E_STREAM;
        if (type == STATIC) {
            dz_deflate_static_trees(&actual);
        } else if (!dz_deflate_read_trees(&a->in, &actual)) {
            return E_STREAM;
        }
        const uint64_t bits = a->in.at - begin;
        if (bits > 8 * HEADER_BYTES) return E_STREAM;
        if (!dz_deflate_tables(c, &actual)) return E_STREAM;
        const int done = follow_tokens(c, a, stop, &ended, &literal);
        if (done <= 0) return done;
        would_end(c, literal, &last_guess);
        if (c->tokens > a->most) a->most = c->tokens;
        const int choice = dz_deflate_choose(c, &guessed, &header);
        if (choice != type) flags |= B_TYPE * (1 + (uint32_t)type);
        if (type == DYNAMIC) {
            Writer copy = {described, 8 * HEADER_BYTES, 0, 0};
            Reader again = {a->in.data, begin + bits, begin};
            copy_bits(&copy, &again);
            if (header.at != bits || __builtin_memcmp(c->header, described, (bits + 7) >> 3)) flags |= B_HEADER;
            begin = bits;
        }
    }
    if (type == STORED && c->family != STORE) {
        if (c->tokens > a->most) a->most = c->tokens;
        if (dz_deflate_choose(c, &guessed, &header) != STORED) flags |= B_TYPE;
    }
    if (ended != c->tokens) flags |= type == STORED ? B_COUNT | B_TYPE : B_COUNT;
    if (last != last_guess) flags |= B_LAST;
    if (padding) flags |= B_PADDING;
    if (!flags) {
        a->right_blocks++;
        return !last;
    }
    put_number(&a->blocks, a->right_blocks);
    put_byte(&a->blocks, flags);
    if (flags & B_COUNT) put_number(&a->blocks, type == STORED ? length : c->tokens);
    if (flags & B_PADDING) put_byte(&a->blocks, padding);
    if (flags & B_HEADER) {
        put_number(&a->blocks, begin);
        for (uint64_t i = 0; i < (begin + 7) >> 3; i++) put_byte(&a->blocks, described[i]);
    }
    a->right_blocks = 0;
    return a->blocks.full ? E_ROOM : !last;
}

/* Follows a stream of deflate beside a method.

   `stop`: where in the data to end, if not at its own end. `result`: bytes of the notes on tokens and on blocks, the most
   tokens in a block, and the bytes of the stream. Returns 0 or an error; a stream of which some bits behind its end are
   set is one. */
DZ_EXPORT int dz_deflate_analyse(
    void *state, const uint8_t *raw, uint64_t size, const uint8_t *stream, uint64_t stream_size,
    const uint32_t *method, uint64_t stop, uint8_t *tokens, uint64_t tokens_room, uint8_t *blocks,
    uint64_t blocks_room, uint64_t *result) {
    Coder *c = state;
    if (size > 0x7fffffffu) return E_METHOD;
    int more = dz_deflate_start(c, raw, (uint32_t)size, method);
    if (more) return more;
    Analysis a = {{stream, 8 * stream_size, 0}, {tokens, tokens_room, 0, 0}, {blocks, blocks_room, 0, 0}, 0, 0, 0};
    do {
        more = follow_block(c, &a, stop < size ? (uint32_t)stop : (uint32_t)size);
    } while (more > 0);
    result[0] = a.tokens.at;
    result[1] = a.blocks.at;
    result[2] = a.most;
    result[3] = (a.in.at + 7) >> 3;
    if (more) return more;
    if (stop >= size && (c->at != c->size || dz_bits_take(&a.in, (uint32_t)(-a.in.at & 7)))) return E_STREAM;
    return OK;
}
