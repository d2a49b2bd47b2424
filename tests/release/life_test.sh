#!/bin/sh
# Every command of bin/exercise: what it prints, and its exit code.
set -eu
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/common.sh"

exercise=$built/bin/exercise
RELEASE_TMP=$work/tmp
export RELEASE_TMP

echo '== usage'
expect 2 "$exercise"
err_has 'usage: exercise COMMAND'
expect 2 "$exercise" dance
err_has 'unknown command "dance"'
expect 0 "$exercise" help
out_has 'usage: exercise COMMAND'
out_has 'stop [--timeout TIME] [--kill]'
expect 0 "$exercise" version
out_has 'exercise 1.0.0'
expect 1 env RELEASE_VSN=9.9 "$exercise" version
err_has 'version 9.9 is not installed; installed: 1.0.0'
expect 2 "$exercise" start --no-such-option
expect 2 "$exercise" version --bogus
err_has 'not understood: --bogus'
err_has 'usage: exercise COMMAND'
expect 0 "$exercise" version --help
out_has 'usage: exercise COMMAND'
expect 0 "$exercise" logs --help
out_has 'usage: exercise COMMAND'
expect 2 "$exercise" logs --bogus
expect 0 "$exercise" start --shell --help
out_has '--set KEY=VALUE'

echo '== nothing runs'
expect 3 "$exercise" status
expect 3 "$exercise" pid
expect 3 "$exercise" ping
expect 3 "$exercise" rpc exercise.calculator.push 5
expect 0 "$exercise" stop
out_has 'was not running'
expect 1 "$exercise" logs
expect 0 "$exercise" names

echo '== starts that fail say why'
printf '[exercise]\n\ntik = "5ms"\n' >"$work/bad.toml"
expect 1 env RELEASE_CONFIG="$work/bad.toml" "$exercise" daemon
err_has 'bad.toml:3: exercise.tik: no such key'
expect 1 env RELEASE_CONFIG="$work/none.toml" "$exercise" start
err_has 'none.toml'
expect 1 env TROUPE_ENV=tset "$exercise" daemon
err_has 'no file describes the environment "tset"'
expect 1 env TROUPE__EXERCISE__TIK=5ms "$exercise" daemon
err_has 'TROUPE__EXERCISE__TIK: exercise.tik: no such key'
expect 3 "$exercise" status
printf 'abcdefghijklmnopqrstuvwxyz\n' >"$work/cookie"
chmod 644 "$work/cookie"
expect 1 env RELEASE_COOKIE_FILE="$work/cookie" "$exercise" daemon
err_has 'chmod 600'
chmod 600 "$work/cookie"

echo '== what it would start with'
expect 0 "$exercise" config explain
out_has '"prod"'
expect 0 env TROUPE__EXERCISE__TICK=7ms "$exercise" config explain --env test
out_has '"7ms"'
out_has 'TROUPE__EXERCISE__TICK'
out_has '--env'

echo '== a daemon'
expect 0 "$exercise" daemon --set exercise.tick=1h
out_has 'is ready'
expect 1 "$exercise" daemon
err_has 'did not start'
expect 0 "$exercise" pid
pid=$(cat "$work/out")
[ -e "/proc/$pid/exe" ] || fail "there is no process $pid"
cookie=$(cat "$built/releases/COOKIE")
if tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$cookie"; then fail 'the cookie stands in the arguments'; fi
[ "$(stat -c %a "$built/releases/COOKIE")" = 600 ] || fail 'releases/COOKIE is not 0600'
expect 0 "$exercise" status
out_has 'exercise 1.0.0'
out_has "os pid   $pid"
expect 0 "$exercise" status --json
out_has "\"pid\":$pid"
expect 0 "$exercise" ping
expect 0 "$exercise" rpc exercise.calculator.push 5
out_has 5
expect 1 "$exercise" rpc exercise.calculator.fly 5
err_has undef
expect 2 "$exercise" rpc
for command in ps info tree registry functions names; do
  expect 0 "$exercise" "$command"
done
expect 0 "$exercise" registry
out_has exercise.calculator
expect 0 "$exercise" state exercise.calculator
expect 0 "$exercise" logs -n 500
out_has ready
expect 2 "$exercise" logs -n many
"$exercise" logs -n 1 -f >"$work/follow" 2>&1 &
follower=$!
until_true 60 test -s "$work/follow"
expect 0 "$exercise" exit exercise.calculator
until_true 60 grep -q 'exercise.calculator' "$work/follow"
kill "$follower"
wait "$follower" || :
expect 2 "$exercise" ps --no-such-option

echo '== a shell'
printf 'node()\n' | "$exercise" remote >"$work/out" 2>"$work/err" || fail 'remote'
out_has exercise@
expect 0 "$exercise" ping

echo '== with a wrong cookie'
for command in ping pid status; do
  expect 0 env RELEASE_COOKIE=this-is-another-cookie "$exercise" "$command"
done

echo '== stop'
expect 0 env RELEASE_COOKIE=this-is-another-cookie "$exercise" stop
gone "$pid" || fail "stop returned and process $pid still runs"
expect 3 "$exercise" status
expect 0 "$exercise" stop
expect 0 "$exercise" daemon
expect 0 "$exercise" stop --timeout 30s

echo '== in the foreground'
"$exercise" start >"$work/console" 2>&1 &
node=$!
until_true 60 "$exercise" ping
expect 0 "$exercise" pid
[ "$(cat "$work/out")" = "$node" ] || fail "the node is not the process that was started ($node)"
kill -TERM "$node"
code=0
wait "$node" || code=$?
[ "$code" -eq 0 ] || fail "after SIGTERM it ended with $code"
grep -q ready "$work/console" || fail 'no log on standard output'
"$exercise" start >"$work/console" 2>&1 &
node=$!
until_true 60 "$exercise" ping
expect 0 "$exercise" stop
code=0
wait "$node" || code=$?
[ "$code" -eq 0 ] || fail "after stop it ended with $code"

printf 'node()\n' | "$exercise" start --shell >"$work/out" 2>"$work/err" || fail 'start --shell'
out_has exercise@
expect 3 "$exercise" status

echo '== a shell in front: leaving it, SIGTERM and SIGHUP stop the node'
mkfifo "$work/typed"
for how in eof TERM HUP; do
  echo "- $how"
  rm -rf "$work/tmp"
  "$exercise" start --set exercise.tick=1h --shell <"$work/typed" >"$work/out" 2>"$work/err" &
  front=$!
  exec 3>"$work/typed"
  echo 'node()' >&3
  until_true 60 grep -qx '"exercise@localhost"' "$work/out"
  if [ "$how" = eof ]; then exec 3>&-; else kill -s "$how" "$front"; fi
  until_true 90 gone "$front"
  code=0
  wait "$front" || code=$?
  exec 3>&-
  [ "$code" -eq 0 ] || fail "after $how it ended with $code"
  grep -q stopped "$work/tmp/log/exercise.log" || fail "after $how the node was not stopped in order"
  expect 3 "$exercise" status
done
"$exercise" daemon --set exercise.tick=1h >/dev/null
expect 1 "$exercise" start --shell
err_has 'name_taken'
expect 0 "$exercise" stop

echo '== other names, no distribution, not waiting'
RELEASE_NODE=other RELEASE_DISTRIBUTION=none
export RELEASE_NODE RELEASE_DISTRIBUTION
expect 0 "$exercise" daemon
out_has other@
for command in pid ping status stop; do
  expect 0 "$exercise" "$command"
done
for order in '--no-wait --set exercise.tick=1h' '--set exercise.tick=1h --no-wait'; do
  # shellcheck disable=SC2086 # words
  expect 0 "$exercise" daemon $order
  until_true 60 "$exercise" ping
  expect 0 "$exercise" stop
done
echo 'passed'
