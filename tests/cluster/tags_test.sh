#!/bin/sh
# What a program whose main is troupe::testing::run makes of tags. $1: that of examples/chat.
set -eu
tests=$1
out=$(mktemp)
trap 'rm -f "$out"' EXIT

fail() {
  printf 'FAILED: %s\n' "$*"
  cat "$out"
  exit 1
}
# expect CODE WORDS…: runs it so.
expect() {
  code=0
  wanted=$1
  shift
  "$tests" "$@" >"$out" 2>&1 || code=$?
  [ "$code" -eq "$wanted" ] || fail "$* ended with $code, not $wanted"
}
has() { grep -qF -- "$1" "$out" || fail "no \"$1\""; }
has_not() { ! grep -qF -- "$1" "$out" || fail "there is \"$1\""; }

expect 0 --list-tags
has 'People.ReceiveWhatIsSentToThem distributed people=3'
has 'SendMessage.RunsHereWhenTheConfigurationSaysSo'
expect 0
has '3 excluded (distributed)'
has '1 test from 1 test suite ran'
expect 0 --exclude people --include distributed
has '4 tests from 2 test suites ran'
has_not 'excluded'
expect 0 --only people=3
has '1 test from 1 test suite ran'
has '3 excluded (not in --only)'
expect 2 --only people=4
has 'no test fits --only people=4'
expect 2 --only nosuch
has_not '[==========]'
expect 0 --gtest_filter='SendMessage.*'
has_not 'excluded'
expect 2 --include
has '--include needs a tag'
expect 2 --inclde distributed
has '--inclde'
expect 1 --name 'not a name'
has 'the runner is no node'
echo passed
