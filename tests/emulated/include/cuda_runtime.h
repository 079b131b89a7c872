// cuda_runtime.h (emulated) - the part of CUDA C++ and its runtime that kernels/cuda uses, on the CPU.
#pragma once

#include "emulated/language.h"
#include "emulated/numbers.h"
#include "emulated/runtime.h"
#include "emulated/threads.h"
#include "emulated/launch.h"
