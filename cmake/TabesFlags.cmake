# Warnings are errors; hardening is always on; contraction is off (C11 mode), no fast-math.
add_library(tabes_flags INTERFACE)
target_include_directories(tabes_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(tabes_flags INTERFACE _GNU_SOURCE)
target_compile_options(tabes_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wformat=2 -Werror -ffp-contract=off -fstack-protector-strong -fPIE
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
