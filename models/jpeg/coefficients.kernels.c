/* The coefficients of one component of a JPEG image, coded block by block.

   Of a block come first the 7 x 7 coefficients that have no frequency of 0: how many are not zero, then each in zigzag
   order until that many were met. Then those of the first row and of the first column likewise; DC comes last, when the
   block's other coefficients tell how it goes on from its neighbours. */

#include "predict.h"

/* Most bytes of a block: 64 numbers of at most 25 decisions, and counts; 22 bits for each, and what is held back. */
enum { BLOCK_BYTES = 8192 };
/* Kinds of symbols: interior, row, column, DC; numbers of coefficients. */
enum { INTERIOR, ROW, COLUMN, DIRECT, COUNT, EDGE_COUNT };
/* Decisions that share weights. */
enum { ZERO, MORE, MUCH_MORE, SIGN, TOP_BIT, BITS_OF_COUNT };
/* Nodes of a symbol: 0 whether it is zero, then whether its magnitude has more bits, its sign, its second bit. */
enum { MORE_AT = 1, LAST_MORE = 9, SIGN_AT = 10, TOP_AT = 13 };

static const uint8_t INNER[49] = { /* in zigzag order, row * 8 + column */
    9,  10, 17, 25, 18, 11, 12, 19, 26, 33, 41, 34, 27, 20, 13, 14, 21, 28, 35, 42, 49, 57, 50, 43, 36,
    29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

INLINE int least(int a, int b) { return a < b ? a : b; }
INLINE int clip(int x, int limit) { return x < -limit ? -limit : x > limit ? limit : x; }
INLINE int length_of(int x) { return x ? 32 - __builtin_clz((unsigned)x) : 0; }

/* Code a number by its decisions. Returns it. */
INLINE int code_value(Engine *e, int decoding, int inputs, const Symbol *s, int may_be_zero, int most,
                      uint32_t *tail, int expected, int value) {
    if (may_be_zero && !code_bit(e, decoding, inputs, s, 0, ZERO, value != 0)) return 0;
    const int size = value < 0 ? -value : value;
    int length = 1;
    const int known = length_of(size);
    while (length < most) {
        const int node = MORE_AT + length - 1 < LAST_MORE ? MORE_AT + length - 1 : LAST_MORE;
        if (!(inputs == FAST && length > 1
                  ? code_directly(e, decoding, inputs, s->lengths + length * TAIL, known > length)
                  : code_bit(e, decoding, inputs, s, node, length == 1 ? MORE : MUCH_MORE, known > length))) break;
        length++;
    }
    const int by_size = length < 3 ? length - 1 : 2;
    const int negative = inputs == FAST ? code_directly(e, decoding, inputs, tail + expected + 16 + 32 * (length > 1), value < 0)
                                        : code_bit(e, decoding, inputs, s, SIGN_AT + by_size, SIGN, value < 0);
    int found = 1;
    for (int bit = length - 2; bit >= 0; bit--) {
        const int own = size >> bit & 1;
        if (bit == length - 2 && inputs != FAST)
            found = 2 + code_bit(e, decoding, inputs, s, TOP_AT + (length < 4 ? length - 2 : 2), TOP_BIT, own);
        else
            found = found * 2 + code_directly(e, decoding, inputs, tail + length * TAIL + (found < TAIL ? found : bit), own);
    }
    return negative ? -found : found;
}

/* Contexts of a count. */
INLINE int lines_of_count(int inputs) { return inputs == FAST ? 2 : inputs - 1; }

/* Code a number of `bits` bits from the top, at most four of them in a line. */
INLINE int code_count(Engine *e, int decoding, int inputs, Symbol *s, uint32_t *key, uint32_t kind, int bits, int value) {
    const int lines = lines_of_count(inputs);
    int node = 1, found = 0;
    for (int bit = bits - 1; bit >= 0; bit--) {
        if (bit == 3 && bits > 4) {
            for (int i = 0; i < lines; i++) key[i] = (key[i] + (uint32_t)found + 1) * 0x2545F491u;
            find_lines(e, lines, key, kind, s);
            node = 1;
        }
        const int known = value >> bit & 1;
        const int own = inputs == FAST ? code_by_two(e, decoding, s->line[0] + node, s->line[1] + node, known)
                                       : code_bit(e, decoding, inputs, s, node, BITS_OF_COUNT, known);
        node = node * 2 + own;
        found = found * 2 + own;
    }
    return found;
}

/* Sets of weights by their numbers. */
INLINE void select_weights(const Engine *e, int inputs, Symbol *s, int a, int b, int c) {
    const int64_t size = GROUPS * inputs;
    s->lengths = e->tail + 3 * 64 * 16 * TAIL + (b / SCALES * 16 * TAIL + b % SCALES);
    s->set[0] = e->weight[0] + a * size;
    s->set[1] = e->weight[1] + b * size;
    s->set[2] = e->weight[2] + c * size;
}

/* What is known while a block's coefficients are coded. */
typedef struct {
    int left, places, largest, last[3], sum, count, around;
} Progress;

INLINE void keys_of(const Engine *e, int inputs, const Place *p, int kind, int row, int column,
                    const Forecast *f, int level, const Progress *g, uint32_t *key) {
    const int at = row * 8 + column;
    const uint32_t class = e->component < 2 ? (uint32_t)e->component : 2;
    const uint32_t k = (uint32_t)at | class << 6;
    const float unit = e->step[192 + at];
    const uint32_t mean = (uint32_t)(signed_level(f->mean * unit) + 16), scale = (uint32_t)level;
    const uint32_t left = (uint32_t)g->left, places = (uint32_t)g->places, kinds = class << 2 | (uint32_t)kind;
    const int west = p->left->number[at], north = p->above->number[at];
    const int16_t *own = p->own->number; /* zeros where nothing was coded yet */
    const int west_size = west < 0 ? -west : west, north_size = north < 0 ? -north : north;
    const uint32_t big = (uint32_t)least(length_of(g->largest), 4);
    key[0] = k << 6 | scale;
    if (inputs == FAST) {
        key[1] = (k << 6 | left) << 3 | big;
        key[2] = (k << 6 | (uint32_t)least(2 * (west_size + north_size), 31)) << 5 | left / 2;
        return;
    }
    key[1] = ((kinds << 6 | scale) << 6 | left) << 6 | places;
    key[2] = (k << 5 | mean) << 4 | scale >> 2;
    key[3] = (k << 6 | left) << 3 | big;
    key[4] = (k << 5 | (uint32_t)(clip(west, 7) + 8)) << 5 | (uint32_t)(clip(north, 7) + 8);
    key[5] = (k << 6 | (uint32_t)least(2 * (west_size + north_size), 31)) << 5 | left / 2;
    key[6] = ((kinds << 5 | mean) << 6 | left) << 4 | scale >> 2;
    const int ahead = p->ahead->number[at], corner = p->corner->number[at];
    const int west2 = p->left2->number[at], north2 = p->above2->number[at];
    const int own_west = column ? own[at - 1] : 0, own_north = row ? own[at - 8] : 0;
    const int own_west2 = column > 1 ? own[at - 2] : 0, own_north2 = row > 1 ? own[at - 16] : 0;
    const int own_east = kind == INTERIOR ? 0 : kind == ROW ? own[at + 8] : own[at + 1];
    const uint32_t luma = (uint32_t)scale_level(luma_size(e, p, row, column) * unit);
    const int chroma = p->chroma ? p->chroma[at] : 0;
    key[7] = ((k << 4 | (uint32_t)(clip(g->last[0], 3) + 4)) << 4 | (uint32_t)(clip(g->last[1], 3) + 4)) << 4 |
             (uint32_t)(clip(g->last[2], 3) + 4);
    key[8] = ((k << 4 | (uint32_t)(clip(own_west, 4) + 4)) << 4 | (uint32_t)(clip(own_north, 4) + 4)) << 4 |
             (uint32_t)(clip(own_east, 4) + 4);
    key[9] = p->luma ? (k << 6 | luma) << 5 | scale >> 1
                     : ((k << 5 | (uint32_t)(clip(west2, 7) + 8)) << 5 | (uint32_t)(clip(north2, 7) + 8));
    key[10] = p->chroma ? ((k << 5 | (uint32_t)(clip(chroma, 15) + 16)) << 4 | scale >> 2)
                        : ((k << 5 | (uint32_t)(clip(ahead, 7) + 8)) << 5 | (uint32_t)(clip(corner, 7) + 8));
    key[11] = (k << 5 | (uint32_t)(signed_level(f->from_left * unit) + 16)) << 5 |
              (uint32_t)(signed_level(f->from_above * unit) + 16);
    key[12] = (k << 4 | (uint32_t)least(length_of(g->sum), 10)) << 6 | left;
    key[13] = (((uint32_t)least((int)e->step[at], 127) << 6 | scale) << 2 | (uint32_t)kind) << 5 | mean;
    key[14] = (((k << 5 | mean) << 2 | (uint32_t)(clip(west, 1) + 1)) << 2 | (uint32_t)(clip(north, 1) + 1)) << 3 | big;
    if (inputs == 16) return;
    key[15] = (k << 6 | scale) << 5 | mean;
    key[16] = (k << 6 | (uint32_t)g->count) << 4 | (uint32_t)g->around / 4;
    key[17] = ((kinds << 6 | scale) << 6 | left) << 5 | (uint32_t)least(west_size + north_size, 31);
    key[18] = ((kinds << 6 | scale) << 6 | places) << 3 | big;
    key[19] = (((k << 4 | (uint32_t)(clip(own_west, 3) + 4)) << 4 | (uint32_t)(clip(own_west2, 3) + 4)) << 4 |
               (uint32_t)(clip(own_north, 3) + 4)) << 4 | (uint32_t)(clip(own_north2, 3) + 4);
    key[20] = ((kinds << 6 | luma) << 6 | scale) << 6 | left;
    key[21] = (k << 5 | mean) << 8 | (uint32_t)least(length_of(west_size), 7) << 4 | (uint32_t)least(length_of(north_size), 7);
    key[22] = ((k << 6 | left) << 5 | mean) << 4 | scale >> 2;
}

/* Code one coefficient but DC. */
INLINE int code_coefficient(Engine *e, int decoding, int inputs, const Place *p, int16_t *block, int kind, int row,
                            int column, Progress *g) {
    const int at = row * 8 + column;
    const Forecast f = forecast(e, p, row, column);
    const int level = scale_level(f.scale * e->step[192 + at]);
    const int64_t class = e->component < 2 ? e->component : 2;
    uint32_t key[MOST_INPUTS];
    Symbol s;
    keys_of(e, inputs, p, kind, row, column, &f, level, g, key);
    find_lines(e, inputs - 1, key, 1, &s);
    const int mean = signed_level(f.mean * e->step[192 + at]);
    select_weights(e, inputs, &s, (int)class * 64 + at, ((int)class * 4 + kind) * SCALES + level,
                   ((int)(class > 0) * 4 + least(length_of(g->largest), 3)) * 64 + least(g->left, 63));
    s.second = e->second + ((class * 64) + at) * NODES * SETS;
    s.correction[0] = e->correction[0] + (class * 64 + at) * NODES * KNOTS;
    s.correction[1] = e->correction[1] + ((class * 32 + mean + 16) * 12 + level / 4) * NODES * KNOTS;
    uint32_t *tail = e->tail + (class * 64 + at) * 16 * TAIL;
    const int value = code_value(e, decoding, inputs, &s, g->left < g->places, 11, tail, mean, block[at]);
    if (decoding) block[at] = (int16_t)value;
    p->own->number[at] = (int16_t)value;
    const int size = value < 0 ? -value : value;
    g->places--;
    g->left -= value != 0;
    g->sum += size;
    if (size > g->largest) g->largest = size;
    g->last[2] = g->last[1];
    g->last[1] = g->last[0];
    g->last[0] = value;
    const float number = (float)value * e->step[at];
    p->own->value[at] = number;
    p->own->turned[column * 8 + row] = number;
    return value != 0;
}

/* Code how many coefficients are not zero. */
INLINE int code_interior_count(Engine *e, int decoding, int inputs, const Place *p, int count) {
    const uint32_t class = e->component < 2 ? (uint32_t)e->component : 2;
    const int west = p->left->count, north = p->above->count, corner = p->corner->count, ahead = p->ahead->count;
    const int luma = p->filled[0].inner, chroma = p->filled[1].inner;
    const uint32_t kind = class << 1 | (uint32_t)(p->chroma != 0);
    const uint32_t all = (uint32_t)(2 * west + 2 * north + corner + ahead);
    uint32_t key[MOST_INPUTS] = {0};
    key[0] = kind << 8 | (uint32_t)(west + north);
    key[1] = inputs == FAST ? (kind << 6 | (uint32_t)luma) << 6 | (uint32_t)(west + north) / 4
                            : (kind << 6 | (uint32_t)west) << 6 | (uint32_t)north;
    key[2] = (kind << 10 | all);
    key[3] = (kind << 6 | (uint32_t)luma) << 6 | (uint32_t)(west + north) / 4;
    key[4] = (kind << 6 | (uint32_t)ahead) << 6 | (uint32_t)north;
    key[5] = (kind << 6 | (uint32_t)corner) << 6 | (uint32_t)west;
    key[6] = (kind << 6 | (uint32_t)chroma) << 6 | (uint32_t)luma / 2;
    const uint32_t wide = (uint32_t)(p->left2->count + p->above2->count);
    if (inputs != FAST) {
        key[7] = (kind << 6 | wide / 2) << 7 | (uint32_t)(west + north);
        key[8] = (kind << 6 | (uint32_t)chroma) << 6 | (uint32_t)(west + north) / 2;
        key[9] = kind << 6 | (uint32_t)luma;
        key[10] = (kind << 6 | (uint32_t)west / 3) << 12 | (uint32_t)north / 3 << 6 | (uint32_t)ahead / 3;
        key[11] = (kind << 6 | (uint32_t)(p->left->edges[0] + p->left->edges[1])) << 6 | (uint32_t)west;
        key[12] = (kind << 6 | (uint32_t)(p->above->edges[0] + p->above->edges[1])) << 6 | (uint32_t)north;
        key[13] = kind;
        key[14] = ((kind << 6 | (uint32_t)corner / 4) << 6 | (uint32_t)ahead / 4) << 8 | (uint32_t)(west + north) / 4;
    }
    Symbol s;
    find_lines(e, lines_of_count(inputs), key, 2, &s);
    const int mean = (west + north + 1) / 2;
    select_weights(e, inputs, &s, 192 + (int)class, 12 * SCALES + mean * 3 / 4, 512 + (int)class);
    s.second = e->second + (192 + class) * NODES * SETS;
    s.correction[0] = e->correction[0] + (192 + class) * NODES * KNOTS;
    s.correction[1] = e->correction[1] + (96 * 12 + mean / 4) * NODES * KNOTS;
    const int found = code_count(e, decoding, inputs, &s, key, 3, 6, count);
    return found > 49 ? 49 : found;
}

INLINE int code_edge_count(Engine *e, int decoding, int inputs, const Place *p, int edge, uint32_t reach,
                            int count) {
    const uint32_t class = e->component < 2 ? (uint32_t)e->component : 2, kind = class << 1 | (uint32_t)edge;
    const Seen *own = p->own;
    const int luma = p->filled[0].edges[edge], chroma = p->filled[1].edges[edge];
    const uint32_t inner = (uint32_t)own->count, west = (uint32_t)p->left->edges[edge], north = (uint32_t)p->above->edges[edge];
    const uint32_t other = edge ? (uint32_t)own->edges[0] : 8;
    uint32_t key[MOST_INPUTS] = {0};
    key[0] = (kind << 6 | inner) << 4 | reach;
    key[1] = inputs == FAST ? ((kind << 3 | (uint32_t)luma) << 4 | other) << 4 | reach
                            : ((kind << 3 | west) << 3 | north) << 4 | other;
    key[2] = (kind << 6 | inner) << 6 | (west + north);
    key[3] = ((kind << 3 | (uint32_t)luma) << 4 | other) << 4 | reach;
    key[4] = ((kind << 3 | (edge ? west : north)) << 4 | reach) << 4 | other;
    key[5] = ((kind << 3 | (uint32_t)chroma) << 3 | (uint32_t)luma) << 4 | (west + north);
    key[6] = (((kind << 3 | west) << 3 | north) << 4 | reach) << 4 | inner / 4;
    if (inputs != FAST) {
        const uint32_t corner = (uint32_t)p->corner->edges[edge], ahead = (uint32_t)p->ahead->edges[edge];
        key[7] = ((kind << 3 | ahead) << 3 | north) << 3 | corner;
        key[8] = kind << 6 | inner;
        key[9] = ((kind << 3 | (uint32_t)p->left2->edges[edge]) << 3 | west) << 4 | other;
        key[10] = ((kind << 3 | (uint32_t)p->above2->edges[edge]) << 3 | north) << 4 | other;
        key[11] = (kind << 6 | inner) << 4 | other;
        key[12] = (kind << 4 | reach) << 6 | (2 * west + 2 * north + corner + ahead);
        key[13] = kind;
        key[14] = ((kind << 3 | (uint32_t)chroma) << 6 | inner) << 4 | other;
    }
    Symbol s;
    find_lines(e, lines_of_count(inputs), key, 4, &s);
    select_weights(e, inputs, &s, 195 + (int)kind, 12 * SCALES + 40 + (int)reach, 515 + (int)kind);
    s.second = e->second + (195 + kind) * NODES * SETS;
    s.correction[0] = e->correction[0] + (195 + kind) * NODES * KNOTS;
    s.correction[1] = e->correction[1] + (97 * 12 + reach) * NODES * KNOTS;
    return code_count(e, decoding, inputs, &s, key, 4, 3, count);
}

/* Code DC, the last coefficient of a block, by what its neighbours' pixels let expect. */
INLINE void code_direct(Engine *e, int decoding, int inputs, const Place *p, int16_t *block) {
    const uint32_t class = e->component < 2 ? (uint32_t)e->component : 2;
    Seen *own = p->own;
    const float unit = e->step[192];
    float mean = 0.0f, spread = 64.0f, from[2] = {0};
    int sides = 0;
    for (int side = 0; side < 2; side++) {
        const Seen *other = side ? p->above : p->left;
        if (!other->present) continue;
        /* Each of eight pixels tells what constant makes both blocks meet; DC is eight times that. */
        const Eight gap = (load8(side ? other->below : other->right) -
                           edge_of(e, side ? own->value : own->turned, 0)) * 8.0f;
        from[side] = sum_of(gap) * 0.125f;
        const Eight off = size8(gap - from[side]);
        const float width = sum_of(off) * 0.125f;
        if (!sides || !p->left->present) {
            mean = from[side];
            spread = width;
        } else {
            const float a = spread + e->step[0], b = width + e->step[0];
            mean = (from[0] * b * b + from[1] * a * a) / (a * a + b * b);
            spread = spread < width ? spread : width;
        }
        sides++;
    }
    float guess = mean * unit;
    guess = guess > -(float)LARGEST ? guess : -(float)LARGEST;
    guess = guess < (float)LARGEST ? guess : (float)LARGEST;
    const int expected = (int)(guess < 0.0f ? guess - 0.5f : guess + 0.5f);
    const float apart = sides == 2 ? (from[0] - from[1]) * unit : 0.0f;
    const uint32_t width = (uint32_t)scale_level(spread * unit * 0.25f), kind = class << 2 | (uint32_t)sides;
    const uint32_t differ = (uint32_t)(signed_level(apart * 0.25f) + 16);
    const uint32_t west = (uint32_t)(clip(p->left->error, 15) + 16), north = (uint32_t)(clip(p->above->error, 15) + 16);
    const int west_size = p->left->error < 0 ? -p->left->error : p->left->error;
    const int north_size = p->above->error < 0 ? -p->above->error : p->above->error;
    const uint32_t errors = (uint32_t)least(length_of(west_size * 2 + north_size * 2), 12);
    const int nearest = (int)((p->left->dc + p->above->dc) * 0.5f * unit);
    const uint32_t plain = (uint32_t)(signed_level((float)(nearest - expected) * 0.25f) + 16);
    const uint32_t busy = (uint32_t)own->count;
    const float fraction = guess - (float)expected;
    const uint32_t part = (uint32_t)(int)((fraction + 0.5f) * 7.99f) & 7;
    uint32_t key[MOST_INPUTS] = {0};
    key[0] = kind << 6 | width;
    key[1] = inputs == FAST ? (kind << 4 | errors) << 6 | width : ((kind << 5 | differ) << 6 | width);
    key[2] = inputs == FAST ? (kind << 6 | busy) << 4 | errors : (kind << 5 | west) << 5 | north;
    key[3] = (kind << 4 | errors) << 6 | width;
    key[4] = (kind << 5 | plain) << 5 | differ;
    key[5] = (kind << 6 | busy) << 4 | errors;
    key[6] = (kind << 3 | part) << 6 | width;
    if (inputs != FAST) {
        const Seen *corner = p->corner;
        const uint32_t ahead = (uint32_t)(clip(p->ahead->error, 7) + 8), diagonal = (uint32_t)(clip(corner->error, 7) + 8);
        key[7] = (kind << 4 | ahead) << 4 | diagonal;
        key[8] = (kind << 6 | busy) << 6 | width;
        key[9] = (kind << 5 | differ) << 4 | errors;
        key[10] = (kind << 5 | plain) << 6 | width;
        key[11] = kind;
        key[12] = ((kind << 5 | west) << 4 | diagonal) << 4 | width / 4;
        key[13] = ((kind << 5 | north) << 4 | ahead) << 4 | width / 4;
        key[14] = ((uint32_t)least((int)e->step[0], 127) << 6 | width) << 5 | differ;
    }
    Symbol s;
    find_lines(e, inputs - 1, key, 5, &s);
    select_weights(e, inputs, &s, (int)class * 64, ((int)class * 4 + DIRECT) * SCALES + (int)width, 521 + (int)errors);
    s.second = e->second + (class * 64) * NODES * SETS;
    s.correction[0] = e->correction[0] + (class * 64) * NODES * KNOTS;
    s.correction[1] = e->correction[1] + ((class * 32) * 12 + width / 4) * NODES * KNOTS;
    uint32_t *tail = e->tail + class * 64 * 16 * TAIL;
    const int error = code_value(e, decoding, inputs, &s, 1, 12, tail, (int)differ - 16, block[0] - expected);
    own->error = error;
    if (decoding) block[0] = (int16_t)clip(expected + error, LARGEST);
    own->dc = (float)block[0] * e->step[0];
    const float flat = own->dc * 0.125f;
    *(EightAt *)own->right = edge_of(e, own->turned, 1) + flat;
    *(EightAt *)own->below = edge_of(e, own->value, 1) + flat;
}

/* Code one block. */
INLINE void code_block(Engine *e, int decoding, int inputs, const Place *p, int16_t *block) {
    Seen *own = p->own;
    Filled filled = {0};
    for (int i = 0; i < 64; i++) own->value[i] = own->turned[i] = 0.0f, own->number[i] = 0;
    if (!decoding) filled = count_filled(block);
    own->present = 1;
    const int count = code_interior_count(e, decoding, inputs, p, filled.inner);
    own->count = count;
    Progress g = {count, 49, 0, {0}, 0, count, p->left->count + p->above->count};
    int reach[2] = {0}; /* the last column and row of the interior that hold anything */
    for (int i = 0; i < 49 && g.left; i++) {
        const int row = INNER[i] >> 3, column = INNER[i] & 7;
        if (!code_coefficient(e, decoding, inputs, p, block, INTERIOR, row, column, &g)) continue;
        if (column > reach[0]) reach[0] = column;
        if (row > reach[1]) reach[1] = row;
    }
    for (int edge = 0; edge < 2; edge++) {
        const int known = filled.edges[edge];
        g.left = code_edge_count(e, decoding, inputs, p, edge, (uint32_t)reach[edge], known);
        own->edges[edge] = g.left;
        g.places = 7;
        g.last[0] = g.last[1] = g.last[2] = 0;
        for (int i = 1; i < 8 && g.left; i++)
            code_coefficient(e, decoding, inputs, p, block, edge ? COLUMN : ROW, edge ? i : 0, edge ? 0 : i, &g);
    }
    code_direct(e, decoding, inputs, p, block);
}

/* Code rows of blocks until all are done, or until `capacity` might not suffice for the block at `first`, `next`. */
INLINE void code_rows(Engine *e, int decoding, int inputs) {
    const int64_t width = e->columns + 4;
    for (; e->first < e->last; e->first++, e->next = 0) {
        const int64_t y = e->first;
        Seen *row = e->seen + y % 3 * width + 2, *above = e->seen + (y + 2) % 3 * width + 2;
        Seen *above2 = e->seen + (y + 1) % 3 * width + 2;
        for (; e->next < e->columns; e->next++) {
            const int64_t x = e->next;
            if (!decoding && e->coder->position + BLOCK_BYTES > e->capacity) return;
            int16_t *block = e->plane + (y * e->columns + x) * 64;
            Place p = {row + x - 1, above + x, above + x - 1, above + x + 1, row + x - 2, above2 + x, row + x, 0, 0, 0, 0, {{0}}};
            if (e->luma) {
                int64_t ly = y * e->luma_down / e->down, lx = x * e->luma_across / e->across;
                ly = ly < e->luma_rows ? ly : e->luma_rows - 1;
                lx = lx < e->luma_columns ? lx : e->luma_columns - 1;
                p.luma = e->luma + (ly * e->luma_columns + lx) * 64;
                p.filled[0] = count_filled(p.luma);
                p.fine_across = e->luma_across >= 2 * e->across;
                p.fine_down = e->luma_down >= 2 * e->down;
            }
            if (e->chroma) {
                p.chroma = e->chroma + (y * e->columns + x) * 64;
                p.filled[1] = count_filled(p.chroma);
            }
            code_block(e, decoding, inputs, &p, block);
        }
    }
}

DZ_EXPORT void DZ_KERNEL(dz_jpeg_code)(Engine *e) {
    const Mode mode = ieee_mode();
    if (e->out)
        e->inputs == FAST ? code_rows(e, 0, FAST) : e->inputs == 16 ? code_rows(e, 0, 16) : code_rows(e, 0, 24);
    else
        e->inputs == FAST ? code_rows(e, 1, FAST) : e->inputs == 16 ? code_rows(e, 1, 16) : code_rows(e, 1, 24);
    restore_mode(mode);
}
