/* The LZW codes of GIF files, read and written again.

   An encoder's only choice, if it always takes the longest string of its table, is when it clears the table. So the
   decoder notes after how many codes that was done, and the encoder is told.

   Source: GIF89a specification, appendix F. */

#include "../../native.h"

enum { MOST_CODES = 4096, MOST_BITS = 12, SLOTS = 1 << 14 };

/* How many bits the next code has, after `codes` codes since the table was cleared: as a decoder sees it, which adds a
   string to its table for every code but the first one. */
static int width_after(int64_t codes, int first_free, int width) {
    const int64_t next = first_free + (codes > 0 ? codes - 1 : 0);
    return width < MOST_BITS && next == (int64_t)1 << width ? width + 1 : width;
}

/* Decode `count` indices. `clears` gets, for each clear code, the number of codes since the one before it; there is room
   for `most_clears` of them. `found`: the number of clear codes, the position of the first bit behind the last index's
   code, and the number of bits and of codes since the table was cleared there.
   Returns 0; or -1, the data ends or an end code stands too early; -2, an impossible code; -3, more indices than `count`;
   -4, more clear codes than there is room for. */
DZ_EXPORT int dz_gif_unlzw(const uint8_t *data, int64_t size, int literal_bits, uint8_t *out, int64_t count,
                            int32_t *clears, int64_t most_clears, int64_t found[4]) {
    uint16_t prefix[MOST_CODES];
    uint8_t last[MOST_CODES];
    uint16_t length[MOST_CODES];
    const int clear = 1 << literal_bits, end = clear + 1;
    for (int i = 0; i < clear; i++) {
        prefix[i] = 0;
        last[i] = (uint8_t)i;
        length[i] = 1;
    }
    int width = literal_bits + 1, next = end + 1, before = -1;
    int64_t at = 0, done = 0, codes = 0, cleared = 0;
    const int64_t bits = size * 8;
    while (done < count) {
        if (at + width > bits) return -1;
        uint32_t code = 0;
        for (int64_t byte = at >> 3; byte <= (at + width - 1) >> 3; byte++)
            code |= (uint32_t)data[byte] << (8 * (byte - (at >> 3)));
        code = code >> (at & 7) & ((1u << width) - 1);
        at += width;
        if (code == (uint32_t)clear) {
            if (cleared >= most_clears) return -4;
            clears[cleared++] = (int32_t)(codes < INT32_MAX ? codes : INT32_MAX);
            width = literal_bits + 1;
            next = end + 1;
            before = -1;
            codes = 0;
            continue;
        }
        if (code == (uint32_t)end) return -1;
        if (code >= (uint32_t)next && !(code == (uint32_t)next && before >= 0 && next < MOST_CODES)) return -2;
        if (before >= 0 && next < MOST_CODES) {
            /* The string of the code before, and the first index of this one, which may be that very string. */
            uint32_t first = code == (uint32_t)next ? (uint32_t)before : code;
            while (first >= (uint32_t)clear) first = prefix[first];
            prefix[next] = (uint16_t)before;
            last[next] = (uint8_t)first;
            length[next] = (uint16_t)(length[before] + 1);
            next++;
        }
        const int64_t run = length[code];
        if (run > count - done) return -3;
        uint32_t walk = code;
        for (int64_t i = run - 1; i >= 0; i--) {
            out[done + i] = last[walk];
            walk = prefix[walk];
        }
        done += run;
        before = (int)code;
        codes++;
        width = width_after(codes, end + 1, width);
    }
    found[0] = cleared;
    found[1] = at;
    found[2] = width;
    found[3] = codes;
    return 0;
}

typedef struct {
    uint8_t *out;
    int64_t room, at;
    uint64_t held;
    int bits;
} Writer;

static int put(Writer *w, uint32_t code, int width) {
    w->held |= (uint64_t)code << w->bits;
    w->bits += width;
    while (w->bits >= 8) {
        if (w->at >= w->room) return 0;
        w->out[w->at++] = (uint8_t)w->held;
        w->held >>= 8;
        w->bits -= 8;
    }
    return 1;
}

/* Encode `count` indices, each below 2^literal_bits, by the longest strings, or each by itself if `single` is not 0; clear the table after so many codes since
   the last time as `clears` says, and for the rest of the indices, if `when_full` is not 0, whenever a table of so many
   codes is full. `end_code`: whether an end code follows. `found` gets the number of bits written.
   Returns the number of bytes, the last one filled with zeros; -1 where `room` does not hold them; -2 for an index that
   is too large. */
DZ_EXPORT int64_t dz_gif_lzw(const uint8_t *in, int64_t count, int literal_bits, const int32_t *clears,
                                int64_t clear_count, int when_full, int single, int end_code, uint8_t *out,
                                int64_t room, int64_t found[1]) {
    uint32_t keys[SLOTS];
    uint16_t values[SLOTS];
    const int clear = 1 << literal_bits, end = clear + 1;
    Writer w = {out, room, 0, 0, 0};
    int width = literal_bits + 1, next = end + 1;
    int64_t codes = 0, position = 0, cleared = 0;
    for (int i = 0; i < SLOTS; i++) keys[i] = UINT32_MAX;
    while (1) {
        while (cleared < clear_count ? codes == clears[cleared] : when_full && next >= when_full) {
            if (!put(&w, (uint32_t)clear, width)) return -1;
            cleared++;
            width = literal_bits + 1;
            next = end + 1;
            codes = 0;
            for (int i = 0; i < SLOTS; i++) keys[i] = UINT32_MAX;
        }
        if (position >= count) break;
        if (in[position] >= clear) return -2;
        uint32_t code = in[position++];
        while (position < count && !single) {
            const uint32_t index = in[position], key = code << 8 | index;
            if (index >= (uint32_t)clear) return -2;
            uint32_t slot = (key * 2654435761u) >> 18;
            while (keys[slot] != UINT32_MAX && keys[slot] != key) slot = (slot + 1) % SLOTS;
            if (keys[slot] == UINT32_MAX) {
                if (next < MOST_CODES) {
                    keys[slot] = key;
                    values[slot] = (uint16_t)next++;
                }
                break;
            }
            code = values[slot];
            position++;
        }
        if (!put(&w, code, width)) return -1;
        codes++;
        width = width_after(codes, end + 1, width);
    }
    if (end_code && !put(&w, (uint32_t)end, width)) return -1;
    found[0] = w.at * 8 + w.bits;
    if (w.bits > 0) {
        if (w.at >= w.room) return -1;
        w.out[w.at++] = (uint8_t)w.held;
    }
    return w.at;
}
