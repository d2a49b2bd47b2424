# `cmake --install`: headers, static libraries, the tool, and the package files behind find_package(troupe).
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/troupe)

# All include/troupe trees become one; no two components own the same file (tools/dev/tidy).
foreach(component IN ITEMS bus node release)
  if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/${component}/include)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${component}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
      FILES_MATCHING PATTERN "*.hpp")
  endif()
endforeach()

# The layers are installed under their own names, troupe::runtime and so on; a program names troupe::bus, troupe::node
# or troupe::troupe. What belongs to the tools alone stays out.
get_property(layers GLOBAL PROPERTY TROUPE_LAYERS)
list(REMOVE_ITEM layers troupe_tools)
set(exported ${layers})
foreach(target IN ITEMS troupe_node troupe_release)
  if(TARGET ${target} AND NOT target IN_LIST exported)
    list(APPEND exported ${target})
  endif()
endforeach()
foreach(target IN LISTS exported)
  string(REPLACE "troupe_" "" name ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
endforeach()
install(TARGETS ${exported} EXPORT troupe ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT troupe NAMESPACE troupe:: FILE troupe-targets.cmake DESTINATION ${package_dir})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/troupe-config.cmake.in
  ${PROJECT_BINARY_DIR}/troupe-config.cmake INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/troupe-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/troupe-config.cmake ${PROJECT_BINARY_DIR}/troupe-config-version.cmake
  DESTINATION ${package_dir})

# What a release needs of CMake (troupe_add_release) comes with the package.
file(GLOB helpers CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/release/cmake/*.cmake ${PROJECT_SOURCE_DIR}/release/cmake/*.in)
if(helpers)
  install(FILES ${helpers} DESTINATION ${package_dir})
endif()

# The pages that comments of installed headers name, in the places that they name.
foreach(page IN ITEMS bus/DESIGN.md bus/PROTOCOL.md node/DESIGN.md node/GLOBAL.md node/OTP.md node/README.md
    node/SHELL.md node/TRACE.md release/DESIGN.md release/README.md)
  cmake_path(GET page PARENT_PATH folder)
  install(FILES ${PROJECT_SOURCE_DIR}/${page} DESTINATION ${CMAKE_INSTALL_DOCDIR}/${folder})
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

foreach(tool IN ITEMS troupe troupe_tool)
  if(TARGET ${tool})
    get_target_property(type ${tool} TYPE)
    if(type STREQUAL "EXECUTABLE")
      install(TARGETS ${tool} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
      break()
    endif()
  endif()
endforeach()
