/* Whole numbers from float32 to bytes, in one pass over memory.
 *
 * wrong is [1]: set to 1 when a value is no whole number from 0 to largest (at most 255), else left alone; bytes then
 * mean nothing. At most `threads` threads share the work.
 */
#include <omp.h>

#define SMALL 65536L /* fewer values are not worth a second thread */

void to_bytes(const float *x, unsigned char *bytes, int *wrong, long count, long largest, long threads)
{
    const float top = (float)largest;
    int differs = 0;
    if (count < SMALL)
        threads = 1;
#pragma omp parallel for simd num_threads(threads) schedule(static) reduction(| : differs)
    for (long i = 0; i < count; i++) {
        const float v = x[i];
        const int whole = (int)((v >= 0.0f) & (v <= top) ? v : 0.0f);
        bytes[i] = (unsigned char)whole;
        differs |= (float)whole != v;
    }
    *wrong |= differs;
}
