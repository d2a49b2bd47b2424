# troupe_discover_tests(TARGET [PREFIX prefix] [TIMEOUT seconds] [LABELS labels…] [ENVIRONMENT NAME=VALUE…])
#   Makes each test of a program whose main is troupe::testing::run a test of CTest, named prefix + Suite.Name, with its
#   tags as labels. One that its tags exclude, that is disabled or skips itself counts as skipped:
#   `ctest -L distributed` selects, `TROUPE_TEST_INCLUDE=distributed ctest -L distributed` and
#   `TARGET --include distributed` run them.
function(troupe_discover_tests target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PREFIX;TIMEOUT" "LABELS;ENVIRONMENT")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "troupe_discover_tests(${target}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set(file ${CMAKE_CURRENT_BINARY_DIR}/${target}_tagged_tests.cmake)
  add_custom_command(TARGET ${target} POST_BUILD BYPRODUCTS ${file}
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${target}> -DPREFIX=${arg_PREFIX} -DTIMEOUT=${arg_TIMEOUT}
            "-DLABELS=${arg_LABELS}" "-DENVIRONMENT=${arg_ENVIRONMENT}" -DFILE=${file}
            -P ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/list_tests.cmake
    VERBATIM)
  # A program that this build leaves out has no tests: it is a failure to ask for them, not to run others.
  set(include ${CMAKE_CURRENT_BINARY_DIR}/${target}_include_tagged_tests.cmake)
  file(WRITE ${include} "if(EXISTS \"${file}\")\n  include(\"${file}\")\nelse()\n"
    "  add_test(${arg_PREFIX}${target}_NOT_BUILT ${target}_NOT_BUILT)\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${include})
endfunction()
