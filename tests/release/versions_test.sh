#!/bin/sh
# Several versions in one folder, going back, and what the release's author and its operator may set.
set -eu
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/common.sh"

cp -R "$built" "$work/copy"
cd "$work/copy"
exercise=$work/copy/bin/exercise
chmod 600 releases/COOKIE
cp -R releases/1.0.0 releases/1.1.0
sed 's/^version = .*/version = "1.1.0"/' releases/1.0.0/manifest.toml >releases/1.1.0/manifest.toml

# runs_version VERSION: from its folder the executable of the node that runs now comes.
runs_version() {
  expect 0 "$exercise" pid
  from=$(readlink "/proc/$(cat "$work/out")/exe")
  [ "$from" = "$(pwd -P)/releases/$1/exec/exercise" ] || fail "$from runs, not version $1"
}

echo '== a new version, and back'
printf 'exercise 1.1.0' >releases/current # as an editor may leave it, without an end of line
expect 0 "$exercise" version
out_has 'exercise 1.1.0'
expect 0 "$exercise" daemon --set exercise.tick=1h
runs_version 1.1.0
expect 0 "$exercise" stop
expect 0 env RELEASE_VSN=1.0.0 "$exercise" version
out_has 'exercise 1.0.0'
expect 0 env RELEASE_VSN=1.0.0 "$exercise" daemon --set exercise.tick=1h
runs_version 1.0.0
expect 0 "$exercise" stop
printf 'exercise 1.0.0\n' >releases/current
rm -r releases/1.1.0
expect 1 env RELEASE_VSN=1.1.0 "$exercise" version
err_has 'version 1.1.0 is not installed; installed: 1.0.0'

echo '== another release in this folder'
printf 'other 1.0.0\n' >releases/current
expect 1 "$exercise" version
err_has 'is of the release other, not of exercise'
expect 1 "$exercise" start
err_has 'is of the release other, not of exercise'
printf 'exercise 1.0.0\n' >releases/current
cp releases/1.0.0/manifest.toml "$work/manifest"
sed 's/^name = "exercise"/name = "other"/' "$work/manifest" >releases/1.0.0/manifest.toml
expect 1 env RELEASE_VSN=1.0.0 "$exercise" daemon
err_has 'manifest.toml is of the release other'
cp "$work/manifest" releases/1.0.0/manifest.toml
: >releases/current
expect 1 "$exercise" version
err_has 'current is empty'
printf 'exercise 1.0.0\n' >releases/current

echo '== RELEASE_NAME'
expect 0 env RELEASE_NAME=second "$exercise" daemon --set exercise.tick=1h
out_has second@localhost
expect 3 "$exercise" ping
expect 0 env RELEASE_NAME=second "$exercise" stop

echo '== env.sh'
cat >releases/1.0.0/env.sh <<'END'
RELEASE_NODE=${RELEASE_COMMAND}_from_env
RELEASE_TMP=$RELEASE_ROOT/chosen
case $RELEASE_COMMAND in daemon) echo "env.sh of $RELEASE_PROG" ;; *) RELEASE_NODE=daemon_from_env ;; esac
END
expect 0 "$exercise" daemon --set exercise.tick=1h
out_has 'env.sh of exercise'
out_has daemon_from_env@localhost
[ -s chosen/log/daemon_from_env.log ] || fail 'the log is not where env.sh wants it'
expect 0 "$exercise" status
expect 0 "$exercise" logs
expect 0 "$exercise" stop
echo 'passed'
