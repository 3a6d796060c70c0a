/* Weights of test models as a pure function of (name, index, seed); base.h defines it.  FNV-1a: Fowler, Noll, Vo, 64 bits;
 * splitmix64: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators". */
#include "ir/base/base.h"

static uint64_t fnv1a(Str s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (uint8_t)s.p[i]) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t splitmix64(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

float fill_value(Str name, uint64_t index, uint64_t seed, float scale, float base)
{
    uint64_t z = splitmix64(fnv1a(name) ^ (seed * UINT64_C(0x9E3779B97F4A7C15) + index));
    uint32_t top = (uint32_t)(z >> 40);

    if (base != 0)
        top &= ~UINT32_C(0xfff);
    return base + scale * ((float)((int32_t)top - (1 << 23)) / (float)(1 << 23));
}

void fill_scale(Str name, int rank, const int64_t *dim, float *scale, float *base)
{
    *base = 0;
    if (rank < 2) {
        bool norm = false;

        for (size_t i = 0; i + 4 <= name.n; i++)
            norm |= memcmp(name.p + i, "norm", 4) == 0;
        *scale = norm ? 0.25f : 0.125f;
        *base = norm ? 1 : 0;
        return;
    }
    *scale = 1;
    while ((double)*scale * *scale * (double)dim[rank - 1] > 1.7 * 1.7)    /* 4^-k * n_in is exact, and never 2.89 */
        *scale /= 2;
}
