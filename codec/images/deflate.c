/* Replays deflate: follows a stream token by token beside an imitated coder, notes where they differ, and makes the same
   stream of the data and these notes again.

   Notes of tokens, in their order: a number gap << 2 | kind, with as many tokens right since the last note. Kind 0: a
   literal; 1: a match, length - 3 in a byte and its distance; 2: a match of the distance that was guessed, length - 3 in a
   byte. Notes of blocks: a number of right blocks since the last note, and a byte of the flags below with what they call
   for. Numbers are seven bits a byte, the lowest first. */

#include "deflate.h"

enum { B_COUNT = 1, B_LAST = 2, B_TYPE = 4, B_HEADER = 16, B_PADDING = 32 };

typedef struct {
    uint8_t *data;
    uint64_t room, at;
    int full;
} Notes;

static void put_byte(Notes *n, uint32_t value) {
    if (n->at == n->room) {
        n->full = 1;
        return;
    }
    n->data[n->at++] = (uint8_t)value;
}

static void put_number(Notes *n, uint64_t value) {
    for (; value > 127; value >>= 7) put_byte(n, (uint32_t)(value & 127) | 128);
    put_byte(n, (uint32_t)value);
}

static uint32_t get_byte(Notes *n) {
    if (n->at == n->room) {
        n->full = 1;
        return 0;
    }
    return n->data[n->at++];
}

static uint64_t get_number(Notes *n) {
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 42; shift += 7) {
        const uint32_t byte = get_byte(n);
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    n->full = 1;
    return 0;
}

static void copy_bits(Writer *out, Reader *in) {
    while (in->at < in->bits) {
        const uint32_t take = in->bits - in->at < 16 ? (uint32_t)(in->bits - in->at) : 16;
        dz_bits_put(out, dz_bits_take(in, take), take);
    }
}

static void start_block(Coder *c) {
    __builtin_memset(c->frequencies, 0, sizeof c->frequencies);
    __builtin_memset(c->distance_frequencies, 0, sizeof c->distance_frequencies);
    c->block_start = c->at;
    c->tokens = c->flush = 0;
}

/* Whether the coder would end its block here, for its buffer is full. */
static int is_full(const Coder *c) { return c->flush && !c->run; }

/* Whether the coder would end its block here; `literal`: that was the last token. The lazy coders write a literal at the
   very end after they have looked whether their buffer is full. */
static int would_end(const Coder *c, int literal, int *last) {
    const int lazy = c->family == SLOW || c->family == NG_SLOW;
    *last = c->at == c->size && !(is_full(c) && !(lazy && literal));
    return is_full(c) || c->at == c->size;
}

/* Follows the coder through a stored block of so many bytes: what it would have written is taken for right. `ended` is
   set to the number of tokens after which it would have ended the block. */
static void follow_stored(Coder *c, uint32_t length, uint32_t *ended, int *literal) {
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

typedef struct {
    Writer out;
    Notes tokens, blocks;
    uint64_t right_tokens, right_blocks; /* until the next note */
    uint32_t kind;
    int tokens_left, blocks_left; /* whether there is a next note */
    uint32_t *buffer; /* tokens of a block, each distance << 9 | length */
    uint64_t room;
} Replay;

static void next_token_note(Replay *r) {
    r->tokens_left = r->tokens.at < r->tokens.room;
    if (!r->tokens_left) return;
    const uint64_t number = get_number(&r->tokens);
    r->right_tokens = number >> 2;
    r->kind = number & 3;
}

static int corrected(const Coder *c, Replay *r, Token guess, Token *token) {
    *token = guess;
    if (!r->tokens_left || r->right_tokens--) return OK;
    *token = (Token){1, 0};
    if (r->kind) {
        token->length = 3 + get_byte(&r->tokens);
        token->distance = guess.distance;
        if (r->kind == 1) {
            const uint64_t distance = get_number(&r->tokens);
            token->distance = distance > MAX_WINDOW ? 0 : (uint32_t)distance;
        }
        if (r->kind > 2 || !token->distance || token->distance > c->at || token->distance > MAX_WINDOW) return E_PATCH;
        if (token->length > c->size - c->at) return E_PATCH;
    }
    if (r->tokens.full) return E_PATCH;
    next_token_note(r);
    return OK;
}

static void write_tokens(Coder *c, Replay *r, const Trees *trees) {
    dz_deflate_codes(trees->lengths, LITERALS + 2, c->literal_codes);
    dz_deflate_codes(trees->distances, DISTANCES + 2, c->distance_codes);
    uint32_t at = c->block_start, extra, value;
    for (uint32_t i = 0; i < c->tokens; i++) {
        const Token t = {r->buffer[i] & 511, r->buffer[i] >> 9};
        uint32_t symbol = c->raw[at];
        at += t.length;
        if (t.distance) symbol = dz_deflate_length_code(t.length, &extra, &value);
        dz_bits_put(&r->out, c->literal_codes[symbol], trees->lengths[symbol]);
        if (!t.distance) continue;
        dz_bits_put(&r->out, value, extra);
        symbol = dz_deflate_distance_code(t.distance, &extra, &value);
        dz_bits_put(&r->out, c->distance_codes[symbol], trees->distances[symbol]);
        dz_bits_put(&r->out, value, extra);
    }
    dz_bits_put(&r->out, c->literal_codes[END_OF_BLOCK], trees->lengths[END_OF_BLOCK]);
}

static void write_stored(Coder *c, Replay *r, uint32_t padding) {
    const uint32_t length = c->at - c->block_start;
    dz_bits_put(&r->out, padding, (uint32_t)(-r->out.at & 7));
    dz_bits_put(&r->out, length, 16);
    dz_bits_put(&r->out, length ^ 0xffff, 16);
    if (r->out.full || 8ull * length > r->out.room - r->out.at) {
        r->out.full = 1;
        return;
    }
    __builtin_memcpy(r->out.data + (r->out.at >> 3), c->raw + c->block_start, length);
    r->out.at += 8ull * length;
}

/* Collects the tokens of a block of `count` tokens, or as many as the coder takes if that is `NO_LIMIT`. */
static int collect(Coder *c, Replay *r, uint64_t count, int *literal) {
    int last;
    *literal = 0;
    while (count == NO_LIMIT ? !would_end(c, *literal, &last) : c->tokens < count) {
        if (c->at == c->size) return E_PATCH;
        if (c->tokens == r->room) return E_MEMORY;
        Token token;
        const Token guess = dz_deflate_predict(c);
        if (corrected(c, r, guess, &token)) return E_PATCH;
        r->buffer[c->tokens] = token.distance << 9 | token.length;
        dz_deflate_commit(c, guess, token);
        *literal = !token.distance;
    }
    return OK;
}

/* What the notes say of a block. */
typedef struct {
    uint32_t flags, padding, bits;
    uint64_t count;
    uint8_t described[HEADER_BYTES];
} Told;

static int read_told(Replay *r, Told *told) {
    told->flags = told->padding = told->bits = 0;
    told->count = NO_LIMIT;
    if (!r->blocks_left || r->right_blocks--) return OK;
    told->flags = get_byte(&r->blocks);
    if (told->flags & B_COUNT) told->count = get_number(&r->blocks);
    if (told->flags & B_PADDING) told->padding = get_byte(&r->blocks);
    if (told->flags & B_HEADER) {
        const uint64_t number = get_number(&r->blocks);
        if (number > 8 * HEADER_BYTES) return E_PATCH;
        told->bits = (uint32_t)number;
        for (uint32_t i = 0; i < (told->bits + 7) >> 3; i++) told->described[i] = (uint8_t)get_byte(&r->blocks);
    }
    if (r->blocks.full || told->flags >> 6 || (told->flags / B_TYPE & 3) > 1 + DYNAMIC) return E_PATCH;
    r->blocks_left = r->blocks.at < r->blocks.room;
    if (r->blocks_left) r->right_blocks = get_number(&r->blocks);
    return OK;
}

/* A block of which the notes, or the method, say that it is stored and has so many bytes. */
static int replay_stored(Coder *c, Replay *r, const Told *told) {
    uint64_t count = told->count;
    const uint32_t left = c->size - c->at;
    uint32_t ended;
    int literal, last;
    if (count == NO_LIMIT) {
        count = left < c->stored_length ? left : c->stored_length;
        if (!count && left && !told->flags) return E_PATCH;
    }
    if (count > left || count > 0xffff) return E_PATCH;
    follow_stored(c, (uint32_t)count, &ended, &literal);
    if (r->tokens_left) {
        if (r->right_tokens < c->tokens) return E_PATCH;
        r->right_tokens -= c->tokens;
    }
    would_end(c, literal, &last);
    if (c->family == STORE) last = c->at == c->size;
    if (told->flags & B_LAST) last = !last;
    dz_bits_put(&r->out, (uint32_t)last, 3);
    write_stored(c, r, told->padding);
    return r->out.full ? E_ROOM : !last;
}

/* One block; returns 1 if more follow. */
static int replay_block(Coder *c, Replay *r) {
    Trees trees;
    Told told;
    Writer header = {c->header, 8 * HEADER_BYTES, 0, 0};
    int literal, last, error = read_told(r, &told);
    const int kind = (int)(told.flags / B_TYPE & 3) - 1;
    if (error) return error;
    start_block(c);
    if (c->family == STORE || (kind == STORED && told.count != NO_LIMIT)) return replay_stored(c, r, &told);
    error = collect(c, r, told.count, &literal);
    if (error) return error;
    would_end(c, literal, &last);
    if (told.flags & B_LAST) last = !last;
    const int choice = dz_deflate_choose(c, &trees, &header), type = kind >= 0 ? kind : choice;
    dz_bits_put(&r->out, (uint32_t)(last | type << 1), 3);
    if (type == STORED) {
        if (c->at - c->block_start > 0xffff) return E_PATCH;
        write_stored(c, r, told.padding);
        return r->out.full ? E_ROOM : !last;
    }
    if (type == STATIC) {
        dz_deflate_static_trees(&trees);
    } else if (told.flags & B_HEADER) {
        Reader in = {told.described, told.bits, 0};
        if (!dz_deflate_read_trees(&in, &trees)) return E_PATCH;
        copy_bits(&r->out, &(Reader){told.described, told.bits, 0});
    } else {
        copy_bits(&r->out, &(Reader){c->header, header.at, 0});
    }
    write_tokens(c, r, &trees);
    return r->out.full ? E_ROOM : !last;
}

/* Makes the stream again. `buffer` has room for `room` tokens, those of one block. Returns its bytes, or an error. */
DZ_EXPORT int64_t dz_deflate_replay(
    void *state, const uint8_t *raw, uint64_t size, const uint32_t *method, const uint8_t *tokens, uint64_t tokens_size,
    const uint8_t *blocks, uint64_t blocks_size, void *buffer, uint64_t room, uint8_t *out, uint64_t out_size) {
    Coder *c = state;
    if (size > 0x7fffffffu) return E_METHOD;
    int more = dz_deflate_start(c, raw, (uint32_t)size, method);
    if (more) return more;
    /* The notes are only read. */
    Replay r = {.out = {out, 8 * out_size, 0, 0}, .tokens = {(uint8_t *)tokens, tokens_size, 0, 0},
                .blocks = {(uint8_t *)blocks, blocks_size, 0, 0}, .buffer = buffer, .room = room};
    next_token_note(&r);
    r.blocks_left = blocks_size > 0;
    if (r.blocks_left) r.right_blocks = get_number(&r.blocks);
    do {
        more = replay_block(c, &r);
    } while (more > 0);
    if (more) return more;
    if (c->at != c->size || r.tokens_left || r.blocks_left) return E_PATCH;
    return (int64_t)((r.out.at + 7) >> 3);
}
