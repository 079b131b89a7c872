// launch.h - LAUNCH: from a kernel and its arguments to a piece of work that a stream can keep.
//
// Arguments are converted to the parameters' types and copied at once, as a real launch does. Pointer
// arguments, and words of struct arguments that look like one, are remembered so that host addresses are
// refused.
#pragma once

#include "language.h"
#include "runtime.h"

#include <functional>
#include <tuple>
#include <type_traits>
#include <vector>

namespace emulated {

struct argument {
    int index;        // of the kernel's parameters, from 0
    const void *word; // what may be an address
    bool certain;     // the parameter is a pointer; otherwise a word of a struct
};

struct launch_request {
    const char *name;
    const void *kernel;
    dim3 grid, block;
    size_t shared_bytes;
    std::vector<argument> arguments;
    std::function<void()> thread; // the kernel's body, called once per thread
};

void launch_submit(launch_request request, cudaStream_t stream);

// Padding holds whatever was on the stack, host addresses for instance. Without the builtin those can only
// show as a false alarm when their page is mapped and the number before the padding is large.
template <typename T> void clear_padding(T *value) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(value);
#endif
#endif
    static_cast<void>(value);
}

template <typename T> void collect_argument(std::vector<argument> &to, int index, const T &value) {
    if constexpr (std::is_pointer_v<T>) {
        to.push_back({index, reinterpret_cast<const void *>(value), true});
    } else if constexpr (std::is_class_v<T> && sizeof(T) >= sizeof(void *)) {
        static_assert(std::is_trivially_copyable_v<T>, "kernel arguments are copied as bytes");
        T clean = value;
        clear_padding(&clean);
        const char *bytes = reinterpret_cast<const char *>(&clean);
        for (size_t at = 0; at + sizeof(void *) <= sizeof(T); at += sizeof(void *)) {
            const void *word;
            memcpy(&word, bytes + at, sizeof word);
            to.push_back({index, word, false});
        }
    }
}

template <typename... P, typename... A>
void launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes,
            cudaStream_t stream, A &&...args) {
    static_assert(sizeof...(P) == sizeof...(A), "a launch names every parameter");
    std::tuple<std::decay_t<P>...> values(static_cast<std::decay_t<P>>(args)...);
    launch_request request = {name, reinterpret_cast<const void *>(kernel), grid, block, shared_bytes, {},
                              {}};
    std::apply(
        [&](const auto &...value) {
            int index = 0;
            (collect_argument(request.arguments, index++, value), ...);
        },
        values);
    request.thread = [kernel, values] { std::apply(kernel, values); };
    launch_submit(std::move(request), stream);
}

} // namespace emulated

#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                               \
    emulated::launch(#kernel, kernel, grid, block, shared_bytes, stream, __VA_ARGS__)
