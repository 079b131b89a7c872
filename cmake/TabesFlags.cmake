# Warnings are errors with the compiler that CI uses (gcc 12); a newer one may know new warnings, and those
# must not keep a newcomer from building. Hardening is always on; contraction is off, no fast-math.
set(werror_default OFF)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 13)
  set(werror_default ON)
endif()
option(TABES_WERROR "Treat warnings as errors" ${werror_default})

add_library(tabes_flags INTERFACE)
target_include_directories(tabes_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(tabes_flags INTERFACE _GNU_SOURCE)
target_compile_options(tabes_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wformat=2 $<$<BOOL:${TABES_WERROR}>:-Werror> -ffp-contract=off -fstack-protector-strong -fPIE
  -include ${CMAKE_SOURCE_DIR}/engine/base/banned.h)
target_link_options(tabes_flags INTERFACE -pie -Wl,-z,relro,-z,now)

if(TABES_SANITIZE)
  target_compile_options(tabes_flags INTERFACE -fsanitize=${TABES_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(tabes_flags INTERFACE -fsanitize=${TABES_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_definitions(tabes_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
# Asserts state promises inside our own code; they stay in release builds.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")
