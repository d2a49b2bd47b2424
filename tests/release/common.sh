# Sourced by the tests beside it (POSIX sh): a folder of their own, a copy of the release, and `expect`.
# shellcheck shell=sh

# $1 of each test: the folder of the built release of examples/exercise.
if [ $# -ne 1 ] || [ ! -x "$1/bin/exercise" ]; then
  echo "usage: ${0##*/} FOLDER-OF-THE-RELEASE" >&2
  exit 2
fi
# shellcheck disable=SC2034 # used by those who source this
built=$(CDPATH='' cd -- "$1" && pwd)

unset RELEASE_NAME RELEASE_VSN RELEASE_NODE RELEASE_COOKIE RELEASE_COOKIE_FILE RELEASE_TMP RELEASE_CONFIG \
  RELEASE_DISTRIBUTION TROUPE_COOKIE TROUPE_ENV TROUPE_CONFIG
work=$(mktemp -d "${TMPDIR:-/tmp}/trel.XXXXXX")
TROUPE_RUN_DIR=$work/run
HOME=$work/home
export TROUPE_RUN_DIR HOME
mkdir -m 700 "$TROUPE_RUN_DIR" "$HOME"

# has_open PID FILE: the number alone may be that of another process by now, or of one in another container.
has_open() {
  for open in "/proc/$1/fd/"*; do
    # shellcheck disable=SC3013 # -ef is not POSIX, and in every sh of Debian
    if [ "$open" -ef "$2" ]; then return 0; fi
  done
  return 1
}

# Whoever still holds a name in our run directory is ended, and everything is removed.
clean() {
  for lock in "$work"/run/*.lock "$work"/*/run/*.lock; do
    [ -e "$lock" ] || continue
    read -r pid <"$lock" || continue
    if has_open "$pid" "$lock"; then kill -KILL "$pid" 2>/dev/null || :; fi
  done
  chmod -R u+w "$work" 2>/dev/null || :
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  for stream in out err; do
    if [ -s "$work/$stream" ]; then sed "s/^/  $stream: /" "$work/$stream" >&2; fi
  done
  exit 1
}

# expect CODE COMMAND…: its output is in $work/out and $work/err.
expect() {
  wanted=$1
  shift
  printf '%s\n' "- $* (exit $wanted)"
  got=0
  "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
  [ "$got" -eq "$wanted" ] || fail "$* ended with $got, not $wanted"
}
out_has() { grep -qF -- "$1" "$work/out" || fail "its output has no \"$1\""; }
err_has() { grep -qF -- "$1" "$work/err" || fail "its errors have no \"$1\""; }

# until_true SECONDS COMMAND…: asks again until it succeeds.
until_true() {
  end=$(($(date +%s) + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$end" ] || fail "not in time: $*"
    sleep 0.05
  done
}
skip() {
  echo "skipped: $*"
  exit 77
}
# One that nobody has waited for yet has ended, and has no executable any more.
gone() { [ ! -e "/proc/$1/exe" ]; }
