# tare_cuda_bundle(target NAME linear FILES path/from/root.cuh ..): embeds kernel sources into `target`, which then has
# `SourceBundle tare::jit::linear_bundle()`; declare it where it is used.
set(TARE_JIT_DIRECTORY ${CMAKE_CURRENT_LIST_DIR} CACHE INTERNAL "")
function(tare_cuda_bundle target)
  cmake_parse_arguments(ARG "" "NAME;ROOT" "FILES" ${ARGN})
  if(NOT ARG_ROOT)
    set(ARG_ROOT ${PROJECT_SOURCE_DIR})
  endif()
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${ARG_NAME}_bundle.cpp)
  list(TRANSFORM ARG_FILES PREPEND ${ARG_ROOT}/ OUTPUT_VARIABLE paths)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DROOT=${ARG_ROOT} -DNAME=${ARG_NAME} "-DFILES=${ARG_FILES}"
            -P ${TARE_JIT_DIRECTORY}/EmbedBundle.cmake
    DEPENDS ${paths} ${TARE_JIT_DIRECTORY}/EmbedBundle.cmake
    COMMENT "Embedding the kernel sources of ${ARG_NAME}" VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
