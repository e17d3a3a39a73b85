/* Reads the exceptions of calibrated.py. */

#include "../native.h"

/* Fill in `count` gaps and sides from `size` bits, one in each byte: a gap is its upper part in ones and a zero, then
   its `shift` lowest bits, then the side. Returns the position behind the last bit, or -1 where the bits end too early.
 */
DZ_EXPORT int64_t dz_read_gaps(const uint8_t *bits, int64_t size, int64_t shift, int64_t count, int64_t *gaps,
                               uint8_t *sides) {
    int64_t position = 0;
    if (shift < 0 || shift > 31)
        return -1;
    for (int64_t number = 0; number < count; number++) {
        uint64_t gap = 0;
        for (; position < size && bits[position]; position++)
            gap++;
        if (shift + 2 > size - position)
            return -1;
        for (int64_t k = 1; k <= shift; k++)
            gap = gap << 1 | bits[position + k];
        gaps[number] = (int64_t)gap;
        sides[number] = bits[position + 1 + shift] != 0;
        position += shift + 2;
    }
    return position;
}
