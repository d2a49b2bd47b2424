#!/bin/sh
# The release as process 1, as in a container: stopped in order by a tool from outside and by SIGTERM, and whoever is
# left to it is waited for.
set -eu
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/common.sh"

contain() { unshare "$@" --pid --fork --mount-proc --kill-child -- true 2>/dev/null; }
if contain --mount; then user=''; elif contain --user --map-root-user --mount; then user='--user --map-root-user'; else
  skip 'process namespaces are not allowed here'
fi

exercise=$built/bin/exercise
RELEASE_TMP=$work/tmp
export RELEASE_TMP
console=$work/console
outside=''
trap 'if [ -n "$outside" ]; then kill -KILL "$outside" 2>/dev/null || :; fi; clean' EXIT
mkfifo "$work/typed"

# children_of PID: those that have ended and were not waited for are among them. A process that ends meanwhile makes sed
# fail, and means nothing.
children_of() { sed -n "/^Pid:/h;/^PPid:[[:space:]]*$1\$/{g;s/[^0-9]*//p;}" /proc/[0-9]*/status 2>/dev/null || :; }

# run_first ARGUMENTS…: the script is process 1 of a namespace; $init is its number here.
run_first() {
  # shellcheck disable=SC2086 # options
  unshare $user --mount --pid --fork --mount-proc --kill-child -- "$exercise" "$@" <"$work/typed" >"$console" 2>&1 &
  outside=$!
  exec 3>"$work/typed"
  until_true 60 "$exercise" ping
  init=$(children_of "$outside")
  grep -q "^NSpid:.*[[:space:]]1\$" "/proc/$init/status" || fail "process $init is not the first of its namespace"
}
# ended CODE FILE: it has ended so, and in order, as the log in FILE says.
ended() {
  until_true 90 gone "$outside"
  code=0
  wait "$outside" || code=$?
  exec 3>&-
  cat "$console"
  [ "$code" -eq "$1" ] || fail "it ended with $code, not $1"
  grep -q stopped "$2" || fail "$2 does not say that it was stopped in order"
  expect 3 "$exercise" ping
}

echo '== a tool from outside, in the same run directory'
run_first start --set exercise.tick=1h
expect 0 "$exercise" rpc exercise.calculator.push 5
expect 0 "$exercise" stop
out_has stopped
ended 0 "$console"

echo '== SIGTERM'
run_first start --set exercise.tick=1h
kill -TERM "$init"
ended 0 "$console"

echo '== whoever is left to it'
run_first start --set exercise.tick=1h
mkfifo "$work/end"
nsenter --target "$init" --user --mount --pid -- sh -c "(read -r _ <'$work/end') &" 2>/dev/null ||
  nsenter --target "$init" --mount --pid -- sh -c "(read -r _ <'$work/end') &"
has_children() { [ -n "$(children_of "$init")" ]; }
has_none() { [ -z "$(children_of "$init")" ]; }
until_true 60 has_children
echo >"$work/end"
until_true 60 has_none
expect 0 "$exercise" ping
kill -TERM "$init"
ended 0 "$console"

echo '== its own programs keep their status, and leave nobody'
run_first start --set exercise.tick=1h
printf 'n = 0 for i = 1, 50 do local _, s = system.cmd("sh", {"-c", "(exit 9) & (setsid true &); exit 3"}) %s\n' \
  'if s == 3 then n = n + 1 end end return n' | "$exercise" remote >"$work/out" 2>&1 || fail 'remote'
grep -qx 50 "$work/out" || { cat "$work/out"; fail 'a status was lost'; }
only_the_shell() { [ "$(children_of "$init" | wc -l)" -eq 1 ]; }  # that ends its programs if it is killed
until_true 60 only_the_shell
# One of its programs that has ended, and whose owner reads nothing, keeps its place among those that have: nobody waits
# behind it.
printf 'spawn(function() port.open("sh", {args = {"-c", "seq 1 1000"}, line = 10, most_waiting = 5}) %s\n' \
  'receive({"never"}) end) return 1' | "$exercise" remote >"$work/out" 2>&1 || fail 'remote'
ended_ones() {
  for each in $(children_of "$init"); do sed -n '/^State:.*Z/p' "/proc/$each/status"; done 2>/dev/null || :
}
one_ended() { [ "$(ended_ones | wc -l)" -eq 1 ]; }
until_true 60 one_ended
echo 'for i = 1, 20 do system.cmd("sh", {"-c", "(setsid true &)"}) end return 1' |
  "$exercise" remote >"$work/out" 2>&1 || fail 'remote'
two_are_left() { [ "$(children_of "$init" | wc -l)" -eq 2 ]; }
until_true 60 two_are_left
kill -TERM "$init"
ended 0 "$console"

echo '== with a shell in front: SIGTERM, and the end of its input'
run_first start --shell --set exercise.tick=1h
kill -TERM "$init"
ended 0 "$work/tmp/log/exercise.log"
rm -r "$work/tmp"
run_first start --shell --set exercise.tick=1h
echo 'node()' >&3
until_true 60 grep -qx '"exercise@localhost"' "$console"
exec 3>&-
ended 0 "$work/tmp/log/exercise.log"
echo 'passed'
