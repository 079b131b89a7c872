# Warnings are errors with the compiler that CI uses (gcc 12); a newer one may know new warnings, and those
# must not keep a newcomer from building. Hardening is always on; contraction is off, no fast-math.
set(werror_default OFF)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 13)
  set(werror_default ON)
endif()
option(TABES_WERROR "Treat warnings as errors" ${werror_default})

# What a compiler or processor may lack. tests/cli/test_hardening.py looks at the program for what came of it.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
set(hardening -fstack-protector-strong)
foreach(flag -fstack-clash-protection -fcf-protection)
  string(MAKE_C_IDENTIFIER "has${flag}" known)
  check_c_compiler_flag(${flag} ${known})
  if(${known})
    list(APPEND hardening ${flag})
  endif()
endforeach()
# Level 3 also knows sizes that only show at run time; it needs gcc 12 or clang 9, and glibc 2.34.
set(CMAKE_REQUIRED_FLAGS "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -Werror")
check_c_source_compiles("#include <string.h>
  int main(void) { return (int)strlen(__builtin_dynamic_object_size(\"\", 0) ? \"\" : \"\"); }" has_fortify_3)
unset(CMAKE_REQUIRED_FLAGS)
set(fortify 2)
if(has_fortify_3)
  set(fortify 3)
endif()

add_library(tabes_flags INTERFACE)
target_include_directories(tabes_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(tabes_flags INTERFACE _GNU_SOURCE)
target_compile_options(tabes_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wformat=2 $<$<BOOL:${TABES_WERROR}>:-Werror> -ffp-contract=off -fPIE ${hardening}
  -include ${CMAKE_SOURCE_DIR}/engine/base/banned.h)
target_link_options(tabes_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)

if(TABES_SANITIZE)
  target_compile_options(tabes_flags INTERFACE -fsanitize=${TABES_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(tabes_flags INTERFACE -fsanitize=${TABES_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  list(APPEND hardening -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${fortify}) # some distributions' compilers bring a level
  target_compile_options(tabes_flags INTERFACE ${hardening})
endif()
# Asserts state promises inside our own code; they stay in release builds.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")
