/* The run-length packets of TGA files: see tgapackets.py. */

#include "../../native.h"

enum { RUN = 0x80, LONGEST = 128 };

static int alike(const uint8_t *a, const uint8_t *b, int pixel) {
    for (int i = 0; i < pixel; i++)
        if (a[i] != b[i]) return 0;
    return 1;
}

/* Unpack `count` pixels of `pixel` bytes, 1 to 4. `heads` gets the first byte of each packet; there is room for `most`.
   `found`: the number of packets, and where they end. Returns 0; or -1 where the data ends too early, -2 where a packet
   goes on behind the last pixel, -3 for too many packets. */
DZ_EXPORT int dz_tga_unpack(const uint8_t *data, int64_t size, uint8_t *out, int64_t count, int pixel, uint8_t *heads,
                            int64_t most, int64_t found[2]) {
    int64_t at = 0, done = 0, packets = 0;
    while (done < count) {
        if (at >= size) return -1;
        if (packets >= most) return -3;
        const int head = data[at++], length = (head & 127) + 1, run = head >= RUN;
        heads[packets++] = (uint8_t)head;
        if (length > count - done) return -2;
        if (size - at < (run ? pixel : length * pixel)) return -1;
        for (int i = 0; i < length; i++) {
            for (int b = 0; b < pixel; b++) out[(done + i) * pixel + b] = data[at + b];
            at += run ? 0 : pixel;
        }
        at += run ? pixel : 0;
        done += length;
    }
    found[0] = packets;
    found[1] = at;
    return 0;
}

/* Pack `count` pixels in packets with these first bytes. Returns the number of bytes; -1 where `room` does not hold them,
   -2 where the packets do not hold just these pixels. */
DZ_EXPORT int64_t dz_tga_pack(const uint8_t *pixels, int64_t count, int pixel, const uint8_t *heads, int64_t packets,
                              uint8_t *out, int64_t room) {
    int64_t at = 0, done = 0;
    for (int64_t p = 0; p < packets; p++) {
        const int length = (heads[p] & 127) + 1, bytes = (heads[p] >= RUN ? 1 : length) * pixel;
        if (length > count - done) return -2;
        if (room - at < 1 + bytes) return -1;
        out[at++] = heads[p];
        for (int i = 0; i < bytes; i++) out[at++] = pixels[done * pixel + i];
        done += length;
    }
    return done == count ? at : -2;
}

/* The first bytes of the packets of a usual encoder, for `row` pixels at a time: two alike pixels begin a packet of such
   and end one of unlike pixels; but for its last possible pixel, if `hasty` is not 0. `heads` has room for `count` bytes.
   Returns the number of packets. */
DZ_EXPORT int64_t dz_tga_heads(const uint8_t *pixels, int64_t count, int pixel, int64_t row, int hasty, uint8_t *heads) {
    int64_t packets = 0;
    for (int64_t start = 0; start < count; start += row) {
        const int64_t end = row < count - start ? start + row : count;
        int64_t at = start;
        while (at < end) {
            int64_t next = at + 1;
            const uint8_t *first = pixels + at * pixel;
            const int run = next < end && alike(first, first + pixel, pixel);
            if (run) {
                while (next < end && next - at < LONGEST && alike(first, pixels + next * pixel, pixel)) next++;
            } else {
                while (next < end && next - at < LONGEST &&
                       !((!hasty || next - at < LONGEST - 1) && next + 1 < end &&
                         alike(pixels + next * pixel, pixels + (next + 1) * pixel, pixel)))
                    next++;
            }
            heads[packets++] = (uint8_t)((run ? RUN : 0) | (int)(next - at - 1));
            at = next;
        }
    }
    return packets;
}
