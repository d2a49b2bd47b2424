# Releases for users of CMake: included in Troupe's own tree, and by find_package(troupe).
#
#   troupe_release_rpath(TARGET [INSTALLED])
#     links an executable so that it finds its libraries in ../lib beside it, wherever the folder is moved; where there
#     is no such folder, as in a build tree, the system's libraries are found as ever. INSTALLED: it is so after
#     `cmake --install` too, for an executable that needs no shared library of its own project.
#
#   troupe_add_release(NAME EXECUTABLE target MANIFEST file [VERSION version] [PATH folder] [EXCLUDE_FROM_ALL])
#     target release_NAME: after a build the release stands at <build>/rel/NAME (or PATH). MANIFEST describes it under
#     [releases.NAME]; without VERSION the manifest's holds, and the project's where it has none. The release is built
#     again when anything changes that it was made of.

# DT_RPATH, by the linker's old dynamic tags: DT_RUNPATH is not inherited by the libraries of libraries.
function(troupe_release_rpath target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "INSTALLED" "" "")
  target_link_options(${target} PRIVATE LINKER:--disable-new-dtags)
  if(arg_INSTALLED)
    # Two rpaths, of build and installation, CMake would pad with ':' to one length; to the loader an empty entry is the
    # current directory. Hence one for both.
    set_target_properties(${target} PROPERTIES
      INSTALL_RPATH "$ORIGIN/../lib" INSTALL_RPATH_USE_LINK_PATH ON BUILD_WITH_INSTALL_RPATH ON)
    return()
  endif()
  get_target_property(build_rpath ${target} BUILD_RPATH)
  if(NOT build_rpath)
    set(build_rpath "")
  endif()
  list(PREPEND build_rpath "$ORIGIN/../lib")
  list(REMOVE_DUPLICATES build_rpath)
  set_target_properties(${target} PROPERTIES BUILD_RPATH "${build_rpath}")
endfunction()

function(troupe_add_release name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "EXCLUDE_FROM_ALL" "EXECUTABLE;MANIFEST;VERSION;PATH" "")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "troupe_add_release(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  foreach(needed IN ITEMS EXECUTABLE MANIFEST)
    if(NOT arg_${needed})
      message(FATAL_ERROR "troupe_add_release(${name}): ${needed} is missing")
    endif()
  endforeach()
  if(NOT TARGET ${arg_EXECUTABLE})
    message(FATAL_ERROR "troupe_add_release(${name}): there is no target ${arg_EXECUTABLE}")
  endif()
  cmake_path(ABSOLUTE_PATH arg_MANIFEST NORMALIZE)
  if(NOT arg_PATH)
    set(arg_PATH ${PROJECT_BINARY_DIR}/rel/${name})
  endif()
  set(version "")
  if(arg_VERSION)
    set(version --version ${arg_VERSION})
  elseif(PROJECT_VERSION)
    set(version --default-version ${PROJECT_VERSION})
  endif()
  # In Troupe's own tree the tool is built with the rest.
  if(TARGET troupe_tool)
    set(tool $<TARGET_FILE:troupe_tool>)
    set(tool_target troupe_tool)
  elseif(troupe_TOOL)
    set(tool ${troupe_TOOL})
    set(tool_target ${troupe_TOOL})
  else()
    message(FATAL_ERROR "troupe_add_release(${name}): the tool `troupe` is missing")
  endif()
  troupe_release_rpath(${arg_EXECUTABLE})

  # The tool says what it has read: the manifest's configuration and environment, and the libraries.
  set(stamp ${PROJECT_BINARY_DIR}/rel/.${name}.built)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/rel)
  add_custom_command(OUTPUT ${stamp}
    COMMAND ${tool} release build ${name} --manifest ${arg_MANIFEST} --path ${arg_PATH}
      --executable $<TARGET_FILE:${arg_EXECUTABLE}> ${version} --overwrite --quiet
      --depfile ${stamp}.d --depfile-target ${stamp}
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    DEPENDS ${arg_EXECUTABLE} ${tool_target} ${arg_MANIFEST}
    DEPFILE ${stamp}.d
    COMMENT "Release ${name}: ${arg_PATH}"
    VERBATIM)
  if(arg_EXCLUDE_FROM_ALL)
    add_custom_target(release_${name} DEPENDS ${stamp})
  else()
    add_custom_target(release_${name} ALL DEPENDS ${stamp})
  endif()
endfunction()
