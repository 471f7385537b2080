/* Max-pooling in channels last that keeps the place of each maximum in one byte.
 *
 * x, dx: [N, H, W, C]; y, g, taps: [N, H', W', C]; taps holds i * kernel + j for row i and column j of the window. Of
 * equal maxima the first wins, and what is not a number always does, as in PyTorch. C is a multiple of LANES.
 */
#include <string.h>

#define LANES 8

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int whole __attribute__((vector_size(4 * LANES)));
typedef unsigned char bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

typedef struct {
    long height, width, channels, kernel, stride, padding, out_height, out_width;
} pool;

static inline long larger(long a, long b) { return a > b ? a : b; }
static inline long smaller(long a, long b) { return a < b ? a : b; }

static inline void largest(const float *image, float *y, unsigned char *taps, pool p, long top, long left)
{
    const long from_i = larger(0, -top), to_i = smaller(p.kernel, p.height - top);
    const long from_j = larger(0, -left), to_j = smaller(p.kernel, p.width - left);
    for (long c = 0; c < p.channels; c += LANES) {
        lanes best = (lanes){0} - __builtin_inff();
        whole tap = (whole){0} + (int)(from_i * p.kernel + from_j);
        for (long i = from_i; i < to_i; i++)
            for (long j = from_j; j < to_j; j++) {
                const lanes v = *(const lanes *)(image + ((top + i) * p.width + left + j) * p.channels + c);
                const whole wins = (v > best) | (v != v);
                best = (lanes)((wins & (whole)v) | (~wins & (whole)best));
                tap = (wins & (int)(i * p.kernel + j)) | (~wins & tap);
            }
        *(lanes *)(y + c) = best;
        *(bytes *)(taps + c) = __builtin_convertvector(tap, bytes);
    }
}

void max_pool(const float *x, float *y, unsigned char *taps, pool p, long images, long threads)
{
#pragma omp parallel for num_threads(threads)
    for (long row = 0; row < images * p.out_height; row++) {
        const float *image = x + row / p.out_height * p.height * p.width * p.channels;
        const long top = row % p.out_height * p.stride - p.padding;
        for (long w = 0; w < p.out_width; w++) {
            const long to = (row * p.out_width + w) * p.channels;
            largest(image, y + to, taps + to, p, top, w * p.stride - p.padding);
        }
    }
}

/* Add to dx [C] what a window hands back to its place `tap` */
static inline void take(const float *g, const unsigned char *taps, float *dx, long channels, int tap)
{
    for (long c = 0; c < channels; c += LANES) {
        const whole taken = __builtin_convertvector(*(const bytes *)(taps + c), whole) == tap;
        *(lanes *)(dx + c) += (lanes)(taken & (whole)(*(const lanes *)(g + c)));
    }
}

/* Row h of an image's dx, from the rows of windows that hold it */
static inline void gather_row(const float *g, const unsigned char *taps, float *dx, pool p, long h)
{
    const long from = h + p.padding < p.kernel ? 0 : (h + p.padding - p.kernel) / p.stride + 1;
    const long to = smaller((h + p.padding) / p.stride + 1, p.out_height);
    memset(dx, 0, p.width * p.channels * sizeof(float));
    for (long i = from; i < to; i++)
        for (long j = 0; j < p.out_width; j++) {
            const long at = (i * p.out_width + j) * p.channels, left = j * p.stride - p.padding;
            const long tap = (h + p.padding - i * p.stride) * p.kernel;
            for (long w = larger(0, left); w < smaller(left + p.kernel, p.width); w++)
                take(g + at, taps + at, dx + w * p.channels, p.channels, tap + w - left);
        }
}

void max_pool_gradient(const float *g, const unsigned char *taps, float *dx, pool p, long images, long threads)
{
    const long out_image = p.out_height * p.out_width * p.channels, row_size = p.width * p.channels;
#pragma omp parallel for num_threads(threads)
    for (long row = 0; row < images * p.height; row++) {
        const long image = row / p.height * out_image;
        gather_row(g + image, taps + image, dx + row * row_size, p, row % p.height);
    }
}
