# What is installed and where, what the version tells of the build, and the Debian package.
#
# The program looks for its data relative to itself, so any --prefix works, also one given at install time:
#   bin/tabes  share/tabes/  share/man/man1/  share/doc/tabes/  completions  lib/tabes/libtabes_cuda.so

# ---- paths in the program ----

# A program in a folder beside examples/ finds it by itself (build*/, whatever preset). One that is built elsewhere has
# to be told where the sources are; otherwise no file that is installed names the machine that built it, and equal
# sources give equal files. What stays on the list is then the installed data a second time.
file(REAL_PATH ${CMAKE_BINARY_DIR}/.. folder_above)
file(REAL_PATH ${CMAKE_SOURCE_DIR} sources)
set(source_data "${CMAKE_INSTALL_PREFIX}/share/tabes")
if(NOT folder_above STREQUAL sources)
  set(source_data "${CMAKE_SOURCE_DIR}")
endif()
target_compile_definitions(tabes PRIVATE
  TABES_SOURCE_DIR="${source_data}"
  TABES_DATA_DIR="${CMAKE_INSTALL_PREFIX}/share/tabes")
target_compile_definitions(tabes_kernels PRIVATE TABES_MODULE_DIR="${CMAKE_INSTALL_PREFIX}/lib/tabes")
# An assert names its file from the top of the tree.
target_compile_options(tabes_flags INTERFACE -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)

# ---- facts of the build, for tabes --version ----

function(tabes_git out)
  execute_process(COMMAND ${GIT_EXECUTABLE} ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  set(${out} "${answer}" PARENT_SCOPE)
endfunction()

# The commit, when the sources are a clone; configured again whenever the log of HEAD grows.
find_package(Git QUIET)
set(commit "")
if(GIT_FOUND AND EXISTS ${CMAKE_SOURCE_DIR}/.git)
  tabes_git(commit rev-parse --verify --short=12 HEAD)
  tabes_git(head_log rev-parse --git-path logs/HEAD)
  if(head_log)
    file(REAL_PATH "${head_log}" head_log BASE_DIRECTORY ${CMAKE_SOURCE_DIR})
  endif()
  if(EXISTS "${head_log}")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${head_log}")
  endif()
endif()

function(tabes_dnnl_version out)
  file(STRINGS ${DNNL_INCLUDE}/oneapi/dnnl/dnnl_version.h lines REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX MATCHALL "[0-9]+" numbers "${lines}")
  list(JOIN numbers "." version)
  set(${out} ${version} PARENT_SCOPE)
endfunction()

tabes_dnnl_version(dnnl_version)
set(build_type ${CMAKE_BUILD_TYPE})
if(TABES_SANITIZE)
  string(APPEND build_type " with -fsanitize=${TABES_SANITIZE}")
endif()
set_source_files_properties(cli/main.c PROPERTIES COMPILE_DEFINITIONS
  "TABES_COMMIT=\"${commit}\";TABES_BUILD_TYPE=\"${build_type}\";TABES_LIBRARIES=\"oneDNN ${dnnl_version}, ncurses ${ncursesw_VERSION}, readline ${readline_VERSION}, cJSON ${cjson_VERSION}\"")

# ---- shell completions, made by asking the program ----

set(completions ${CMAKE_BINARY_DIR}/completions)
file(GLOB completion_parts CONFIGURE_DEPENDS cli/completions/*)
add_custom_command(OUTPUT ${completions}/tabes.bash ${completions}/_tabes ${completions}/tabes.fish
  COMMAND sh ${CMAKE_SOURCE_DIR}/cli/completions/generate.sh
    $<TARGET_FILE:tabes> ${CMAKE_SOURCE_DIR}/examples/models ${completions}
  DEPENDS tabes ${completion_parts} VERBATIM)
add_custom_target(tabes_completions ALL DEPENDS ${completions}/tabes.bash)

# ---- installation ----

install(TARGETS tabes RUNTIME DESTINATION bin COMPONENT tabes)
foreach(kind models prompts trajectories lessons)
  if(EXISTS ${CMAKE_SOURCE_DIR}/examples/${kind})
    install(DIRECTORY examples/${kind} DESTINATION share/tabes COMPONENT tabes)
  endif()
endforeach()
install(DIRECTORY themes DESTINATION share/tabes COMPONENT tabes FILES_MATCHING PATTERN "*.theme")
install(FILES docs/tabes.1 DESTINATION share/man/man1 COMPONENT tabes)
install(FILES ${completions}/tabes.bash DESTINATION share/bash-completion/completions RENAME tabes COMPONENT tabes)
install(FILES ${completions}/_tabes DESTINATION share/zsh/site-functions COMPONENT tabes)
install(FILES ${completions}/tabes.fish DESTINATION share/fish/vendor_completions.d COMPONENT tabes)
# Pages keep their folders, so that they find each other.
install(FILES README.md CHANGELOG.md LICENSE docs/copyright DESTINATION share/doc/tabes COMPONENT tabes)
install(FILES docs/scoring.md docs/commands.md docs/lessons.md docs/export.md docs/workbench.svg DESTINATION share/doc/tabes/docs COMPONENT tabes)
install(FILES themes/README.md DESTINATION share/doc/tabes/themes COMPONENT tabes)
install(FILES replay/FORMAT.md replay/schema.json DESTINATION share/doc/tabes/replay COMPONENT tabes)
# By itself: cuBLAS, which it needs, is not in every archive. Where the build had to say in which folder that is, the
# installed file says it too.
if(TARGET tabes_cuda)
  set_target_properties(tabes_cuda PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS tabes_cuda LIBRARY DESTINATION lib/tabes COMPONENT cuda)
endif()

# ---- Debian package: cpack ----

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tabes)
set(CPACK_PACKAGE_VENDOR "tabes developers")
set(CPACK_PACKAGE_CONTACT "tabes developers <tabes@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "workbench for decoding masked diffusion language models")
set(CPACK_COMPONENT_TABES_DESCRIPTION
"Shows in a terminal why a masked diffusion language model (LLaDA, Dream and
their kin) unmasked its tokens in the order it did: tabes runs the denoiser
one step at a time, shows entropy and token importance of every masked
position, and sets unmasking policies such as greedy confidence and
Backward-on-Entropy steering side by side. Decodes are recorded as JSON Lines
that replay without the model.
.
Three small trained models are included. The program is built with GNU readline
and distributed under the GNU General Public License, version 3 or later.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/CompressPages.cmake)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL tabes) # not the CUDA module
set(CPACK_DEBIAN_TABES_PACKAGE_NAME tabes)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_HOMEPAGE "https://example.org/tabes")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "bash-completion")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
