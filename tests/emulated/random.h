// random.h - a small generator for orders (xorshift64*, seeded through splitmix64).
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace emulated {

struct random_order {
    uint64_t state;

    explicit random_order(uint64_t seed) {
        seed += 0x9e3779b97f4a7c15u;
        seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
        seed = (seed ^ seed >> 27) * 0x94d049bb133111ebu;
        state = (seed ^ seed >> 31) | 1u;
    }
    uint32_t next() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return static_cast<uint32_t>(state * 0x2545f4914f6cdd1du >> 32);
    }
    // 0 .. n-1
    size_t below(size_t n) {
        return static_cast<size_t>(static_cast<uint64_t>(next()) * n >> 32);
    }
    template <typename T> void shuffle(T *items, size_t n) {
        for (size_t i = n; i > 1; i--) {
            size_t j = below(i);
            T item = items[i - 1];
            items[i - 1] = items[j];
            items[j] = item;
        }
    }
};

} // namespace emulated
