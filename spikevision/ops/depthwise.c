/* Gradient of the weights of a depthwise convolution: stride 1, same padding, odd kernel, channels last.
 *
 * x, g: [N, H, W, C] float32, input and gradient of the output; dw: [k, k, C], written by this function; the
 * number of channels is a multiple of LANES. A thread handles all images of its channels, so that threads share nothing.
 */
#pragma GCC optimize("fp-contract=fast") /* sums may take fused multiply-add, unlike potentials */
#define LANES 8
#define MAX_KERNEL 7

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define DEFINE_ROW(K)                                                                               \
    static void add_row_##K(const float *x, const float *g, lanes *sums, long width, long stride)   \
    {                                                                                               \
        lanes total[K] = {0};                                                                       \
        for (long w = 0; w < width; w++) {                                                          \
            const lanes grad = *(const lanes *)(g + w * stride);                                    \
            const float *from = x + (w - K / 2) * stride;                                           \
            if (w >= K / 2 && w < width - K / 2) {                                                  \
                for (int j = 0; j < K; j++)                                                         \
                    total[j] += *(const lanes *)(from + j * stride) * grad;                         \
            } else {                                                                                \
                for (int j = 0; j < K; j++)                                                         \
                    if (w + j >= K / 2 && w + j < width + K / 2)                                    \
                        total[j] += *(const lanes *)(from + j * stride) * grad;                     \
            }                                                                                       \
        }                                                                                           \
        for (int j = 0; j < K; j++)                                                                 \
            sums[j] += total[j];                                                                    \
    }

DEFINE_ROW(3)
DEFINE_ROW(5)
DEFINE_ROW(7)

void depthwise_weight_gradient(const float *x, const float *g, float *dw, long images, long height,
                               long width, long channels, long kernel, long threads)
{
    const long row = width * channels;
#pragma omp parallel for num_threads(threads)
    for (long c = 0; c < channels; c += LANES) {
        lanes sums[MAX_KERNEL * MAX_KERNEL] = {0};
        for (long n = 0; n < images; n++)
            for (long h = 0; h < height; h++)
                for (long i = 0; i < kernel; i++) {
                    const long from = h + i - kernel / 2;
                    if (from < 0 || from >= height)
                        continue;
                    const float *input = x + (n * height + from) * row + c;
                    const float *grad = g + (n * height + h) * row + c;
                    lanes *to = sums + i * kernel;
                    if (kernel == 3)
                        add_row_3(input, grad, to, width, channels);
                    else if (kernel == 5)
                        add_row_5(input, grad, to, width, channels);
                    else
                        add_row_7(input, grad, to, width, channels);
                }
        for (long tap = 0; tap < kernel * kernel; tap++)
            *(lanes *)(dw + tap * channels + c) = sums[tap];
    }
}
