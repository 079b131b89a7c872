# The MPI module, libtabes_mpi.so: loaded at run time when mpirun started the program, so one program serves machines
# with and without Open MPI.
set(TABES_MPI AUTO CACHE STRING "Build the MPI module: ON, OFF, or AUTO (when Open MPI is there)")
set_property(CACHE TABES_MPI PROPERTY STRINGS AUTO ON OFF)

if(TABES_MPI STREQUAL "AUTO" AND TABES_SANITIZE)
  message(STATUS "MPI module: not built (sanitizers are on)")
elseif(TABES_MPI)
  find_package(MPI QUIET COMPONENTS C)
  if(MPI_C_FOUND)
    add_library(tabes_mpi MODULE eval/mpi/module.c)
    set_target_properties(tabes_mpi PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    # Not the flags of the rooms: those are for a program, this is a shared library.
    target_include_directories(tabes_mpi PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_options(tabes_mpi PRIVATE -Wall -Wextra -Wshadow -Wconversion -fvisibility=hidden ${hardening})
    target_link_libraries(tabes_mpi PRIVATE MPI::MPI_C)
    target_link_options(tabes_mpi PRIVATE -Wl,--no-undefined -Wl,-z,relro,-z,now,-z,noexecstack)
    message(STATUS "MPI module: MPI ${MPI_C_VERSION}")
  elseif(TABES_MPI STREQUAL "AUTO")
    message(STATUS "MPI module: not built (Open MPI was not found)")
  else()
    message(FATAL_ERROR "TABES_MPI is ${TABES_MPI}, but Open MPI was not found")
  endif()
endif()
