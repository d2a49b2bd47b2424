#!/bin/sh
# The folder of a release lies anywhere, is reached through links, is a copy, and may be read-only.
set -eu
# To root a folder is only read-only where its file system is: then with mounts of our own.
if [ "$(id -u)" -eq 0 ] && [ -z "${OWN_MOUNTS:-}" ] && unshare --mount true 2>/dev/null; then
  OWN_MOUNTS=yes exec unshare --mount -- sh "$0" "$@"
fi
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/common.sh"

start_and_stop() {
  expect 0 "$1" daemon --set exercise.tick=1h
  expect 0 "$1" rpc exercise.calculator.push 5
  expect 0 "$1" stop
}

echo '== a copy, under a path with blanks'
mkdir "$work/a place"
cp -R "$built" "$work/a place/copy"
copy="$work/a place/copy"
chmod 600 "$copy/releases/COOKIE"
cd /
start_and_stop "$copy/bin/exercise"
[ -s "$copy/tmp/log/exercise.log" ] || fail 'the log is not in tmp/log of the release'
[ "$(stat -c %a "$copy/tmp")" = 700 ] || fail 'others can read tmp'

echo '== any directory, links'
cd "$copy/bin"
expect 0 ./exercise version
expect 0 sh exercise version
cd "$work"
ln -s "a place/copy/bin/exercise" relative
ln -s "$work/relative" absolute
ln -s "$copy" folder
expect 0 ./relative version
expect 0 "$work/absolute" version
expect 0 folder/bin/exercise version
PATH=$work:$PATH expect 0 absolute version
start_and_stop "$work/absolute"
ln -s circle circle
cd "$copy"

echo '== parts that are missing'
mv releases/current "$work/current"
expect 1 bin/exercise version
err_has 'this is no release'
expect 0 env RELEASE_VSN=1.0.0 bin/exercise version
mv "$work/current" releases/current
mv releases/COOKIE "$work/COOKIE"
start_and_stop bin/exercise
mv "$work/COOKIE" releases/COOKIE

echo '== other hosts'
sed 's/^glibc = .*/glibc = "2.999"/' releases/1.0.0/manifest.toml >"$work/manifest"
cp releases/1.0.0/manifest.toml "$work/manifest.good"
cp "$work/manifest" releases/1.0.0/manifest.toml
expect 1 bin/exercise start
err_has 'needs glibc 2.999 or newer'
sed 's/^architecture = .*/architecture = "pdp11"/' "$work/manifest.good" >releases/1.0.0/manifest.toml
expect 1 bin/exercise daemon
err_has 'this release is for pdp11'
cp "$work/manifest.good" releases/1.0.0/manifest.toml

echo '== read-only'
rm -rf tmp
cd /
if [ "$(id -u)" -ne 0 ]; then
  chmod -R a-w "$copy"
elif [ -n "${OWN_MOUNTS:-}" ] && mount --bind "$copy" "$copy" && mount -o remount,bind,ro "$copy"; then
  trap 'umount -l "$copy"; clean' EXIT
else
  echo 'not tried: root needs a read-only file system, and mounting is not allowed here'
  echo 'passed'
  exit 0
fi
if touch "$copy/x" 2>/dev/null; then fail "$copy is not read-only"; fi
start_and_stop "$copy/bin/exercise"
expect 0 "$copy/bin/exercise" daemon
err_has "the log is in $TROUPE_RUN_DIR/log"
[ -s "$TROUPE_RUN_DIR/log/exercise.log" ] || fail 'there is no log in the run directory'
expect 0 "$copy/bin/exercise" logs -n 3
expect 0 "$copy/bin/exercise" stop
RELEASE_TMP=$work/elsewhere
export RELEASE_TMP
start_and_stop "$copy/bin/exercise"
[ -s "$work/elsewhere/log/exercise.log" ] || fail 'there is no log in RELEASE_TMP'
echo 'passed'
