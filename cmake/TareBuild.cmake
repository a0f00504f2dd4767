# How everything of ours is compiled, and the three shapes of target that the house has: library, plugin, test.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

# A build tree has the shape of an installation: bin/tare, lib/tare/plugins/*.so.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(TARE_PLUGIN_DIRECTORY ${CMAKE_BINARY_DIR}/lib/tare/plugins)

find_program(TARE_CCACHE ccache)
if(TARE_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${TARE_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TARE_CCACHE})
endif()
find_package(Threads REQUIRED)
include(TarePlugin)

add_library(tare_warnings INTERFACE)
target_compile_options(tare_warnings INTERFACE -Wall -Wextra -Wshadow -Werror
                       $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>)

if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlapping copies in std::string's own code (GCC bug 105651).
  target_compile_options(tare_warnings INTERFACE -Wno-restrict)
endif()

set(TARE_SANITIZE "" CACHE STRING "Sanitizers for everything of ours: address,undefined or thread")
if(TARE_SANITIZE)
  add_compile_options(-fsanitize=${TARE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${TARE_SANITIZE})
endif()

# tare_library(name SOURCES a.cpp .. [DEPENDS tare_x ..] [PRIVATE_DEPENDS ..]): a static library of the host.
function(tare_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC tare_api ${ARG_DEPENDS} PRIVATE tare_warnings ${ARG_PRIVATE_DEPENDS})
endfunction()

# tare_plugin(name SOURCES a.cpp .. [LIBRARIES ..]): a plugin, build/lib/tare/plugins/tare_<name>.so, which exports the
# door's one symbol and nothing else.
function(tare_plugin name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_library(tare_${name} MODULE ${ARG_SOURCES})
  set_target_properties(tare_${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${TARE_PLUGIN_DIRECTORY})
  target_include_directories(tare_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(tare_${name} PRIVATE tare_api tare_warnings ${ARG_LIBRARIES})
  target_link_options(tare_${name} PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/plugin.version
                      -Wl,-z,defs -Wl,--exclude-libs,ALL)
  set_property(GLOBAL APPEND PROPERTY TARE_PLUGINS tare_${name})
  install(TARGETS tare_${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/tare/plugins)
endfunction()

# tare_test(name LABEL unit SOURCES a.cpp .. [LIBRARIES ..] [TIMEOUT seconds]): a doctest binary run by ctest. Tests run
# with the repository's root as TARE_SOURCE_DIR and the build tree as TARE_BINARY_DIR (compile definitions).
function(tare_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/doctest_main.cpp)
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(test_${name} PRIVATE TARE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             TARE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(test_${name} PRIVATE tare_api tare_warnings ${ARG_LIBRARIES})
  add_test(NAME ${name} COMMAND test_${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()

# tare_fuzzer(name SOURCES fuzz.cpp .. LIBRARIES ..): a libFuzzer target; the corpus is tests/fuzz/corpus/<name>.
function(tare_fuzzer name)
  if(NOT TARE_BUILD_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(fuzz_${name} ${ARG_SOURCES})
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  target_include_directories(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(fuzz_${name} PRIVATE tare_api tare_warnings ${ARG_LIBRARIES})
endfunction()
