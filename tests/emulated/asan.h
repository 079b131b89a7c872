// asan.h - AddressSanitizer's interface when it is there, empty functions otherwise.
#pragma once

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define EMULATED_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATED_ASAN 1
#endif
#endif

#ifdef EMULATED_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
inline void __asan_poison_memory_region(const void *, size_t) {
}
inline void __asan_unpoison_memory_region(const void *, size_t) {
}
inline void __sanitizer_start_switch_fiber(void **, const void *, size_t) {
}
inline void __sanitizer_finish_switch_fiber(void *, const void **, size_t *) {
}
#endif
