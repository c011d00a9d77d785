# How our own code is compiled. Everything here applies to the whole tree.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
# The build tree and the installed tree look alike (bin/ beside lib/), so either can be moved.
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib;$ORIGIN")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# -O3 is for the loops (lib/CMakeLists.txt): elsewhere it costs a third of the build and gains nothing.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

find_program(CCACHE ccache)
if(CCACHE)
  # ccache takes files with precompiled headers only when told that it may (its manual, "Precompiled headers").
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()

# x86-64-v2 is the oldest processor that is supported; wider loops are chosen at run time (Highway, oneDNN).
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  list(APPEND flags -march=x86-64-v2)
endif()
# One expression gives one result: no contraction into fma that depends on the optimiser's mood.
list(APPEND flags -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -ffp-contract=off)
if(TRAINER_WERROR)
  list(APPEND flags -Werror)
endif()
if(TRAINER_SANITIZE)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")  # builds in half the time of -O2 -g, and names the same lines
  list(APPEND flags -fsanitize=${TRAINER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TRAINER_SANITIZE})
  # For tests that replace or measure what the sanitizers do as well, or use libraries that are not compiled with them.
  add_compile_definitions(TRAINER_SANITIZED)
  if(TRAINER_SANITIZE STREQUAL "thread")
    add_compile_definitions(TRAINER_SANITIZED_THREADS)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND flags -Wno-maybe-uninitialized)   # gcc's checks see the sanitizers' branches: false alarms in <regex>
    list(APPEND flags -Wno-tsan)   # fences are not modelled; what ours order (lib/base/board.cpp) is atomic throughout
  endif()
endif()
if(TRAINER_FUZZ)
  list(APPEND flags -fsanitize=fuzzer-no-link)
endif()
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${flags}>")   # nvcc has flags of its own: kernels/CMakeLists.txt
if(NOT (TRAINER_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang"))   # clang's sanitizers are in programs, not in libraries
  add_link_options(-Wl,--no-undefined)
endif()

# Headers that nearly every file needs are read once. Every source still includes what it uses: preset clang builds without.
option(TRAINER_PRECOMPILE "Precompile common headers" ON)
set(COMMON_HEADERS <algorithm> <array> <chrono> <filesystem> <functional> <map> <memory> <mutex> <optional> <span> <string>
                   <string_view> <vector> <fmt/core.h>)
# precompile(TARGET [HEADERS...])           of TARGET itself
# precompile(TARGET REUSE_FROM OTHER)       those of OTHER, which has the same flags
function(precompile target)
  if(TRAINER_PRECOMPILE)
    if("${ARGV1}" STREQUAL "REUSE_FROM")
      target_precompile_headers(${target} REUSE_FROM ${ARGV2})
    else()
      target_precompile_headers(${target} PRIVATE ${COMMON_HEADERS} ${ARGN})
    endif()
  endif()
endfunction()
