/* Makes a stream of deflate of its data, an imitated coder, and the notes on where the real one did otherwise. */

#include "notes.h"

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
