/* Batch normalisation and LIF neuron in one pass: x [T, rows, width] float32 in channels_last, as in normalise.c.
 *
 * The operations of a step and their order are those of ops/dynamics.py, so that spikes are equal to the bit; compile
 * without contraction to fused multiply-add. 1 / tau multiplies where that is exact (tau a power of two), else tau
 * divides. A hard reset is to v_reset, which is also where the potential starts; a soft one subtracts the threshold.
 */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 16
#define LANES 16 /* width is a multiple of it, but in lif_counted and lif_alone */
#define ALWAYS_INLINE inline __attribute__((always_inline))

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int whole __attribute__((vector_size(4 * LANES)));

typedef struct {
    float tau, v_threshold, v_reset, alpha;
    int multiplies, decay_input, hard;
} neuron;

typedef struct {
    const float *center, *scale, *shift;
} normalisation;

static inline lanes where(whole condition, lanes value)
{
    return (lanes)(condition & (whole)value);
}

static inline lanes current(const float *x, normalisation n, long c)
{
    return (*(const lanes *)(x) - *(const lanes *)(n.center + c)) * *(const lanes *)(n.scale + c) +
           *(const lanes *)(n.shift + c);
}

static inline lanes charge(neuron n, lanes x, lanes v)
{
    const lanes above = n.hard ? (lanes)(v - n.v_reset) : v;
    const lanes drive = n.decay_input ? (lanes)(x - above) : above;
    const lanes leak = n.multiplies ? drive * (1.0f / n.tau) : drive / n.tau;
    return n.decay_input ? v + leak : v - leak + x;
}

static inline lanes reset(neuron n, lanes h, lanes s)
{
    return n.hard ? (1.0f - s) * h + s * n.v_reset : h - s * n.v_threshold;
}

/* Derivative of 1 / (1 + exp(-a)), even in a: e / (1 + e)^2 with e = exp(-|a|), to 2e-7 of its value. */
static inline lanes sigmoid_slope(lanes a)
{
    const lanes zero = {0}, one = zero + 1.0f;
    a = (lanes)((whole)a | (int)0x80000000);
    a = where(~(a < -87.0f), a) + where(a < -87.0f, zero - 87.0f); /* what is not a number stays so */
    const lanes n = a * 1.44269504f + 12582912.0f - 12582912.0f; /* rounds to a whole number */
    const lanes r = a - n * 0.693359375f + n * 2.12194440e-4f;
    lanes p = zero + 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const lanes e = p * (lanes)((__builtin_convertvector(n, whole) + 127) << 23);
    return e / ((one + e) * (one + e));
}

void lif_forward(const float *x, const float *center, const float *scale, const float *shift, float *spikes, neuron n,
                 long steps, long rows, long width, long threads)
{
    const normalisation norm = {center, scale, shift};
    const lanes zero = {0}, one = zero + 1.0f;
#pragma omp parallel for num_threads(threads)
    for (long row = 0; row < rows; row++)
        for (long c = 0; c < width; c += LANES) {
            lanes v = zero + (n.hard ? n.v_reset : 0.0f);
            for (long t = 0; t < steps; t++) {
                const long at = (t * rows + row) * width + c;
                const lanes h = charge(n, current(x + at, norm, c), v);
                const lanes s = where(h - n.v_threshold >= 0, one);
                *(lanes *)(spikes + at) = s;
                v = reset(n, h, s);
            }
        }
}

static inline lanes load(const float *x, long length)
{
    lanes v = {0};
    if (length >= LANES)
        return *(const lanes *)x;
    memcpy(&v, x, length * sizeof(float));
    return v;
}

static inline void store(float *x, lanes v, long length)
{
    if (length >= LANES)
        *(lanes *)x = v;
    else
        memcpy(x, &v, length * sizeof(float));
}

static inline float sum_of_lanes(lanes v)
{
    float f[LANES];
    memcpy(f, &v, sizeof f);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; lane++)
            f[lane] += f[lane + half];
    return f[0];
}

/* One vector of neurons over all steps; of the vector only `length` neurons are in memory. Counts unless NULL. */
static ALWAYS_INLINE void fire_and_count(const float *x, float *spikes, float *counts, lanes *fired, neuron n,
                                         long steps, long stride, long width, long length)
{
    const lanes zero = {0}, one = zero + 1.0f;
    lanes v = zero + (n.hard ? n.v_reset : 0.0f);
    for (long t = 0; t < steps; t++) {
        const lanes h = charge(n, load(x + t * stride, length), v);
        const lanes s = where(h - n.v_threshold >= 0, one);
        store(spikes + t * stride, s, length);
        if (counts)
            store(counts + t * width, load(counts + t * width, length) + s, length);
        if (fired)
            fired[t] += s;
        v = reset(n, h, s);
    }
}

static ALWAYS_INLINE void count_rows(const float *x, float *spikes, double *of_channels, double *of_rows, neuron n,
                                     long steps, long rows, long width, long threads)
{
    const long stride = rows * width;
#pragma omp parallel num_threads(threads)
    {
        float *counts = calloc(steps * width, sizeof(float));
#pragma omp for nowait
        for (long row = 0; row < rows; row++) {
            const float *from = x + row * width;
            float *to = spikes + row * width;
            lanes fired[MAX_STEPS] = {{0}}, *kept = of_rows ? fired : NULL;
            long c = 0;
            for (; c + LANES <= width; c += LANES)
                fire_and_count(from + c, to + c, counts + c, kept, n, steps, stride, width, LANES);
            if (c < width)
                fire_and_count(from + c, to + c, counts + c, kept, n, steps, stride, width, width - c);
            for (long t = 0; of_rows && t < steps; t++)
                of_rows[t * rows + row] = sum_of_lanes(fired[t]);
        }
#pragma omp critical(counts_of_channels)
        for (long i = 0; i < steps * width; i++)
            of_channels[i] += counts[i];
        free(counts);
    }
}

static int is_usual(neuron n)
{
    return n.multiplies && n.decay_input && n.hard;
}

static neuron usual(neuron n)
{
    return (neuron){n.tau, n.v_threshold, n.v_reset, n.alpha, 1, 1, 1};
}

static ALWAYS_INLINE void fire_all(const float *x, float *spikes, neuron n, long steps, long neurons, long threads)
{
#pragma omp parallel for num_threads(threads)
    for (long i = 0; i < neurons; i += LANES)
        fire_and_count(x + i, spikes + i, NULL, NULL, n, steps, neurons, 0, neurons - i);
}

/* The neuron alone: x and spikes are [steps][neurons]. */
void lif_alone(const float *x, float *spikes, neuron n, long steps, long neurons, long threads)
{
    if (is_usual(n))
        fire_all(x, spikes, usual(n), steps, neurons, threads);
    else
        fire_all(x, spikes, n, steps, neurons, threads);
}

/* The neuron alone, which counts as it fires: of_channels [steps][width], which is added to, and, unless NULL,
 * of_rows [steps][rows]. Any width; lanes beyond it see no input and stay at rest, below the threshold. Counts of up
 * to 2^24 rows or channels are exact. The neuron that networks have by default gets loops of its own.
 */
void lif_counted(const float *x, float *spikes, double *of_channels, double *of_rows, neuron n, long steps, long rows,
                 long width, long threads)
{
    if (is_usual(n) && of_rows)
        count_rows(x, spikes, of_channels, of_rows, usual(n), steps, rows, width, threads);
    else if (is_usual(n))
        count_rows(x, spikes, of_channels, NULL, usual(n), steps, rows, width, threads);
    else
        count_rows(x, spikes, of_channels, of_rows, n, steps, rows, width, threads);
}

/* grad_x: gradient of the neuron's input; sums[threads][2][width]: of it, and of it times x - center */
void lif_backward(const float *g, const float *x, const float *center, const float *scale, const float *shift,
                  float *grad_x, double *sums, neuron n, long steps, long rows, long width, long threads)
{
    const normalisation norm = {center, scale, shift};
    const lanes zero = {0}, one = zero + 1.0f;
    const float decay = 1.0f / n.tau;
#pragma omp parallel num_threads(threads)
    {
        const long parts = omp_get_num_threads(), part = omp_get_thread_num();
        double *first = sums + part * 2 * width, *second = first + width;
        memset(first, 0, 2 * width * sizeof(double));
        for (long row = rows * part / parts; row < rows * (part + 1) / parts; row++)
            for (long c = 0; c < width; c += LANES) {
                const long from = row * width + c, stride = rows * width;
                lanes v = zero + (n.hard ? n.v_reset : 0.0f), us[MAX_STEPS];
                for (long t = 0; t < steps; t++) {
                    const lanes h = charge(n, current(x + from + t * stride, norm, c), v);
                    us[t] = h - n.v_threshold;
                    v = reset(n, h, where(us[t] >= 0, one));
                }
                lanes grad = zero, sum = zero, sum_above = zero;
                for (long t = steps - 1; t >= 0; t--) {
                    const long at = from + t * stride;
                    if (n.hard)
                        grad = where(us[t] < 0, grad);
                    grad += *(const lanes *)(g + at) * (sigmoid_slope(us[t] * n.alpha) * n.alpha);
                    const lanes on_x = n.decay_input ? (lanes)(grad * decay) : grad;
                    *(lanes *)(grad_x + at) = on_x;
                    sum += on_x;
                    sum_above += on_x * (*(const lanes *)(x + at) - *(const lanes *)(center + c));
                    grad *= 1.0f - decay;
                }
                for (int lane = 0; lane < LANES; lane++) {
                    first[c + lane] += sum[lane];
                    second[c + lane] += sum_above[lane];
                }
            }
    }
}
