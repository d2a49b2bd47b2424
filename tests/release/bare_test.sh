#!/bin/sh
# A copy where nothing else lies but a shell and glibc, as root of the file system: whatever the release needs besides
# must be in it.
set -eu
# The loader asks /proc where an executable lies ($ORIGIN): it is mounted there, by mounts of our own.
if [ "$(id -u)" -eq 0 ] && [ -z "${OWN_MOUNTS:-}" ] && unshare --mount true 2>/dev/null; then
  OWN_MOUNTS=yes exec unshare --mount -- sh "$0" "$@"
fi
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/common.sh"

[ "$(id -u)" -eq 0 ] || skip 'chroot needs root'
chroot / true 2>/dev/null || skip 'chroot is not allowed here'

[ -n "${OWN_MOUNTS:-}" ] || skip 'mounting is not allowed here'

bare=$work/bare
mkdir -p "$bare/bin" "$bare/lib64" "$bare/proc" "$bare/dev" "$bare/etc"
mkdir -m 1777 "$bare/tmp"
mkdir -m 700 "$bare/run"
cp "$(readlink -f /bin/sh)" "$bare/bin/sh"
printf '127.0.0.1 localhost\n' >"$bare/etc/hosts"
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$bare/etc/passwd"

# glibc as it lies here, the loader under the name that executables ask for.
libraries=''
for folder in /lib/*-linux-gnu /usr/lib/*-linux-gnu /lib64 /usr/lib64; do
  if [ -e "$folder/libc.so.6" ]; then libraries=$folder && break; fi
done
[ -n "$libraries" ] || fail 'libc.so.6 is in no folder that is known'
mkdir -p "$bare$libraries"
for name in libc libm libpthread librt libdl libresolv libutil libnss_files; do
  for file in "$libraries/$name".so.*; do
    if [ -e "$file" ]; then cp -L "$file" "$bare$libraries/"; fi
  done
done
for loader in /lib64/ld-linux*.so.* /lib/ld-linux*.so.*; do
  [ -e "$loader" ] || continue
  mkdir -p "$bare${loader%/*}"
  cp -L "$loader" "$bare$loader"
done
mount --bind /proc "$bare/proc" || skip 'mounting /proc is not allowed here'
trap 'umount -l "$bare/proc"; clean' EXIT
chroot "$bare" /bin/sh -c : || fail 'not even the shell starts there'
cp -R "$built" "$bare/release"
rm -rf "$bare/release/tmp"

exercise() { chroot "$bare" /bin/sh -c 'TROUPE_RUN_DIR=/run HOME=/ exec /release/bin/exercise "$@"' sh "$@"; }
expect 0 exercise version
expect 3 exercise status
exercise start --set exercise.tick=1h >"$work/console" 2>&1 &
node=$!
until_true 60 exercise ping
expect 0 exercise rpc exercise.calculator.push 5
out_has 5
expect 0 exercise tree
expect 0 exercise status
expect 0 exercise stop
code=0
wait "$node" || code=$?
[ "$code" -eq 0 ] || fail "the node ended with $code"
echo 'passed'
