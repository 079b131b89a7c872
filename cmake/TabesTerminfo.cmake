# tui/direct.ti compiled into the program, in the form that curses reads from the variable TERMINFO. Without tic, or
# without an entry for xterm-256color, it is empty and direct colours need the system's own xterm-direct.
find_program(TABES_TIC tic)
find_program(TABES_INFOCMP infocmp)
mark_as_advanced(TABES_TIC TABES_INFOCMP)
set(direct_source "${CMAKE_SOURCE_DIR}/tui/direct.ti")
set(direct_dir "${CMAKE_BINARY_DIR}/terminfo")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${direct_source}")
set(direct_text "")
if(TABES_TIC AND TABES_INFOCMP)
  file(MAKE_DIRECTORY "${direct_dir}")
  foreach(source "${direct_source}" "${CMAKE_SOURCE_DIR}/tests/terminal/support/sixteen.ti")
    execute_process(COMMAND "${TABES_TIC}" -x -o "${direct_dir}" "${source}" OUTPUT_QUIET ERROR_QUIET)
  endforeach()
  execute_process(COMMAND "${CMAKE_COMMAND}" -E env "TERMINFO=${direct_dir}" "${TABES_INFOCMP}" -x -q -Q2 tabes-direct
    OUTPUT_VARIABLE direct_text ERROR_QUIET)
  string(REGEX REPLACE "[ \t\r\n]" "" direct_text "${direct_text}")
endif()
string(REGEX REPLACE "(.)" "'\\1'," direct_chars "${direct_text}")
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/terminfo_direct.c" @ONLY CONTENT [[/* Made from tui/direct.ti. */
extern const char terminfo_direct[];
const char terminfo_direct[] = {@direct_chars@ 0};
]])
target_sources(tabes_tui PRIVATE "${CMAKE_BINARY_DIR}/terminfo_direct.c")
