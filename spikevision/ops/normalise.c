/* Batch normalisation in channels_last: what it sums over rows, and what it maps element by element.
 *
 * x, g, y: [rows, width] float32. A row is one or several positions of all channels; vectors over channels are repeated
 * as often, so that width is long enough to keep the vector units busy. Sums are float32 over BLOCK rows and float64
 * beyond; each thread has its own.
 */
#include <omp.h>
#include <string.h>

#define BLOCK 32
#define MAX_WIDTH 8192

#define SUM_ROWS(FIRST, SECOND)                                                                     \
    _Pragma("omp parallel num_threads(threads)")                                                    \
    {                                                                                               \
        const long parts = omp_get_num_threads(), part = omp_get_thread_num();                      \
        const long end = rows * (part + 1) / parts;                                                 \
        double *first = sums + part * 2 * width, *second = first + width;                           \
        float one[MAX_WIDTH], two[MAX_WIDTH];                                                       \
        memset(first, 0, 2 * width * sizeof(double));                                               \
        for (long row = rows * part / parts; row < end;) {                                          \
            const long stop = row + BLOCK < end ? row + BLOCK : end;                                \
            memset(one, 0, width * sizeof(float));                                                  \
            memset(two, 0, width * sizeof(float));                                                  \
            for (; row < stop; row++) {                                                             \
                const float *at = x + row * width, *grad = g + row * width;                         \
                (void)grad;                                                                         \
                for (long c = 0; c < width; c++) {                                                  \
                    const float above = at[c] - center[c];                                          \
                    one[c] += FIRST;                                                                \
                    two[c] += SECOND;                                                               \
                }                                                                                   \
            }                                                                                       \
            for (long c = 0; c < width; c++) {                                                      \
                first[c] += one[c];                                                                 \
                second[c] += two[c];                                                                \
            }                                                                                       \
        }                                                                                           \
    }

/* sums[threads][2][width]: of x - center and of its square */
void moments(const float *x, const float *center, double *restrict sums, long rows, long width, long threads)
{
    const float *g = x;
    SUM_ROWS(above, above * above)
}

/* sums[threads][2][width]: of g and of g * (x - center) */
void gradient_sums(const float *g, const float *x, const float *center, double *restrict sums, long rows,
                   long width, long threads)
{
    SUM_ROWS(grad[c], grad[c] * above)
}

/* y = (x - center) * scale + shift */
void affine(const float *x, const float *center, const float *scale, const float *shift, float *restrict y,
            long rows, long width, long threads)
{
#pragma omp parallel for num_threads(threads)
    for (long row = 0; row < rows; row++)
        for (long c = 0; c < width; c++)
            y[row * width + c] = (x[row * width + c] - center[c]) * scale[c] + shift[c];
}

/* out = g * scale + (x - center) * slope + shift; out may be g */
void input_gradient(const float *g, const float *x, const float *center, const float *scale, const float *slope,
                    const float *shift, float *out, long rows, long width, long threads)
{
#pragma omp parallel for num_threads(threads)
    for (long row = 0; row < rows; row++)
#pragma omp simd
        for (long c = 0; c < width; c++) {
            const long i = row * width + c;
            out[i] = g[i] * scale[c] + (x[i] - center[c]) * slope[c] + shift[c];
        }
}
