// numbers.h - CUDA's numeric intrinsics that C's <math.h> lacks. Fast variants are the exact ones here: an
// emulator cannot show their error.
#pragma once

#include "language.h"

template <typename To, typename From> inline To emulated_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "a reinterpretation keeps the size");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

inline unsigned __float_as_uint(float x) {
    return emulated_bits<unsigned>(x);
}
inline int __float_as_int(float x) {
    return emulated_bits<int>(x);
}
inline float __uint_as_float(unsigned x) {
    return emulated_bits<float>(x);
}
inline float __int_as_float(int x) {
    return emulated_bits<float>(x);
}
inline long long __double_as_longlong(double x) {
    return emulated_bits<long long>(x);
}
inline double __longlong_as_double(long long x) {
    return emulated_bits<double>(x);
}

inline float rsqrtf(float x) {
    return 1.0f / sqrtf(x);
}
inline float __expf(float x) {
    return expf(x);
}
inline float __logf(float x) {
    return logf(x);
}
inline float __fdividef(float x, float y) {
    return x / y;
}
inline float __fmul_rn(float x, float y) {
    return x * y;
}
inline float __fadd_rn(float x, float y) {
    return x + y;
}
inline float __fdiv_rn(float x, float y) {
    return x / y;
}
inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
inline int __ffs(int x) {
    return __builtin_ffs(x);
}
inline int __clz(int x) {
    return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x));
}

// Device code sees these without std::. They are the overloads that CUDA has, not a template, so that a call
// that is ambiguous there is ambiguous here.
#define EMULATED_MIN_MAX(type)                                                                               \
    inline type min(type a, type b) {                                                                        \
        return b < a ? b : a;                                                                                \
    }                                                                                                        \
    inline type max(type a, type b) {                                                                        \
        return a < b ? b : a;                                                                                \
    }
EMULATED_MIN_MAX(int)
EMULATED_MIN_MAX(unsigned)
EMULATED_MIN_MAX(long)
EMULATED_MIN_MAX(unsigned long)
EMULATED_MIN_MAX(long long)
EMULATED_MIN_MAX(unsigned long long)
#undef EMULATED_MIN_MAX

// On floats they are fminf and fmaxf: of a NaN and a number, the number.
inline float min(float a, float b) {
    return fminf(a, b);
}
inline float max(float a, float b) {
    return fmaxf(a, b);
}
inline double min(double a, double b) {
    return fmin(a, b);
}
inline double max(double a, double b) {
    return fmax(a, b);
}
