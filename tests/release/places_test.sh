#!/bin/sh
# The folder of a release lies anywhere, is reached through links, and is a copy. (Read-only: readonly_test.sh.)
set -eu
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
cd "$copy"

echo '== parts that are missing'
mv releases/current "$work/current"
expect 1 bin/exercise version
err_has 'this is no release'
expect 0 env RELEASE_VSN=1.0.0 bin/exercise version
mv "$work/current" releases/current
mv releases/COOKIE "$work/COOKIE"
expect 1 bin/exercise daemon
err_has 'releases/COOKIE is missing, the cookie of this release'
expect 1 bin/exercise start
err_has 'releases/COOKIE is missing, the cookie of this release'
[ ! -e "$HOME/.troupe" ] || fail 'a cookie was made at home'
RELEASE_DISTRIBUTION=none start_and_stop bin/exercise
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
echo 'passed'
