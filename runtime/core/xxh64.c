/* XXH64: the 64-bit xxHash, as its specification describes it
 * (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
 *
 *     32-byte stripes:  four lanes, lane = rotl(lane + word * P2, 31) * P1, one 64-bit word each
 *     then the lanes are merged, the length added, and the tail mixed in 8, 4 and 1 bytes at a time
 *     avalanche: h ^= h >> 33; h *= P2; h ^= h >> 29; h *= P3; h ^= h >> 32
 *
 * About 8 bytes a cycle with nothing but multiplications and rotations: fast enough to check a
 * weights file at the speed of a disk, on any CPU. */
#include "runtime/core/internal.h"

#define P1 UINT64_C(0x9E3779B185EBCA87)
#define P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define P3 UINT64_C(0x165667B19E3779F9)
#define P4 UINT64_C(0x85EBCA77C2B2AE63)
#define P5 UINT64_C(0x27D4EB2F165667C5)

static uint64_t rotl(uint64_t x, int r)
{
    return x << r | x >> (64 - r);
}

/* Little-endian loads from any address; compilers make one instruction of them where that is
 * possible. */
static uint64_t load64(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}

static uint64_t load32(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static uint64_t lane_add(uint64_t lane, uint64_t word)
{
    return rotl(lane + word * P2, 31) * P1;
}

static uint64_t lane_merge(uint64_t h, uint64_t lane)
{
    return (h ^ lane_add(0, lane)) * P1 + P4;
}

uint64_t NAME_xxh64(const void *data, size_t n, uint64_t seed)
{
    const uint8_t *p = data;
    size_t left = n;
    uint64_t h = seed + P5;

    if (n >= 32) {
        uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;

        for (; left >= 32; left -= 32, p += 32) {
            a = lane_add(a, load64(p));
            b = lane_add(b, load64(p + 8));
            c = lane_add(c, load64(p + 16));
            d = lane_add(d, load64(p + 24));
        }
        h = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18);
        h = lane_merge(h, a);
        h = lane_merge(h, b);
        h = lane_merge(h, c);
        h = lane_merge(h, d);
    }
    h += n;
    for (; left >= 8; left -= 8, p += 8)
        h = rotl(h ^ lane_add(0, load64(p)), 27) * P1 + P4;
    for (; left >= 4; left -= 4, p += 4)
        h = rotl(h ^ load32(p) * P1, 23) * P2 + P3;
    for (; left > 0; left--, p++)
        h = rotl(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

#undef P1
#undef P2
#undef P3
#undef P4
#undef P5
