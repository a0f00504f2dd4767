# What an installation holds: bin/tare, lib/tare/plugins/*.so (the executable and each plugin install themselves), the headers of tare::api,
# and find_package(tare). Nothing in it knows where it was installed: it may be moved.
include(CMakePackageConfigHelpers)
set(TARE_CMAKE_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tare)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/core/api/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tare/core/api
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
# Device headers that kernel plugins' .cuh files include; compiled at run time.
if(EXISTS ${PROJECT_SOURCE_DIR}/jit/cuh)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/jit/cuh/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tare/jit/cuh
          FILES_MATCHING PATTERN "*.cuh" PATTERN "*.hpp" PATTERN "*.h")
endif()
# Measured choices of kernels. A build tree has them where an installation does.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/tuning-db/ DESTINATION share/tare/tuning-db FILES_MATCHING PATTERN "*.toml")
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share/tare)
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/tuning-db ${CMAKE_BINARY_DIR}/share/tare/tuning-db SYMBOLIC)
# What a CUDA kernel plugin's host code includes, and the function that puts its kernels' text into it.
if(EXISTS ${PROJECT_SOURCE_DIR}/jit/jit.hpp)
  foreach(header jit.hpp cuda_kernel.hpp cuda_launch.hpp source_hash.hpp source/bundle.hpp)
    get_filename_component(folder jit/${header} DIRECTORY)
    install(FILES ${PROJECT_SOURCE_DIR}/jit/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tare/${folder})
  endforeach()
  install(FILES ${PROJECT_SOURCE_DIR}/jit/TareCudaBundle.cmake ${PROJECT_SOURCE_DIR}/jit/EmbedBundle.cmake
          DESTINATION ${TARE_CMAKE_DESTINATION})
endif()
install(TARGETS tare_api EXPORT tareTargets)
install(EXPORT tareTargets NAMESPACE tare:: DESTINATION ${TARE_CMAKE_DESTINATION})

get_target_property(TARE_API_HASH tare_api INTERFACE_COMPILE_DEFINITIONS)
string(REGEX REPLACE ".*TARE_API_HASH=\"([0-9a-f]*)\".*" "\\1" TARE_API_HASH "${TARE_API_HASH}")
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/tareConfig.cmake.in ${CMAKE_BINARY_DIR}/cmake/tareConfig.cmake
  INSTALL_DESTINATION ${TARE_CMAKE_DESTINATION} PATH_VARS CMAKE_INSTALL_PREFIX CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/cmake/tareConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cmake/tareConfig.cmake ${CMAKE_BINARY_DIR}/cmake/tareConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/TarePlugin.cmake ${PROJECT_SOURCE_DIR}/cmake/plugin.version
        DESTINATION ${TARE_CMAKE_DESTINATION})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
