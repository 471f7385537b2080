/* A convolution that skips zeros: only the weights of inputs that are not zero are read and added up.
 *
 * x is [images, height, width, in], places [images, height, width, in] is room for the numbers of its active channels and
 * counts [images, height, width] for how many there are. weight is [blocks][kernel][kernel][in][BLOCK] with blocks of
 * output channels, the last one padded with zeros; bias is [blocks * BLOCK]. y is [images, out_height, out_width, out].
 * At most `threads` threads share the work.
 */
#include <omp.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define LANES 16
#define BLOCK (4 * LANES)
#define TILE 64L /* output pixels for which one block of weights stays in the cache */

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    long images, height, width, in, out, out_height, out_width, kernel, stride, padding;
} shape;

/* Numbers of the channels of one pixel that are not zero. */
static int active(const float *x, int *places, long channels)
{
    int found = 0;
    long c = 0;
#if defined(__AVX512F__)
    __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (; c + LANES <= channels; c += LANES) {
        const __mmask16 set = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + c), _mm512_setzero_ps(), _CMP_NEQ_UQ);
        _mm512_storeu_si512(places + found, _mm512_maskz_compress_epi32(set, numbers));
        found += __builtin_popcount(set);
        numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(LANES));
    }
#endif
    for (; c < channels; c++) {
        places[found] = (int)c;
        found += x[c] != 0.0f;
    }
    return found;
}

/* Sums of one block of channels of an output pixel; members and no array, so that they stay in registers. */
typedef struct {
    lanes a, b, c, d;
} sums;

static inline lanes add_product(lanes sum, float value, lanes weight)
{
#if defined(__AVX512F__)
    return (lanes)_mm512_fmadd_ps(_mm512_set1_ps(value), (__m512)weight, (__m512)sum);
#else
    return sum + value * weight;
#endif
}

static inline sums add_row(sums s, float value, const float *row)
{
    const lanes *weight = (const lanes *)row;
    s.a = add_product(s.a, value, weight[0]);
    s.b = add_product(s.b, value, weight[1]);
    s.c = add_product(s.c, value, weight[2]);
    s.d = add_product(s.d, value, weight[3]);
    return s;
}

static inline void store(lanes sum, float *y, long left)
{
    if (left >= LANES)
        *(lanes *)y = sum;
    else
        for (long lane = 0; lane < left; lane++)
            y[lane] = sum[lane];
}

/* One block of the channels of one output pixel, `left` of which are wanted. */
static void pixel(const float *x, const int *places, const int *counts, const float *weight, const float *bias, float *y,
                  long left, const shape *s, long oy, long ox)
{
    const lanes *shift = (const lanes *)bias;
    sums even = {shift[0], shift[1], shift[2], shift[3]}, odd = {0}; /* an addition takes four cycles: two chains */
    for (long ky = 0; ky < s->kernel; ky++) {
        const long iy = oy * s->stride + ky - s->padding;
        if (iy < 0 || iy >= s->height)
            continue;
        for (long kx = 0; kx < s->kernel; kx++) {
            const long ix = ox * s->stride + kx - s->padding, at = iy * s->width + ix;
            if (ix < 0 || ix >= s->width)
                continue;
            const float *values = x + at * s->in, *rows = weight + (ky * s->kernel + kx) * s->in * BLOCK;
            const int *list = places + at * s->in, found = counts[at];
            int i = 0;
            for (; i + 2 <= found; i += 2) {
                even = add_row(even, values[list[i]], rows + (long)list[i] * BLOCK);
                odd = add_row(odd, values[list[i + 1]], rows + (long)list[i + 1] * BLOCK);
            }
            if (i < found)
                even = add_row(even, values[list[i]], rows + (long)list[i] * BLOCK);
        }
    }
    store(even.a + odd.a, y, left);
    store(even.b + odd.b, y + LANES, left - LANES);
    store(even.c + odd.c, y + 2 * LANES, left - 2 * LANES);
    store(even.d + odd.d, y + 3 * LANES, left - 3 * LANES);
}

void event_conv(const float *x, int *places, int *counts, const float *weight, const float *bias, float *y,
                shape s, long threads)
{
    const long pixels = s.images * s.height * s.width;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long p = 0; p < pixels; p++)
        counts[p] = active(x + p * s.in, places + p * s.in, s.in);

    const long each = s.out_height * s.out_width, tiles = (each + TILE - 1) / TILE;
    const long blocks = (s.out + BLOCK - 1) / BLOCK, size = s.kernel * s.kernel * s.in * BLOCK;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (long job = 0; job < s.images * tiles; job++) {
        const long image = job / tiles, begin = job % tiles * TILE;
        const long end = begin + TILE < each ? begin + TILE : each, first = image * s.height * s.width;
        for (long b = 0; b < blocks; b++)
            for (long p = begin; p < end; p++)
                pixel(x + first * s.in, places + first * s.in, counts + first, weight + b * size, bias + b * BLOCK,
                      y + (image * each + p) * s.out + b * BLOCK, s.out - b * BLOCK, &s, p / s.out_width,
                      p % s.out_width);
    }
}
