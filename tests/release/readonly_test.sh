#!/bin/sh
# A release that its user cannot write to: it starts all the same, and `logs` shows what the daemon logs now, not what
# lies in its tmp/ from before.
set -eu
# To root a folder is only read-only where its file system is: then with mounts of our own.
if [ "$(id -u)" -eq 0 ] && [ -z "${OWN_MOUNTS:-}" ] && unshare --mount true 2>/dev/null; then
  OWN_MOUNTS=yes exec unshare --mount -- sh "$0" "$@"
fi
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/common.sh"

if [ "$(id -u)" -eq 0 ] && [ -z "${OWN_MOUNTS:-}" ]; then
  skip 'root needs a read-only file system, and mounting is not allowed here'
fi

mkdir "$work/a place"
cp -R "$built" "$work/a place/copy"
copy="$work/a place/copy"
chmod 600 "$copy/releases/COOKIE"
rm -rf "$copy/tmp"
cd /

echo '== written to once'
expect 0 "$copy/bin/exercise" daemon --set exercise.tick=1h
expect 0 "$copy/bin/exercise" stop
log=$copy/tmp/log/exercise.log
[ -s "$log" ] || fail 'the log is not in tmp/log of the release'
echo 'this line is of the time before' >>"$log"
expect 0 "$copy/bin/exercise" logs
out_has 'of the time before'

echo '== then read-only'
if [ "$(id -u)" -ne 0 ]; then
  chmod -R a-w "$copy"
else
  mount --bind "$copy" "$copy" || skip 'mounting is not allowed here'
  trap 'umount -l "$copy"; clean' EXIT
  mount -o remount,bind,ro "$copy" || skip 'a read-only mount is not allowed here'
fi
if touch "$copy/x" 2>/dev/null; then fail "$copy is not read-only"; fi

expect 0 "$copy/bin/exercise" daemon --set exercise.tick=1h
err_has "the log is in $TROUPE_RUN_DIR/log"
[ -s "$TROUPE_RUN_DIR/log/exercise.log" ] || fail 'there is no log in the run directory'
expect 0 "$copy/bin/exercise" rpc exercise.calculator.push 5
expect 0 "$copy/bin/exercise" logs -n 300
out_has ready
if grep -q 'of the time before' "$work/out"; then fail 'logs shows the log of another time'; fi
expect 0 "$copy/bin/exercise" stop

echo '== with a folder for the log'
RELEASE_TMP=$work/elsewhere
export RELEASE_TMP
expect 0 "$copy/bin/exercise" daemon --set exercise.tick=1h
expect 0 "$copy/bin/exercise" stop
[ -s "$work/elsewhere/log/exercise.log" ] || fail 'there is no log in RELEASE_TMP'
echo 'passed'
