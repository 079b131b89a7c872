// fiber.cpp - switching stacks. A switch saves what the calling convention says a callee keeps.
#include "fiber.h"

#include "asan.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

namespace emulated {

#ifdef EMULATED_ASAN
enum : size_t { STACK_BYTES = 256 * 1024 }; // instrumented frames are large
#else
enum : size_t { STACK_BYTES = 64 * 1024 };
#endif
enum : size_t { FENCE_BYTES = 64 * 1024 }; // a multiple of every page size

// The scheduler, while a fiber runs. One host thread at a time runs kernels.
static struct {
    void *sp;
    void *fake_stack;
    const void *stack;
    size_t stack_bytes;
    fiber *running;
} scheduler;

static void fiber_main() {
    fiber *f = scheduler.running;
    __sanitizer_finish_switch_fiber(nullptr, &scheduler.stack, &scheduler.stack_bytes);
    for (;;) { // one entry after the other: what AddressSanitizer allocates for a fiber is costly
        f->entry(f->argument);
        f->idle = true;
        fiber_yield(f);
    }
}

#if defined(__x86_64__)

extern "C" void tabes_fiber_switch(void **save, void *to) __attribute__((visibility("hidden")));
asm(R"(
    .text
    .p2align 4
    .globl tabes_fiber_switch
    .hidden tabes_fiber_switch
    .type tabes_fiber_switch, @function
tabes_fiber_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size tabes_fiber_switch, . - tabes_fiber_switch
)");

// Six registers, then the address that the switch returns to, then a return address for fiber_main that
// leaves the stack aligned as after a call.
static void *first_frame(char *top) {
    void **sp = reinterpret_cast<void **>(top) - 8;
    memset(sp, 0, 8 * sizeof *sp);
    sp[6] = reinterpret_cast<void *>(fiber_main);
    return sp;
}

#elif defined(__aarch64__)

extern "C" void tabes_fiber_switch(void **save, void *to) __attribute__((visibility("hidden")));
asm(R"(
    .text
    .p2align 4
    .globl tabes_fiber_switch
    .hidden tabes_fiber_switch
    .type tabes_fiber_switch, %function
tabes_fiber_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size tabes_fiber_switch, . - tabes_fiber_switch
)");

// Twelve integer registers, the last (x30) being where the switch returns to, and eight floating ones.
static void *first_frame(char *top) {
    void **sp = reinterpret_cast<void **>(top) - 20;
    memset(sp, 0, 20 * sizeof *sp);
    sp[11] = reinterpret_cast<void *>(fiber_main);
    return sp;
}

#else

static void tabes_fiber_switch(void **save, void *to) {
    ucontext_t here;
    *save = &here;
    swapcontext(&here, static_cast<ucontext_t *>(to));
}

// The context itself lives at the top of the stack.
static void *first_frame(char *top) {
    size_t room = (sizeof(ucontext_t) + 63) / 64 * 64;
    ucontext_t *c = reinterpret_cast<ucontext_t *>(top - room);
    getcontext(c);
    c->uc_stack.ss_sp = top - STACK_BYTES;
    c->uc_stack.ss_size = STACK_BYTES - room;
    c->uc_link = nullptr;
    makecontext(c, fiber_main, 0);
    return c;
}

#endif

static char *stack_take() {
    void *p = mmap(nullptr, FENCE_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || mprotect(p, FENCE_BYTES, PROT_NONE)) {
        fprintf(stderr, "emulator: no stack for a thread: %s\n", strerror(errno));
        abort();
    }
    return static_cast<char *>(p) + FENCE_BYTES;
}

void fiber_prepare(fiber *f, void (*entry)(void *), void *argument) {
    f->entry = entry;
    f->argument = argument;
    if (f->idle) {
        f->idle = false;
        return;
    }
    if (!f->stack) f->stack = stack_take();
    __asan_unpoison_memory_region(f->stack, STACK_BYTES); // frames that were left in the middle
    f->fake_stack = nullptr;
    f->sp = first_frame(f->stack + STACK_BYTES);
}

void fiber_release(fiber *f) {
    if (!f->stack) return;
    __asan_unpoison_memory_region(f->stack, STACK_BYTES);
    munmap(f->stack - FENCE_BYTES, FENCE_BYTES + STACK_BYTES);
    *f = fiber();
}

void fiber_resume(fiber *f) {
    scheduler.running = f;
    __sanitizer_start_switch_fiber(&scheduler.fake_stack, f->stack, STACK_BYTES);
    tabes_fiber_switch(&scheduler.sp, f->sp);
    __sanitizer_finish_switch_fiber(scheduler.fake_stack, nullptr, nullptr);
}

void fiber_yield(fiber *f) {
    __sanitizer_start_switch_fiber(&f->fake_stack, scheduler.stack, scheduler.stack_bytes);
    tabes_fiber_switch(&f->sp, scheduler.sp);
    __sanitizer_finish_switch_fiber(f->fake_stack, &scheduler.stack, &scheduler.stack_bytes);
}

void fiber_abandon(fiber *f) {
    __sanitizer_start_switch_fiber(nullptr, scheduler.stack, scheduler.stack_bytes);
    tabes_fiber_switch(&f->sp, scheduler.sp);
    abort(); // never resumed
}

} // namespace emulated
