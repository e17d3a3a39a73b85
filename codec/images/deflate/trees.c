/* Huffman trees as zlib builds and writes them, and which kind of block it chooses.

   Among trees of the same cost there are many; which one comes out depends on the order of a heap, so that is followed. */

#include "deflate.h"

#define MAX_BITS 15
#define MAX_LENGTH_BITS 7
#define HEAP (2 * LITERALS + 1)

static const uint8_t ORDER[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

enum { REPEAT = 16, ZEROS = 17, MANY_ZEROS = 18 };

/* The symbol of a length from 3 to 258, and its extra bits. */
uint32_t dz_deflate_length_code(uint32_t length, uint32_t *extra, uint32_t *value) {
    const uint32_t from = length - 3;
    *extra = *value = 0;
    if (length == MAX_MATCH) return 285;
    if (from < 8) return 257 + from;
    const uint32_t bits = 29 - (uint32_t)__builtin_clz(from);
    *extra = bits;
    *value = from & ((1u << bits) - 1);
    return 257 + 4 * bits + (from >> bits);
}

/* The symbol of a distance from 1 to 32768, and its extra bits. */
uint32_t dz_deflate_distance_code(uint32_t distance, uint32_t *extra, uint32_t *value) {
    const uint32_t from = distance - 1;
    *extra = *value = 0;
    if (from < 4) return from;
    const uint32_t bits = 30 - (uint32_t)__builtin_clz(from);
    *extra = bits;
    *value = from & ((1u << bits) - 1);
    return 2 * bits + (from >> bits);
}

static uint32_t literal_extra(uint32_t symbol) {
    return symbol < 265 || symbol == 285 ? 0 : (symbol - 261) >> 2;
}

static uint32_t distance_extra(uint32_t symbol) { return symbol < 4 ? 0 : (symbol >> 1) - 1; }

void dz_deflate_static_trees(Trees *trees) {
    for (uint32_t i = 0; i < LITERALS + 2; i++) trees->lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    for (uint32_t i = 0; i < DISTANCES + 2; i++) trees->distances[i] = 5;
    trees->literals_used = LITERALS + 2;
    trees->distances_used = DISTANCES + 2;
}

static int before(const Coder *c, uint32_t a, uint32_t b) {
    const uint32_t x = c->nodes[a].frequency, y = c->nodes[b].frequency;
    return x < y || (x == y && c->depth[a] <= c->depth[b]);
}

static void sift(Coder *c, uint32_t count, uint32_t k) {
    const uint32_t moved = c->heap[k];
    for (uint32_t j = 2 * k; j <= count; j *= 2) {
        if (j < count && before(c, c->heap[j + 1], c->heap[j])) j++;
        if (before(c, moved, c->heap[j])) break;
        c->heap[k] = c->heap[j];
        k = j;
    }
    c->heap[k] = moved;
}

/* Gives each symbol with a frequency its number of bits; returns the largest symbol used. */
static uint32_t build(Coder *c, const uint32_t *frequencies, uint32_t symbols, uint32_t most_bits, uint8_t *lengths) {
    uint32_t count = 0, top = HEAP, largest = 0, node = symbols, overflow = 0;
    int any = 0;
    for (uint32_t i = 0; i < symbols; i++) {
        c->nodes[i] = (Node){frequencies[i], 0, 0, 0};
        lengths[i] = 0;
        if (!frequencies[i]) continue;
        c->heap[++count] = largest = i;
        c->depth[i] = 0;
        any = 1;
    }
    /* At least two codes: unused symbols make up for what is missing. */
    while (count < 2) {
        const uint32_t extra = !any ? 0 : largest < 2 ? largest + 1 : 0;
        if (!any || largest < 2) largest = extra;
        any = 1;
        c->heap[++count] = extra;
        c->nodes[extra].frequency = 1;
        c->depth[extra] = 0;
    }
    for (uint32_t k = count / 2; k; k--) sift(c, count, k);
    do {
        const uint32_t a = c->heap[1];
        c->heap[1] = c->heap[count--];
        sift(c, count, 1);
        const uint32_t b = c->heap[1];
        c->heap[--top] = a;
        c->heap[--top] = b;
        c->nodes[node] = (Node){c->nodes[a].frequency + c->nodes[b].frequency, 0, 0, 0};
        c->depth[node] = (uint8_t)((c->depth[a] > c->depth[b] ? c->depth[a] : c->depth[b]) + 1);
        c->nodes[a].parent = c->nodes[b].parent = node;
        c->heap[1] = node++;
        sift(c, count, 1);
    } while (count >= 2);
    c->heap[--top] = c->heap[1];

    uint32_t of_length[MAX_BITS + 1] = {0};
    c->nodes[c->heap[top]].bits = 0;
    for (uint32_t h = top + 1; h < HEAP; h++) {
        Node *n = &c->nodes[c->heap[h]];
        n->bits = c->nodes[n->parent].bits + 1;
        if (n->bits > most_bits) {
            n->bits = most_bits;
            overflow++;
        }
        if (c->heap[h] <= largest) of_length[n->bits]++;
    }
    if (overflow) {
        for (int left = (int)overflow; left > 0; left -= 2) {
            uint32_t bits = most_bits - 1;
            while (!of_length[bits]) bits--;
            of_length[bits]--;
            of_length[bits + 1] += 2;
            of_length[most_bits]--;
        }
        uint32_t h = HEAP;
        for (uint32_t bits = most_bits; bits; bits--) {
            for (uint32_t n = of_length[bits]; n;) {
                const uint32_t symbol = c->heap[--h];
                if (symbol > largest) continue;
                c->nodes[symbol].bits = bits;
                n--;
            }
        }
    }
    for (uint32_t i = 0; i <= largest; i++) {
        if (c->nodes[i].frequency) lengths[i] = (uint8_t)c->nodes[i].bits;
    }
    return largest;
}

/* Codes of given lengths, with their bits in the order in which they are written. */
void dz_deflate_codes(const uint8_t *lengths, uint32_t count, uint32_t *codes) {
    uint32_t of_length[MAX_BITS + 1] = {0}, next[MAX_BITS + 2] = {0};
    for (uint32_t i = 0; i < count; i++) of_length[lengths[i]]++;
    of_length[0] = 0;
    for (uint32_t bits = 1; bits <= MAX_BITS; bits++) next[bits + 1] = (next[bits] + of_length[bits]) << 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = lengths[i] ? next[lengths[i]]++ : 0, turned = 0;
        for (uint32_t bit = 0; bit < lengths[i]; bit++, code >>= 1) turned = turned << 1 | (code & 1);
        codes[i] = turned;
    }
}

/* The lengths of a tree's codes as symbols of the tree of lengths: each is symbol | value << 8, as zlib groups them. */
static uint32_t pack(const uint8_t *lengths, uint32_t count, uint16_t *out) {
    uint32_t made = 0, run = 0, previous = NO_LIMIT;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t now = lengths[i], next = i + 1 < count ? lengths[i + 1] : NO_LIMIT;
        const uint32_t most = now ? now == previous ? 6 : 7 : 138, least = now && now != previous ? 4 : 3;
        if (++run < most && now == next) continue;
        if (run < least) {
            while (run) {
                out[made++] = (uint16_t)now;
                run--;
            }
        } else if (now) {
            if (now != previous) {
                out[made++] = (uint16_t)now;
                run--;
            }
            out[made++] = (uint16_t)(REPEAT | (run - 3) << 8);
        } else if (run <= 10) {
            out[made++] = (uint16_t)(ZEROS | (run - 3) << 8);
        } else {
            out[made++] = (uint16_t)(MANY_ZEROS | (run - 11) << 8);
        }
        run = 0;
        previous = now;
    }
    return made;
}

static uint64_t cost(const uint32_t *frequencies, uint32_t count, const uint8_t *lengths, uint32_t (*extra)(uint32_t)) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (frequencies[i]) bits += (uint64_t)frequencies[i] * (lengths[i] + extra(i));
    }
    return bits;
}

/* Makes the dynamic trees of the block that was collected, writes their description, and says which kind of block the
   coder would write. The frequencies are left as they are, but for that of the end. */
int dz_deflate_choose(Coder *c, Trees *trees, Writer *header) {
    static const uint8_t EXTRA[3] = {2, 3, 7};
    Trees fixed;
    uint16_t packed[LITERALS + DISTANCES];
    uint32_t frequencies[LENGTHS] = {0}, codes[LENGTHS];
    uint8_t lengths[LENGTHS];
    __builtin_memset(trees, 0, sizeof *trees);
    dz_deflate_static_trees(&fixed);
    c->frequencies[END_OF_BLOCK] = 1;
    trees->literals_used = build(c, c->frequencies, LITERALS, MAX_BITS, trees->lengths) + 1;
    trees->distances_used = build(c, c->distance_frequencies, DISTANCES, MAX_BITS, trees->distances) + 1;
    uint32_t count = pack(trees->lengths, trees->literals_used, packed);
    count += pack(trees->distances, trees->distances_used, packed + count);
    for (uint32_t i = 0; i < count; i++) frequencies[packed[i] & 255]++;
    build(c, frequencies, LENGTHS, MAX_LENGTH_BITS, lengths);
    dz_deflate_codes(lengths, LENGTHS, codes);
    uint32_t sent = LENGTHS;
    while (sent > 4 && !lengths[ORDER[sent - 1]]) sent--;

    header->at = 0;
    dz_bits_put(header, trees->literals_used - 257, 5);
    dz_bits_put(header, trees->distances_used - 1, 5);
    dz_bits_put(header, sent - 4, 4);
    for (uint32_t i = 0; i < sent; i++) dz_bits_put(header, lengths[ORDER[i]], 3);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t symbol = packed[i] & 255;
        dz_bits_put(header, codes[symbol], lengths[symbol]);
        if (symbol >= REPEAT) dz_bits_put(header, packed[i] >> 8, EXTRA[symbol - REPEAT]);
    }

    uint64_t dynamic = header->at + cost(c->frequencies, LITERALS, trees->lengths, literal_extra) +
                       cost(c->distance_frequencies, DISTANCES, trees->distances, distance_extra);
    const uint64_t plain = cost(c->frequencies, LITERALS, fixed.lengths, literal_extra) +
                           cost(c->distance_frequencies, DISTANCES, fixed.distances, distance_extra);
    const uint64_t static_bytes = (plain + 10) >> 3, stored = c->at - c->block_start;
    if (c->family == NG_QUICK) return STATIC;
    dynamic = (dynamic + 10) >> 3;
    if (static_bytes <= dynamic || c->fixed) dynamic = static_bytes;
    if (stored + 4 <= dynamic && stored <= 0xffff && c->block_start >= c->base && c->tokens) return STORED;
    return dynamic == static_bytes ? STATIC : DYNAMIC;
}
