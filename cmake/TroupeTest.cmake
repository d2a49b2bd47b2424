# The one way a test enters CTest: every test has a label that says its kind, a deadline, and the same environment.
#
#   troupe_test(NAME KIND kind [LAYER target] [SOURCES files…] [GLOB patterns…] [LIBRARIES libs…] [LABELS tags…]
#               [DEPENDS targets…] [TIMEOUT seconds] [RUN_SERIAL])
#     one GoogleTest executable; each of its cases is a test named NAME.Suite.Case. It is left out when no source
#     matches, or when the layer that it tests is not part of this build.
#   troupe_script_test(NAME KIND kind COMMAND command… [LABELS tags…] [DEPENDS fixture tests…] [TIMEOUT seconds]
#                      [RUN_SERIAL])
#     one test that is a command: exit 0 passes, 77 is a skip, whose reason the command prints.
#
# kind: unit sim cluster release fuzz bench.

set(TROUPE_TEST_KINDS unit sim cluster release fuzz bench)
set(TROUPE_TEST_TIMEOUT_unit 60)
set(TROUPE_TEST_TIMEOUT_sim 120)
set(TROUPE_TEST_TIMEOUT_cluster 120)
set(TROUPE_TEST_TIMEOUT_release 300)
set(TROUPE_TEST_TIMEOUT_fuzz 120)
set(TROUPE_TEST_TIMEOUT_bench 600)

# Sets <out_labels>, <out_timeout> and <out_environment> in the caller for a test of this kind.
function(troupe_test_settings name kind timeout labels out_labels out_timeout out_environment)
  if(NOT kind IN_LIST TROUPE_TEST_KINDS)
    message(FATAL_ERROR "${name}: the kind of a test is one of ${TROUPE_TEST_KINDS}, not '${kind}'")
  endif()
  if(NOT timeout)
    set(timeout ${TROUPE_TEST_TIMEOUT_${kind}})
  endif()
  if(TROUPE_SANITIZE)
    math(EXPR timeout "${timeout} * 4")
  endif()
  set(suppressions ${PROJECT_SOURCE_DIR}/tools/dev/sanitizers)
  set(${out_labels} ${kind} ${labels} PARENT_SCOPE)
  set(${out_timeout} ${timeout} PARENT_SCOPE)
  set(${out_environment}
    "TROUPE_SOURCE_DIR=${PROJECT_SOURCE_DIR}"
    "TROUPE_BUILD_DIR=${PROJECT_BINARY_DIR}"
    "ASAN_OPTIONS=detect_stack_use_after_return=0:strict_string_checks=1:detect_leaks=1"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "LSAN_OPTIONS=suppressions=${suppressions}/lsan.supp:print_suppressions=0"
    "TSAN_OPTIONS=suppressions=${suppressions}/tsan.supp:second_deadlock_stack=1:history_size=4"
    PARENT_SCOPE)
endfunction()

# Where the build asks for it (TROUPE_JOINED), what every test includes is compiled once, and the files of a test
# several at a time: two of one executable have no name in common then, in an unnamed namespace either.
function(troupe_test_joined name)
  if(TROUPE_JOINED STREQUAL "")
    return()
  endif()
  troupe_joined(${name} TEST)
  # GCC takes the lambdas of a joined file for those of a header.
  target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  if(NOT TARGET troupe_test_headers)
    set(source ${PROJECT_BINARY_DIR}/test_headers.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "// Carries the precompiled headers of the tests.\n")
    add_library(troupe_test_headers OBJECT ${source})
    target_link_libraries(troupe_test_headers PRIVATE troupe_flags GTest::gtest)
    target_compile_features(troupe_test_headers PRIVATE cxx_std_23)
    # As the executables that use it are compiled: GCC refuses what differs.
    set_target_properties(troupe_test_headers PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(troupe_test_headers PRIVATE -fPIE)
    target_precompile_headers(troupe_test_headers PRIVATE
      <gtest/gtest.h> <algorithm> <array> <atomic> <chrono> <condition_variable> <coroutine> <deque> <filesystem>
      <fstream> <functional> <iostream> <map> <memory> <mutex> <optional> <random> <set> <span> <sstream> <stdexcept>
      <string> <string_view> <system_error> <thread> <unordered_map> <utility> <variant> <vector>)
  endif()
  target_precompile_headers(${name} REUSE_FROM troupe_test_headers)
endfunction()

function(troupe_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "RUN_SERIAL" "KIND;LAYER;TIMEOUT" "SOURCES;GLOB;LIBRARIES;LABELS;DEPENDS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "troupe_test(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(arg_LAYER AND NOT TARGET ${arg_LAYER})
    return()
  endif()
  if(arg_GLOB)
    file(GLOB found CONFIGURE_DEPENDS ${arg_GLOB})
    list(APPEND arg_SOURCES ${found})
  endif()
  if(NOT arg_SOURCES)
    return()
  endif()
  troupe_test_settings(${name} "${arg_KIND}" "${arg_TIMEOUT}" "${arg_LABELS}" labels timeout environment)

  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name}
    PRIVATE troupe_flags ${arg_LAYER} ${arg_LIBRARIES} troupe_test_support GTest::gtest GTest::gtest_main)
  troupe_test_joined(${name})
  if(arg_DEPENDS)
    add_dependencies(${name} ${arg_DEPENDS})
  endif()
  if(arg_KIND STREQUAL unit OR arg_KIND STREQUAL sim)
    if(NOT TARGET ${arg_KIND}_tests)
      add_custom_target(${arg_KIND}_tests)  # what `check --preset asan` and tsan build
    endif()
    add_dependencies(${arg_KIND}_tests ${name})
  endif()

  # A list inside PROPERTIES is taken apart by CMake 3.25, and with it the properties that follow: each label and each
  # variable is a property of its own (CMake issue 17812; tests/unit/meta checks what arrives).
  set(properties TIMEOUT ${timeout})
  foreach(label IN LISTS labels)
    list(APPEND properties LABELS ${label})
  endforeach()
  foreach(variable IN LISTS environment)
    list(APPEND properties ENVIRONMENT ${variable})
  endforeach()
  if(arg_RUN_SERIAL)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  # PRE_TEST: the build runs nothing; the cases are listed when ctest starts.
  # A suite named Program… is what a test starts in another process, not a test.
  gtest_discover_tests(${name} TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120
    TEST_FILTER -Program*.*
    PROPERTIES ${properties})
endfunction()

function(troupe_script_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "RUN_SERIAL" "KIND;TIMEOUT" "COMMAND;LABELS;DEPENDS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "troupe_script_test(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  troupe_test_settings(${name} "${arg_KIND}" "${arg_TIMEOUT}" "${arg_LABELS}" labels timeout environment)
  add_test(NAME ${name} COMMAND ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" ENVIRONMENT "${environment}" TIMEOUT ${timeout}
    SKIP_RETURN_CODE 77)
  if(arg_RUN_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
  if(arg_DEPENDS)
    set_tests_properties(${name} PROPERTIES DEPENDS "${arg_DEPENDS}")
  endif()
endfunction()
