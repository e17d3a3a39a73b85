/* QOI pixels: the operations of the format, decoded and chosen again as its specification has an encoder choose them.

   Source: The Quite OK Image Format, specification 1.0 (Dominic Szablewski, 2022). */

#include "../../native.h"

enum { INDEX = 0x00, DIFF = 0x40, LUMA = 0x80, RUN = 0xC0, RGB = 0xFE, RGBA = 0xFF, LONGEST_RUN = 62 };

typedef struct {
    uint8_t r, g, b, a;
} Pixel;

static int same(Pixel p, Pixel q) { return p.r == q.r && p.g == q.g && p.b == q.b && p.a == q.a; }

static unsigned place(Pixel p) { return (p.r * 3u + p.g * 5u + p.b * 7u + p.a * 11u) % 64; }

/* Decode `count` pixels of 3 or 4 channels. Returns the number of bytes read, or -1 where they end too early, or -2 where
   a run goes on behind the last pixel. */
DZ_EXPORT int64_t dz_qoi_decode(const uint8_t *data, int64_t size, uint8_t *out, int64_t count, int channels) {
    Pixel seen[64] = {{0}}, pixel = {0, 0, 0, 255};
    int64_t at = 0, done = 0;
    while (done < count) {
        if (at >= size) return -1;
        const unsigned byte = data[at++];
        int64_t repeats = 1;
        if (byte == RGB || byte == RGBA) {
            const int more = byte == RGB ? 3 : 4;
            if (size - at < more) return -1;
            pixel.r = data[at];
            pixel.g = data[at + 1];
            pixel.b = data[at + 2];
            if (byte == RGBA) pixel.a = data[at + 3];
            at += more;
        } else if ((byte & 0xC0) == INDEX) {
            pixel = seen[byte];
        } else if ((byte & 0xC0) == DIFF) {
            pixel.r = (uint8_t)(pixel.r + (byte >> 4 & 3) - 2);
            pixel.g = (uint8_t)(pixel.g + (byte >> 2 & 3) - 2);
            pixel.b = (uint8_t)(pixel.b + (byte & 3) - 2);
        } else if ((byte & 0xC0) == LUMA) {
            if (at >= size) return -1;
            const unsigned next = data[at++];
            const int green = (int)(byte & 63) - 32;
            pixel.r = (uint8_t)(pixel.r + green - 8 + (int)(next >> 4));
            pixel.g = (uint8_t)(pixel.g + green);
            pixel.b = (uint8_t)(pixel.b + green - 8 + (int)(next & 15));
        } else {
            repeats = (byte & 63) + 1;
            if (repeats > count - done) return -2;
        }
        seen[place(pixel)] = pixel;
        for (; repeats > 0; repeats--, done++) {
            uint8_t *to = out + done * channels;
            to[0] = pixel.r;
            to[1] = pixel.g;
            to[2] = pixel.b;
            if (channels == 4) to[3] = pixel.a;
        }
    }
    return at;
}

/* Encode `count` pixels as the specification's encoder does. Returns the number of bytes, or -1 where `room` does not hold
   them: 4 bytes for a pixel of 3 channels, 5 for one of 4 always do. */
DZ_EXPORT int64_t dz_qoi_encode(const uint8_t *in, int64_t count, int channels, uint8_t *out, int64_t room) {
    Pixel seen[64] = {{0}}, last = {0, 0, 0, 255};
    int64_t at = 0;
    int run = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *from = in + i * channels;
        const Pixel pixel = {from[0], from[1], from[2], channels == 4 ? from[3] : 255};
        if (room - at < 6) return -1;
        if (same(pixel, last)) {
            run++;
            if (run == LONGEST_RUN || i == count - 1) {
                out[at++] = (uint8_t)(RUN | (run - 1));
                run = 0;
            }
            continue;
        }
        if (run > 0) {
            out[at++] = (uint8_t)(RUN | (run - 1));
            run = 0;
        }
        const unsigned index = place(pixel);
        if (same(seen[index], pixel)) {
            out[at++] = (uint8_t)(INDEX | index);
            last = pixel;
            continue;
        }
        seen[index] = pixel;
        if (pixel.a != last.a) {
            out[at] = RGBA;
            out[at + 1] = pixel.r;
            out[at + 2] = pixel.g;
            out[at + 3] = pixel.b;
            out[at + 4] = pixel.a;
            at += 5;
        } else {
            const int r = (int8_t)(uint8_t)(pixel.r - last.r), g = (int8_t)(uint8_t)(pixel.g - last.g);
            const int b = (int8_t)(uint8_t)(pixel.b - last.b);
            const int rg = (int8_t)(uint8_t)(r - g), bg = (int8_t)(uint8_t)(b - g);
            if (r >= -2 && r <= 1 && g >= -2 && g <= 1 && b >= -2 && b <= 1) {
                out[at++] = (uint8_t)(DIFF | (r + 2) << 4 | (g + 2) << 2 | (b + 2));
            } else if (g >= -32 && g <= 31 && rg >= -8 && rg <= 7 && bg >= -8 && bg <= 7) {
                out[at++] = (uint8_t)(LUMA | (g + 32));
                out[at++] = (uint8_t)((rg + 8) << 4 | (bg + 8));
            } else {
                out[at] = RGB;
                out[at + 1] = pixel.r;
                out[at + 2] = pixel.g;
                out[at + 3] = pixel.b;
                at += 4;
            }
        }
        last = pixel;
    }
    return at;
}
