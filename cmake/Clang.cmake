# The toolchain of the preset fuzz: libFuzzer comes with clang. Version 14 is in Debian 12 and Ubuntu 24.04.
find_program(TABES_CLANG NAMES clang-14 clang REQUIRED)
set(CMAKE_C_COMPILER "${TABES_CLANG}")
