# Makes one C file of the parts of the HTML export: cmake -DFOLDER=replay/page -DOUT=page.c -P EmbedPage.cmake
# A string literal of that size would be beyond what C11 promises, so the bytes are listed.
function(embed name)
  set(bytes "")
  foreach(file ${ARGN})
    file(READ "${FOLDER}/${file}" part HEX)
    string(APPEND bytes "${part}")
  endforeach()
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  file(APPEND "${OUT}" "const unsigned char page_${name}[] = {\n${bytes}};\n"
    "const size_t page_${name}_bytes = sizeof page_${name};\n")
endfunction()

file(WRITE "${OUT}" "/* Made from replay/page by cmake/EmbedPage.cmake. */\n#include \"replay/page.h\"\n")
embed(html page.html)
embed(css page.css)
embed(js data.js tokens.js canvas.js charts.js inspector.js page.js)
