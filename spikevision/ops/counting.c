/* Sums of float32 values per time step and channel, and what the values are, in one pass over memory.
 *
 * x is [steps, images, channels, places], or, with channels_last, [steps, images * places, channels]. sums is
 * [steps, channels] and is added to. Sums of whole numbers up to 63 are exact: each float adds up less than BLOCK of
 * them. Of other values they mean nothing. kinds is [1]: 0 when all values are 0 or 1, 1 when all are whole
 * numbers from 0 to 63, else 2; it is left alone unless checked. At most `threads` threads share the work.
 *
 * Memory is read from its end: what was written last, by the neuron, is still in the cache.
 */
#include <omp.h>
#include <stdlib.h>

#define LANES 16
#define BLOCK 262144L /* 2^18; 63 times that is below 2^24 */
#define SMALL 262144L /* fewer values are not worth a second thread */

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int whole __attribute__((vector_size(4 * LANES), aligned(4)));

typedef struct {
    whole binary, integer; /* -1 in each lane that has seen nothing else */
} seen;

static inline long smaller(long a, long b) { return a < b ? a : b; }

static inline void look(seen *s, lanes v)
{
    const lanes rounded = v + 12582912.0f - 12582912.0f; /* 1.5 * 2^23 rounds what is below 2^22 */
    s->binary &= (v == 0.0f) | (v == 1.0f);
    s->integer &= (v == rounded) & (v >= 0.0f) & (v <= 63.0f);
}

static inline void look_at_one(seen *s, float v)
{
    lanes same;
    for (int lane = 0; lane < LANES; lane++)
        same[lane] = v;
    look(s, same);
}

static int kind_of(seen s)
{
    int binary = -1, integer = -1;
    for (int lane = 0; lane < LANES; lane++) {
        binary &= s.binary[lane];
        integer &= s.integer[lane];
    }
    return binary ? 0 : integer ? 1 : 2;
}

static inline double sum_of(const float *x, long length, int checked, seen *s)
{
    double total = 0;
    for (long begin = 0; begin < length; begin += BLOCK * LANES) {
        const long end = smaller(begin + BLOCK * LANES, length);
        lanes a = {0}, b = {0};
        long i = begin;
        for (; i + 2 * LANES <= end; i += 2 * LANES) {
            const lanes v = *(const lanes *)(x + i), w = *(const lanes *)(x + i + LANES);
            a += v;
            b += w;
            if (checked) {
                look(s, v);
                look(s, w);
            }
        }
        for (; i < end; i++) {
            total += x[i];
            if (checked)
                look_at_one(s, x[i]);
        }
        for (int lane = 0; lane < LANES; lane++)
            total += (double)a[lane] + b[lane];
    }
    return total;
}

static inline void add_rows(const float *x, long rows, long channels, float *partial, int checked, seen *s)
{
    for (x += rows * channels; rows > 0; rows--) {
        x -= channels;
        long c = 0;
        for (; c + LANES <= channels; c += LANES) {
            const lanes v = *(const lanes *)(x + c);
            *(lanes *)(partial + c) += v;
            if (checked)
                look(s, v);
        }
        for (; c < channels; c++) {
            partial[c] += x[c];
            if (checked)
                look_at_one(s, x[c]);
        }
    }
}

static inline int count_first(const float *x, long steps, long images, long channels, long places, double *sums,
                              int checked, long threads)
{
    int kind = 0;
#pragma omp parallel for num_threads(threads) reduction(max : kind)
    for (long channel = 0; channel < steps * channels; channel++) {
        seen s = {~(whole){0}, ~(whole){0}};
        const long step = channel / channels, c = channel % channels;
        for (long image = 0; image < images; image++)
            sums[channel] += sum_of(x + ((step * images + image) * channels + c) * places, places, checked, &s);
        const int found = checked ? kind_of(s) : 0;
        kind = found > kind ? found : kind;
    }
    return kind;
}

static inline int count_last(const float *x, long steps, long rows, long channels, double *sums, int checked,
                             long threads)
{
    const long block = smaller(BLOCK, (rows + threads - 1) / threads), blocks = (rows + block - 1) / block;
    int kind = 0;
#pragma omp parallel for num_threads(threads) reduction(max : kind)
    for (long done = 0; done < steps * blocks; done++) {
        const long piece = steps * blocks - 1 - done;
        seen s = {~(whole){0}, ~(whole){0}};
        const long step = piece / blocks, begin = piece % blocks * block, end = smaller(begin + block, rows);
        float *partial = calloc(channels, sizeof(float));
        add_rows(x + (step * rows + begin) * channels, end - begin, channels, partial, checked, &s);
#pragma omp critical(sums_of_channels)
        for (long c = 0; c < channels; c++)
            sums[step * channels + c] += partial[c];
        free(partial);
        const int found = checked ? kind_of(s) : 0;
        kind = found > kind ? found : kind;
    }
    return kind;
}

static inline int count(const float *x, long steps, long images, long channels, long places, long channels_last,
                        double *sums, int checked, long threads)
{
    if (steps * images * channels * places < SMALL)
        threads = 1;
    if (channels_last)
        return count_last(x, steps, images * places, channels, sums, checked, threads);
    return count_first(x, steps, images, channels, places, sums, checked, threads);
}

void count_channels(const float *x, double *sums, int *kinds, long steps, long images, long channels, long places,
                    long channels_last, long checked, long threads)
{
    if (checked) /* two copies of all loops, each without the other's work */
        *kinds = count(x, steps, images, channels, places, channels_last, sums, 1, threads);
    else
        count(x, steps, images, channels, places, channels_last, sums, 0, threads);
}
