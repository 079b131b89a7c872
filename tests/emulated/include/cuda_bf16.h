// cuda_bf16.h (emulated) - bfloat16 as storage with conversions, and nothing more: arithmetic is in float.
#pragma once

#include "emulated/language.h"
#include "emulated/numbers.h"

struct __nv_bfloat16 {
    unsigned short bits;
};
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};

inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) {
    return x.bits;
}
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) {
    return {bits};
}
inline float __bfloat162float(__nv_bfloat16 x) {
    return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
}

// Round to nearest, ties to even; every NaN becomes 0x7fff, as the device's conversion gives.
inline __nv_bfloat16 __float2bfloat16(float x) {
    if (x != x) return {0x7fff};
    unsigned bits = __float_as_uint(x);
    bits += 0x7fffu + (bits >> 16 & 1u);
    return {static_cast<unsigned short>(bits >> 16)};
}
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
    return __float2bfloat16(x);
}

inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) {
    return {__float2bfloat16(x), __float2bfloat16(y)};
}
inline __nv_bfloat162 __float22bfloat162_rn(float2 v) {
    return __floats2bfloat162_rn(v.x, v.y);
}
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) {
    return {x, y};
}
inline float2 __bfloat1622float2(__nv_bfloat162 v) {
    return {__bfloat162float(v.x), __bfloat162float(v.y)};
}
inline float __low2float(__nv_bfloat162 v) {
    return __bfloat162float(v.x);
}
inline float __high2float(__nv_bfloat162 v) {
    return __bfloat162float(v.y);
}
