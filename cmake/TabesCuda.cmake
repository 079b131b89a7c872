# The CUDA module, libtabes_cuda.so: loaded at run time when a device is asked for, so one program serves machines
# with and without one. Built where nvcc and cuBLAS are found; sanitized builds use the emulated module instead.
set(TABES_CUDA AUTO CACHE STRING "Build the CUDA module: ON, OFF, or AUTO (when the toolkit is there)")
set_property(CACHE TABES_CUDA PROPERTY STRINGS AUTO ON OFF)
set(TABES_CUDA_ARCHITECTURES "80;90;120" CACHE STRING "Compute capabilities the CUDA module has code for")
# Each comes with PTX, from which a driver compiles for devices in between and after: 10.0 from that of 9.0.

function(tabes_cuda_missing why)
  if(TABES_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA module: not built (${why})")
  else()
    message(FATAL_ERROR "TABES_CUDA is ${TABES_CUDA}, but ${why}")
  endif()
endfunction()

function(tabes_cuda_module)
  set(architectures ${TABES_CUDA_ARCHITECTURES})
  if(CUDAToolkit_VERSION VERSION_LESS 12.8)
    list(REMOVE_ITEM architectures 120)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cu)
  add_library(tabes_cuda MODULE ${sources})
  set_target_properties(tabes_cuda PROPERTIES
    CUDA_ARCHITECTURES "${architectures}" CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON CUDA_EXTENSIONS OFF
    CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON
    CUDA_COMPILER_LAUNCHER "sh;${CMAKE_SOURCE_DIR}/cmake/keep-log.sh"
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  string(REPLACE ";" ", " capabilities "${architectures}")
  target_compile_definitions(tabes_cuda PRIVATE "TABES_CUDA_ARCHITECTURES=\"${capabilities}\"")
  target_include_directories(tabes_cuda PRIVATE ${CMAKE_SOURCE_DIR})
  # --resource-usage: scripts/check-cuda.sh reads what it reports.
  target_compile_options(tabes_cuda PRIVATE --resource-usage -Xcompiler=-Wall,-Wextra,-Wshadow)
  target_link_libraries(tabes_cuda PRIVATE CUDA::cublas)
  target_link_options(tabes_cuda PRIVATE -Wl,--exclude-libs,ALL -Wl,--no-undefined -Wl,-z,relro,-z,now,-z,noexecstack)
  message(STATUS "CUDA module: toolkit ${CUDAToolkit_VERSION}, capabilities ${capabilities}")
endfunction()

if(TABES_CUDA STREQUAL "AUTO" AND TABES_SANITIZE)
  tabes_cuda_missing("sanitizers are on")
elseif(TABES_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
  find_package(CUDAToolkit QUIET)
  if(NOT CMAKE_CUDA_COMPILER)
    tabes_cuda_missing("nvcc was not found")
  elseif(NOT TARGET CUDA::cublas)
    tabes_cuda_missing("cuBLAS was not found")
  else()
    set(CMAKE_CUDA_ARCHITECTURES OFF)
    enable_language(CUDA)
    tabes_cuda_module()
  endif()
endif()
