# Every library the project stands on; all are packages of the distribution (see scripts/dependencies).
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(dnnl REQUIRED CONFIG)
find_package(HWY CONFIG)
if(NOT TARGET hwy::hwy)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
  add_library(hwy::hwy ALIAS PkgConfig::HWY)
endif()
if(NOT TARGET yaml-cpp::yaml-cpp)   # yaml-cpp < 0.8 exports the plain name
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
add_library(xxhash UNKNOWN IMPORTED)   # its package has no CMake files
set_target_properties(xxhash PROPERTIES IMPORTED_LOCATION ${XXHASH_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${XXHASH_INCLUDE_DIR})
find_package(Gloo CONFIG QUIET)      # collectives over TCP; without it runs have one process
if(NOT TARGET gloo)
  message(STATUS "gloo was not found (libgloo-dev): COMM.BACKEND gloo is left out")
endif()
if(TRAINER_TESTS)
  find_package(Catch2 REQUIRED)     # v2 and v3; tests/catch.h hides the difference
endif()
if(TRAINER_CUDA)
  # Machine code for Ampere (A100; RTX 30), Ada and Hopper, and PTX from which the driver makes code for what is newer.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90)
  endif()
  enable_language(CUDA)   # here, in the outermost scope: kernels/ compiles, lib/backend/cuda links
  find_package(CUDAToolkit 11.8 REQUIRED)
endif()
