/* The decimal samples of plain PNM files: see pnmtext.py. */

#include "../../native.h"

enum { MOST_DIGITS = 9, LARGEST = 65535, CHANNELS = 3 };

static int is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

static int is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

/* Read `count` numbers between white space; if `single` is not 0 each digit is one. `found`: where the last one ends, or
   what was wrong. Returns 0; or -1, the data ends too early, -2, no number, -3, one of too many digits, -4, one that is
   too large. */
DZ_EXPORT int dz_plain_read(const uint8_t *data, int64_t size, int64_t count, int single, uint16_t *values,
                            int64_t found[1]) {
    int64_t at = 0;
    for (int64_t i = 0; i < count; i++) {
        while (at < size && is_space(data[at])) at++;
        found[0] = at;
        if (at >= size) return -1;
        if (!is_digit(data[at])) return -2;
        uint32_t value = 0;
        int digits = 0;
        while (at < size && is_digit(data[at]) && !(single && digits)) {
            if (++digits > MOST_DIGITS) return -3;
            value = value * 10 + data[at++] - '0';
        }
        if (value > LARGEST) return -4;
        values[i] = (uint16_t)value;
    }
    found[0] = at;
    return 0;
}

/* Of the white space between the numbers that `dz_plain_read` has read, up to `size`: how many numbers each line has but
   the last (room for `most` of them), and for each of the kinds, behind channel 0, 1, ... within a line and, last, behind
   a line, where it is found first and how long it is (-1: nowhere). Blanks that fill a number up to `pad` characters are
   the number's. Returns the number of lines, or -1. */
DZ_EXPORT int64_t dz_plain_space(const uint8_t *data, int64_t size, int64_t count, int single, int pad, int channels,
                                 int32_t *lengths, int64_t most, int64_t places[2 * (CHANNELS + 1)]) {
    int64_t at = 0, lines = 0, held = 0;
    for (int i = 0; i < 2 * (channels + 1); i++) places[i] = -1;
    while (at < size && is_space(data[at])) at++;
    for (int64_t i = 0; i < count - 1; i++) {
        int digits = 0;
        while (at < size && is_digit(data[at]) && !(single && digits)) {
            at++;
            digits++;
        }
        const int64_t start = at;
        while (at < size && is_space(data[at])) at++;
        int64_t stop = at;
        int width = 1;
        while (!single && at + width < size && is_digit(data[at + width])) width++;
        for (; width < pad && stop > start && data[stop - 1] == ' '; width++) stop--;
        int line = 0;
        for (int64_t s = start; s < stop; s++) line |= data[s] == '\n';
        const int kind = line ? channels : (int)(i % channels);
        held++;
        if (line) {
            if (lines >= most) return -1;
            lengths[lines++] = (int32_t)(held < INT32_MAX ? held : INT32_MAX);
            held = 0;
        }
        if (places[2 * kind] < 0) {
            places[2 * kind] = start;
            places[2 * kind + 1] = stop - start;
        }
    }
    return lines;
}

/* Write `count` numbers with white space between them: `texts` holds that behind channel 0, 1, ... and behind a line, one
   after the other, which end at `ends`; `lines` is (numbers of a line, number of such lines) for all lines but the last.
   Numbers have blanks before them up to `pad` characters. `out` may be null, to learn the size. Returns the number of bytes, or -1 where `room` does not hold them. */
DZ_EXPORT int64_t dz_plain_write(const uint16_t *values, int64_t count, int channels, const uint8_t *texts,
                                 const int64_t ends[CHANNELS + 1], const int64_t *lines, int64_t line_count, int pad,
                                 uint8_t *out, int64_t room) {
    int64_t at = 0, group = 0, repeats = line_count ? lines[1] : 0, left = line_count ? lines[0] : INT64_MAX;
    for (int64_t i = 0; i < count; i++) {
        uint8_t digits[5];
        int length = 0;
        for (uint32_t rest = values[i]; rest || !length; rest /= 10) digits[length++] = (uint8_t)('0' + rest % 10);
        const int blanks = length < pad ? pad - length : 0;
        int kind = (int)(i % channels);
        if (--left == 0) {
            kind = channels;
            if (--repeats == 0) {
                group++;
                repeats = group < line_count ? lines[2 * group + 1] : 0;
            }
            left = group < line_count ? lines[2 * group] : INT64_MAX;
        }
        const int64_t start = kind ? ends[kind - 1] : 0, space = i < count - 1 ? ends[kind] - start : 0;
        if (out) {
            if (room - at < blanks + length + space) return -1;
            uint8_t *to = out + at;
            for (int b = 0; b < blanks; b++) *to++ = ' ';
            for (int d = length - 1; d >= 0; d--) *to++ = digits[d];
            for (int64_t s = 0; s < space; s++) *to++ = texts[start + s];
        }
        at += blanks + length + space;
    }
    return at;
}
