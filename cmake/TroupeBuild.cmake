# What every target of the tree is compiled with, and the layers of a component.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

add_library(troupe_flags INTERFACE)
target_compile_options(troupe_flags INTERFACE -Wall -Wextra -Wpedantic -Wno-missing-field-initializers)
if(TROUPE_WERROR)
  target_compile_options(troupe_flags INTERFACE -Werror)
endif()
# Symmetric transfer is only a tail call with this flag below -O2; without it each finished await would cost stack.
target_compile_options(troupe_flags INTERFACE
  $<$<AND:$<CONFIG:Debug>,$<CXX_COMPILER_ID:GNU>>:-Og>
  $<$<AND:$<CONFIG:Debug>,$<CXX_COMPILER_ID:GNU>>:-foptimize-sibling-calls>)
target_compile_definitions(troupe_flags INTERFACE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
# What a program of a release never calls is left out of it.
target_compile_options(troupe_flags INTERFACE $<$<CONFIG:Release>:-ffunction-sections;-fdata-sections>)
target_link_options(troupe_flags INTERFACE $<$<CONFIG:Release>:LINKER:--gc-sections>)
if(TROUPE_SANITIZE STREQUAL "asan")
  target_compile_options(troupe_flags INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(troupe_flags INTERFACE -fsanitize=address,undefined)
  target_compile_definitions(troupe_flags INTERFACE TROUPE_SANITIZED=1)
elseif(TROUPE_SANITIZE STREQUAL "tsan")
  target_compile_options(troupe_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(troupe_flags INTERFACE -fsanitize=thread)
  target_compile_definitions(troupe_flags INTERFACE TROUPE_SANITIZED=1)
elseif(NOT TROUPE_SANITIZE STREQUAL "")
  message(FATAL_ERROR "TROUPE_SANITIZE is '${TROUPE_SANITIZE}': it must be empty, asan or tsan")
endif()
if(TROUPE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "TROUPE_FUZZ needs clang (libFuzzer): use the preset fuzz")
  endif()
  target_compile_options(troupe_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined)
  target_link_options(troupe_flags INTERFACE -fsanitize=address,undefined)
  target_compile_definitions(troupe_flags INTERFACE TROUPE_SANITIZED=1)
endif()

# Shared libraries beside the executable are found without any environment, and by their own dependencies too.
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)

if(NOT TROUPE_JOINED MATCHES "^(|tests|all)$")
  message(FATAL_ERROR "TROUPE_JOINED is '${TROUPE_JOINED}': it must be empty, tests or all")
endif()

# Several sources are compiled as one, since most of a file's time is spent on headers: those of the layers where
# TROUPE_JOINED is `all` (the sanitizers' presets), those of tests where it is `tests` too (the debug preset: there a
# file of a library that forgets an include does not build).
function(troupe_joined target)
  if(TROUPE_JOINED STREQUAL "all" OR (TROUPE_JOINED STREQUAL "tests" AND "TEST" IN_LIST ARGN))
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endfunction()

# troupe_layer(NAME DIR dir [USES layers…] [LIBRARIES libs…] [COLD] [APART]): one static library per layer of a
# component, so that a test links a layer with those below it and nothing above. A layer without sources yet is an
# interface. No message between C++ processes passes a COLD one: it is compiled to be small, as a node keeps in memory
# what it starts with. The sources of an APART one have names in common, and are never joined.
function(troupe_layer name)
  cmake_parse_arguments(arg "COLD;APART" "DIR" "USES;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${arg_DIR}/*.cpp)
  set(public PUBLIC)
  if(sources)
    add_library(${name} STATIC ${sources})
  else()
    add_library(${name} INTERFACE)
    set(public INTERFACE)
  endif()
  target_include_directories(${name} ${public}
    $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/src>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${name} ${public} cxx_std_23)
  target_link_libraries(${name} ${public} ${arg_USES} Threads::Threads)
  if(sources)
    if(NOT arg_APART)
      troupe_joined(${name})
    endif()
    target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:troupe_flags>)
    if(arg_COLD)
      target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O2>)
    endif()
    foreach(library IN LISTS arg_LIBRARIES)
      if(library IN_LIST TROUPE_HEADER_ONLY)
        set(library $<BUILD_INTERFACE:${library}>)
      endif()
      target_link_libraries(${name} PRIVATE ${library})
    endforeach()
  endif()
  set_property(GLOBAL APPEND PROPERTY TROUPE_LAYERS ${name})
endfunction()

# Third-party libraries that are nothing but headers: a program that uses the installed package never needs them.
set(TROUPE_HEADER_ONLY msgpackc-cxx nlohmann_json::nlohmann_json CLI11::CLI11)
