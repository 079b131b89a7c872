// fiber.h - a stack and a place to go on from: the emulated threads of a block.
//
// One scheduler resumes fibers of its own host thread; a fiber gives way back to it. Switching is a few moves
// of registers (x86-64, aarch64) or ucontext, without system calls; stacks are kept and used again, each with
// an inaccessible page below it.
#pragma once

#include <stddef.h>

namespace emulated {

struct fiber {
    void *sp = nullptr; // where to go on, while not running
    char *stack = nullptr;
    void *fake_stack = nullptr; // AddressSanitizer's, while not running
    bool idle = false;          // its entry has returned
    void (*entry)(void *) = nullptr;
    void *argument = nullptr;
};

// Makes f start at entry(argument) when it is resumed next, whatever it was in the middle of: entry holds
// nothing that needs a destructor at its yields. When it returns, the scheduler goes on.
void fiber_prepare(fiber *f, void (*entry)(void *), void *argument);
void fiber_resume(fiber *f);
void fiber_yield(fiber *f);
[[noreturn]] void fiber_abandon(fiber *f); // goes back to the scheduler for good
void fiber_release(fiber *f);              // gives the stack back to the system

} // namespace emulated
