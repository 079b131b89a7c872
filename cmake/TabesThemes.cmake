# The default theme is compiled in, so that the program looks right without any file: themes/dark.theme as bytes.
set(theme_source "${CMAKE_SOURCE_DIR}/themes/dark.theme")
set(theme_builtin "${CMAKE_BINARY_DIR}/theme_builtin.c")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${theme_source}")
file(READ "${theme_source}" theme_hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," theme_bytes "${theme_hex}")
file(CONFIGURE OUTPUT "${theme_builtin}" @ONLY CONTENT [[/* Made from themes/dark.theme. */
#include <stddef.h>
extern const unsigned char theme_builtin_text[];
extern const size_t theme_builtin_bytes;
const unsigned char theme_builtin_text[] = {@theme_bytes@};
const size_t theme_builtin_bytes = sizeof theme_builtin_text;
]])
target_sources(tabes_tui PRIVATE "${theme_builtin}")
