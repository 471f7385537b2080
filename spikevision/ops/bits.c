/* Zeros and ones of float32 as bits, and back: byte i holds elements 8 i to 8 i + 7, the first in its lowest bit. */
#ifdef __AVX__
#include <immintrin.h>
#endif

typedef float lanes __attribute__((vector_size(32), aligned(4), may_alias));
typedef int whole __attribute__((vector_size(32)));

static inline unsigned char byte_of(const float *x, long elements)
{
    unsigned char byte = 0;
    for (long i = 0; i < elements; i++)
        byte |= (x[i] != 0) << i;
    return byte;
}

static inline unsigned char full_byte_of(const float *x)
{
#ifdef __AVX__
    return _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x), _mm256_setzero_ps(), _CMP_NEQ_UQ));
#else
    return byte_of(x, 8);
#endif
}

void pack_bits(const float *x, unsigned char *bits, long elements, long threads)
{
    const long full = elements / 8;
#pragma omp parallel for num_threads(threads)
    for (long i = 0; i < full; i++)
        bits[i] = full_byte_of(x + 8 * i);
    if (elements % 8)
        bits[full] = byte_of(x + 8 * full, elements % 8);
}

void unpack_bits(const unsigned char *bits, float *x, long elements, long threads)
{
    const long full = elements / 8;
    const whole places = {1, 2, 4, 8, 16, 32, 64, 128};
    const lanes one = {1, 1, 1, 1, 1, 1, 1, 1};
#pragma omp parallel for num_threads(threads)
    for (long i = 0; i < full; i++)
        *(lanes *)(x + 8 * i) = (lanes)(((places & bits[i]) != 0) & (whole)one);
    for (long i = 8 * full; i < elements; i++)
        x[i] = bits[full] >> i % 8 & 1;
}
