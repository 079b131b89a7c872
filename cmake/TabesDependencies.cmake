# Every library the program links, found once; docs/dependencies.md says why each is here.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
if(TABES_OPENMP)
  find_package(OpenMP REQUIRED COMPONENTS C)
endif()

function(tabes_pkg name module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
  add_library(tabes_${name} INTERFACE)
  target_link_libraries(tabes_${name} INTERFACE PkgConfig::${name})
endfunction()

tabes_pkg(cjson libcjson)
tabes_pkg(pcre2 libpcre2-8)
tabes_pkg(utf8proc libutf8proc)
tabes_pkg(ncursesw ncursesw)
tabes_pkg(readline readline)

# oneDNN ships no pkg-config file in Debian; its C API (dnnl_sgemm) is all we use.
find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.h REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(tabes_dnnl INTERFACE)
target_include_directories(tabes_dnnl SYSTEM INTERFACE ${DNNL_INCLUDE})
target_link_libraries(tabes_dnnl INTERFACE ${DNNL_LIBRARY})

if(TABES_TESTS)
  tabes_pkg(cmocka cmocka)
  tabes_pkg(vterm vterm)
endif()
