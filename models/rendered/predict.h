/* Predictions of a sample from those before it: fixed ones, and linear ones that are fitted to the picture as it goes.

   Source of the fit: least squares with forgetting, solved by elimination without pivoting, which a positive definite
   matrix does not need; what rounding left of a pivot that should be positive is taken for a regressor that says
   nothing. */

#ifndef DZ_RENDERED_PREDICT_H
#define DZ_RENDERED_PREDICT_H

#include "rendered.h"

/* Forgetting per sample, and how many samples go by between two solutions, once many have been seen. */
#define BIG_MEMORY 0.9998
#define MIDDLE_MEMORY 0.998
#define SMALL_MEMORY 0.97
#define RIDGE 0.03
#define RIVAL_MEMORY 0.98

/* weights: (products + ridge I)^-1 targets, of `n` regressors. */
INLINE void solve(Squares *fit, const int n) {
    double m[REGRESSORS * REGRESSORS], y[REGRESSORS], inverse[REGRESSORS];
    double trace = 0;
    for (int i = 0; i < n; i++)
        trace += fit->products[i * n + i];
    const double ridge = RIDGE + 1e-10 * trace;
    for (int i = 0; i < n * n; i++)
        m[i] = fit->products[i];
    for (int i = 0; i < n; i++)
        y[i] = fit->targets[i];
    for (int k = 0; k < n; k++) {
        const double pivot = m[k * n + k] + ridge;
        inverse[k] = pivot > 0.5 * ridge ? 1 / pivot : 0;
        for (int i = k + 1; i < n; i++) {
            const double factor = m[k * n + i] * inverse[k];
            for (int j = i; j < n; j++)
                m[i * n + j] -= factor * m[k * n + j];
            y[i] -= factor * y[k];
        }
    }
    for (int k = n - 1; k >= 0; k--) {
        const double weight = y[k] * inverse[k];
        fit->weights[k] = weight;
        for (int i = 0; i < k; i++)
            y[i] -= m[i * n + k] * weight;
    }
}

INLINE double guess(const Squares *fit, const double *regressors, const int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += fit->weights[i] * regressors[i];
    return sum;
}

/* Take in that the regressors were followed by `target`. */
INLINE void observe(Squares *fit, const double *regressors, double target, double memory, const int n) {
    for (int i = 0; i < n; i++) {
        const double own = regressors[i];
        for (int j = 0; j < n; j++)
            fit->products[i * n + j] = fit->products[i * n + j] * memory + own * regressors[j];
        fit->targets[i] = fit->targets[i] * memory + own * target;
    }
}

/* The value in the middle of west, north, and their sum less the north-west: the predictor of LOCO-I. */
INLINE int32_t median(int32_t west, int32_t north, int32_t corner) {
    const int32_t low = smaller(west, north), high = larger(west, north);
    return corner >= high ? low : corner <= low ? high : west + north - corner;
}

INLINE float bounded(double x, int64_t maximum) {
    x = x > 0 ? x : 0;
    return (float)(x < (double)maximum ? x : (double)maximum);
}

/* All predictions of channel c of the pixel at `p`, and the one that is coded against. `stride` in samples. */
INLINE void predict(const State *state, const uint16_t *p, int64_t stride, int64_t c, int64_t x, int64_t y,
                    Outlook *out) {
    const int64_t channels = state->channels;
    const uint16_t *above = p - stride, *second = above - stride, *third = second - stride;
    const int32_t w = p[-channels], ww = p[-2 * channels], www = p[-3 * channels];
    const int32_t n = above[0], nw = above[-channels], ne = above[channels], nn = second[0], nne = second[channels];
    const int32_t *offsets = state->offsets + c * REGRESSORS * 2;
    const Squares *squares = state->squares + c * 3;
    for (int i = 0; i < REGRESSORS; i++)
        out->regressors[i] = (double)((int32_t)p[offsets[2 * i]] - (int32_t)p[offsets[2 * i + 1]]);
    out->base = w;
    float *guesses = out->guesses;
    const int64_t most = state->maximum;
    guesses[0] = (float)w;
    guesses[1] = (float)n;
    guesses[2] = (float)median(w, n, nw);
    guesses[3] = bounded(w + n - nw, most);
    guesses[4] = bounded(2 * w - ww, most);
    guesses[5] = bounded(2 * n - nn, most);
    guesses[6] = bounded(n + ne - nne, most);
    guesses[7] = bounded(w + ne - n, most);
    guesses[8] = bounded(w + guess(squares, out->regressors, REGRESSORS), most);
    guesses[9] = bounded(w + guess(squares + 1, out->regressors, MIDDLE), most);
    guesses[10] = bounded(w + guess(squares + 2, out->regressors, SMALL), most);
    guesses[11] = (float)ne;
    guesses[12] = bounded(3 * w - 3 * ww + www, most);
    if (c == 0) {
        guesses[13] = bounded(3 * n - 3 * nn + third[0], most);
        guesses[14] = (float)(w + n) * 0.5f;
        guesses[15] = (float)nw;
    } else { /* along with the channel before */
        const uint16_t *q = p - 1;
        const int32_t now = q[0], qw = q[-channels], qn = q[-stride], qnw = q[-stride - channels];
        guesses[13] = bounded(w + now - qw, most);
        guesses[14] = bounded(n + now - qn, most);
        guesses[15] = bounded(now + median(w - qw, n - qn, nw - qnw), most);
    }
    /* Each counts by the inverse of the square of its errors nearby. */
    const int64_t row = (state->width + 2 * MARGIN) * channels * PREDICTORS;
    const int64_t at = ((x + MARGIN) * channels + c) * PREDICTORS, step = channels * PREDICTORS;
    const float *here = state->errors + (y & 1) * row + at, *up = state->errors + (~y & 1) * row + at;
    float total = 0, sum = 0, shares[PREDICTORS];
    for (int k = 0; k < PREDICTORS; k++) {
        const float error = 2 * (here[k - step] + up[k]) + (here[k - 2 * step] + (up[k - step] + up[k + step])) + 0.3f;
        const float square = error * error;
        shares[k] = 1 / (square * square);
    }
    for (int k = 0; k < PREDICTORS; k++) {
        total += shares[k];
        sum += shares[k] * guesses[k];
    }
    out->rivals[0] = sum / total;
    out->rivals[1] = guesses[8];
    out->rivals[2] = guesses[9];
    const double *past = state->rivals + c * RIVALS;
    const int best = past[1] < past[0] ? (past[2] < past[1] ? 2 : 1) : (past[2] < past[0] ? 2 : 0);
    const double scaled = out->rivals[best] * 16 + 8;
    const int32_t sixteenths = clamp((int32_t)scaled, 0, (int32_t)most * 16 + 15);
    out->prediction = sixteenths >> 4;
    out->fraction = sixteenths & 15;
}

/* All that predicts learns the sample. */
INLINE void take_in(State *state, const Outlook *out, int32_t sample, int64_t c, int64_t x, int64_t y, int64_t pixels) {
    Squares *squares = state->squares + c * 3;
    const double target = sample - out->base;
    observe(squares, out->regressors, target, BIG_MEMORY, REGRESSORS);
    observe(squares + 1, out->regressors, target, MIDDLE_MEMORY, MIDDLE);
    observe(squares + 2, out->regressors, target, SMALL_MEMORY, SMALL);
    if (pixels < 256 || (pixels & 7) == 0)
        solve(squares, REGRESSORS);
    if (pixels < 256 || (pixels & 1) == 0)
        solve(squares + 1, MIDDLE);
    solve(squares + 2, SMALL);
    const int64_t row = (state->width + 2 * MARGIN) * state->channels * PREDICTORS;
    float *errors = state->errors + (y & 1) * row + ((x + MARGIN) * state->channels + c) * PREDICTORS;
    for (int k = 0; k < PREDICTORS; k++)
        errors[k] = __builtin_fabsf((float)sample - out->guesses[k]);
    double *past = state->rivals + c * RIVALS;
    for (int k = 0; k < RIVALS; k++)
        past[k] = past[k] * RIVAL_MEMORY + __builtin_fabs(sample - out->rivals[k]);
}

#endif
