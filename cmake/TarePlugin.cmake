# tare_add_plugin(name SOURCES a.cpp .. [LIBRARIES ..] [OUTPUT_NAME file]): a plugin that anyone builds, in this tree or
# against an installation: <name>.so, C++20 or C, hidden symbols, one export. Part of find_package(tare).
function(tare_add_plugin name)
  cmake_parse_arguments(ARG "" "OUTPUT_NAME" "SOURCES;LIBRARIES" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS OR NOT ARG_SOURCES)
    message(FATAL_ERROR "tare_add_plugin(${name}): found '${ARG_UNPARSED_ARGUMENTS}' and sources '${ARG_SOURCES}', "
                        "expected SOURCES with at least one file, and LIBRARIES or OUTPUT_NAME")
  endif()
  set(script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.version)
  add_library(${name} MODULE ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES PREFIX "" POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden
                        CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON CXX_EXTENSIONS OFF)
  if(ARG_OUTPUT_NAME)
    set_target_properties(${name} PROPERTIES OUTPUT_NAME ${ARG_OUTPUT_NAME})
  endif()
  target_link_libraries(${name} PRIVATE tare::api ${ARG_LIBRARIES})
  target_link_options(${name} PRIVATE -Wl,--version-script=${script} -Wl,--exclude-libs,ALL)
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${script})
endfunction()
