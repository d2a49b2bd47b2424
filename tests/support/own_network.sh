# Sourced by a test that makes hosts and cables (POSIX sh), first of all: runs it anew in a network namespace and a
# process namespace of its own, so that nothing of it stays, whatever becomes of it.
# shellcheck shell=sh
PATH=$PATH:/usr/sbin:/sbin
if [ -z "${OWN_NETWORK:-}" ]; then
  contain() { unshare "$@" --net --mount --pid --fork --mount-proc --kill-child -- true 2>/dev/null; }
  if contain; then user=''; elif contain --user --map-root-user; then user='--user --map-root-user'; else
    echo 'skipped: network namespaces are not allowed here'
    exit 77
  fi
  # shellcheck disable=SC2086 # options
  OWN_NETWORK=yes exec unshare $user --net --mount --pid --fork --mount-proc --kill-child -- sh "$0" "$@"
fi
