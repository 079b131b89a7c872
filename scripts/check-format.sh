#!/bin/sh
# Every C and CUDA source is as clang-format 14 would write it (other versions differ in details).
set -eu
cd "$(dirname "$0")/.."
tool=$(command -v clang-format-14) || { echo "check-format: clang-format-14 is not installed" >&2; exit 1; }
git ls-files '*.c' '*.h' '*.cu' '*.cuh' '*.cpp' | xargs "$tool" --dry-run --Werror
