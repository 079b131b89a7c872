// warp.cpp - shuffles and votes as meetings of lanes.
#include "include/emulated/threads.h"

namespace emulated {

static void answer_shuffle(void *const lanes[32], unsigned mask) {
    for (unsigned i = 0; i < 32; i++) {
        if (!lanes[i]) continue;
        shuffled *s = static_cast<shuffled *>(lanes[i]);
        // What a lane outside the mask would send is undefined: a NaN, so that its use shows.
        s->answer = mask >> s->source & 1u ? static_cast<shuffled *>(lanes[s->source])->value : ~uint64_t(0);
    }
}

uint64_t shuffle(const char *operation, unsigned mask, uint64_t value, unsigned source) {
    shuffled s = {value, source, 0};
    warp_meet(operation, mask, &s, answer_shuffle);
    return s.answer;
}

// Each group of `width` lanes shuffles by itself; beyond its ends a lane keeps its own value.
static unsigned group_start(int width) {
    return lane_id() & ~(static_cast<unsigned>(width) - 1u);
}

unsigned shuffle_source(int lane, int width) {
    return group_start(width) + (static_cast<unsigned>(lane) & (static_cast<unsigned>(width) - 1u));
}

unsigned shuffle_up_source(unsigned delta, int width) {
    unsigned lane = lane_id();
    return delta <= lane - group_start(width) ? lane - delta : lane;
}

unsigned shuffle_down_source(unsigned delta, int width) {
    unsigned lane = lane_id(), end = group_start(width) + static_cast<unsigned>(width);
    return delta < end - lane ? lane + delta : lane;
}

// Lower groups may be read from, higher ones not (the rule of __shfl_xor_sync).
unsigned shuffle_xor_source(int lane_mask, int width) {
    unsigned lane = lane_id(), source = (lane ^ static_cast<unsigned>(lane_mask)) & 31u;
    return source < group_start(width) + static_cast<unsigned>(width) ? source : lane;
}

struct vote {
    bool predicate;
    unsigned ballot;
};

static void answer_vote(void *const lanes[32], unsigned) {
    unsigned ballot = 0;
    for (unsigned i = 0; i < 32; i++) {
        if (lanes[i] && static_cast<vote *>(lanes[i])->predicate) ballot |= 1u << i;
    }
    for (unsigned i = 0; i < 32; i++) {
        if (lanes[i]) static_cast<vote *>(lanes[i])->ballot = ballot;
    }
}

static unsigned cast_vote(const char *operation, unsigned mask, int predicate) {
    vote v = {predicate != 0, 0};
    warp_meet(operation, mask, &v, answer_vote);
    return v.ballot;
}

static void answer_nothing(void *const[32], unsigned) {
}

} // namespace emulated

void __syncwarp(unsigned mask) {
    emulated::warp_meet("__syncwarp", mask, nullptr, emulated::answer_nothing);
}

unsigned __ballot_sync(unsigned mask, int predicate) {
    return emulated::cast_vote("__ballot_sync", mask, predicate);
}

int __any_sync(unsigned mask, int predicate) {
    return emulated::cast_vote("__any_sync", mask, predicate) != 0;
}

int __all_sync(unsigned mask, int predicate) {
    return emulated::cast_vote("__all_sync", mask, predicate) == mask;
}
