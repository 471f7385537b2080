/* One step of the populations of converted networks; their plain twins are in conversion/sta.
 *
 * Values lie in rows. Where channels are the last axis (along = 1) a row holds all channels of one token, and thresholds
 * change along it; else a row holds all places of one channel, and thresholds change from row to row.
 */
#include <stdint.h>
#include <string.h>

/* n' = max(0, n + clip(trunc(offset + gain x - n), -limit, limit)), out += value n'; the count n is kept as int16. */
static inline void burst_row(const float *restrict x, float *restrict out, int16_t *restrict count,
                             const float *restrict offset, const float *restrict gain,
                             const float *restrict value, long along, long length, float limit)
{
    for (long i = 0; i < length; i++) {
        const long c = along ? i : 0;
        const float before = (float)count[i];
        float send = x[i] * gain[c] + offset[c] - before;
        send = send > limit ? limit : send;
        send = send < -limit ? -limit : send;
        float after = before + (float)(int32_t)send; /* towards zero */
        after = after > 0 ? after : 0;
        count[i] = (int16_t)after;
        out[i] += after * value[c];
    }
}

/* x, out: [rows, length], out holds the constant; count: [units, rows, length]; offset, gain, value: [units, channels];
 * limit: quanta of one step. */
void burst_step(const float *x, float *out, int16_t *count, const float *offset, const float *gain,
                const float *value, long units, long rows, long length, long channels, long along,
                long limit, long threads)
{
#pragma omp parallel for num_threads(threads)
    for (long r = 0; r < rows; r++) {
        const float *in = x + r * length;
        float *to = out + r * length;
        for (long u = 0; u < units; u++) {
            int16_t *n = count + (u * rows + r) * length;
            const long c = u * channels + (along ? 0 : r % channels);
            if (along)
                burst_row(in, to, n, offset + c, gain + c, value + c, 1, length, limit);
            else
                burst_row(in, to, n, offset + c, gain + c, value + c, 0, length, limit);
        }
    }
}

/* At most one spike of +-threshold 2^e, e in least ... 0: the largest of which three quarters fit into x - keep sent. */
static inline void multi_threshold_row(const float *restrict x, float *restrict sent,
                                       float *restrict out, const float *restrict threshold,
                                       long along, long length, float keep, int32_t least,
                                       int32_t is_signed)
{
    for (long i = 0; i < length; i++) {
        const float largest = threshold[along ? i : 0];
        const float before = sent[i] * keep;
        const float potential = x[i] - before;
        float ratio = potential / (0.75f * largest);
        ratio = ratio < 0 ? -ratio : ratio;
        int32_t bits;
        memcpy(&bits, &ratio, 4);
        int32_t e = (bits >> 23) - 127;
        e = e > 0 ? 0 : e;
        const int32_t fires = (e >= least) & (largest > 0);
        const int32_t scale_bits = ((e < least ? least : e) + 127) << 23;
        float scale;
        memcpy(&scale, &scale_bits, 4);
        float spike = fires ? largest * scale : 0;
        spike = potential < 0 ? -spike : spike;
        float after = before + spike;
        after = (is_signed | (after > 0)) ? after : 0;
        sent[i] = after;
        out[i] = after;
    }
}

/* x, sent, out: [rows, length]; threshold: [channels]; keep: [1]. */
void multi_threshold_step(const float *x, float *sent, float *out, const float *threshold,
                          const float *keep, long rows, long length, long channels, long along,
                          long least, long is_signed, long threads)
{
#pragma omp parallel for num_threads(threads)
    for (long r = 0; r < rows; r++) {
        const long at = r * length;
        const float *v = threshold + (along ? 0 : r % channels);
        if (along)
            multi_threshold_row(x + at, sent + at, out + at, v, 1, length, *keep, least, is_signed);
        else
            multi_threshold_row(x + at, sent + at, out + at, v, 0, length, *keep, least, is_signed);
    }
}
