/* What chroma adds to luma, as libjpeg-turbo computes it: for the decoder and for searches of the encoder. */

#ifndef DZ_HISTORY_DECODE_H
#define DZ_HISTORY_DECODE_H

#include "../../native.h"

enum { CENTRE = 128 };

static inline int kept(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

/* What a pixel's chroma adds to its luma: in red, green and blue. */
static inline void chroma_of(int cb, int cr, int *shift) {
    const int b = cb - CENTRE, r = cr - CENTRE;
    shift[0] = (91881 * r + 32768) >> 16;
    shift[1] = (-22554 * b - 46802 * r + 32768) >> 16;
    shift[2] = (116130 * b + 32768) >> 16;
}

#endif
