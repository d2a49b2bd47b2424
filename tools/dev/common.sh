# Sourced by the scripts beside it (POSIX sh): where the project is, and how progress is printed.
# shellcheck shell=sh

# shellcheck disable=SC2034 # used by those who source this
project=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)

# One line for a step that begins; on a terminal it stands out.
say() {
  if [ -t 1 ]; then
    printf '\033[1m==> %s\033[0m\n' "$*"
  else
    printf '==> %s\n' "$*"
  fi
}

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# step NAME COMMAND…: runs the command, prints how long it took, and ends the script when it fails. What was done is
# collected for the table of `summary`.
steps=''
step() {
  step_name=$1
  shift
  say "$step_name"
  step_began=$(date +%s)
  step_code=0
  "$@" || step_code=$?
  step_took=$(($(date +%s) - step_began))
  if [ "$step_code" -ne 0 ]; then
    steps="$steps$(printf '%-34s %5d s   FAILED' "$step_name" "$step_took")
"
    summary
    die "$step_name failed (exit $step_code)"
  fi
  steps="$steps$(printf '%-34s %5d s   ok' "$step_name" "$step_took")
"
}

began=$(date +%s)
summary() {
  say 'Summary'
  printf '%s%-34s %5d s\n' "$steps" 'in all' "$(($(date +%s) - began))"
}

# How many jobs a build may run: one per core, and no more than one per GiB of memory.
jobs() {
  cores=$(nproc 2>/dev/null || echo 2)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo 2>/dev/null || echo 2)
  [ "${memory:-0}" -ge 1 ] || memory=1
  if [ "$cores" -lt "$memory" ]; then echo "$cores"; else echo "$memory"; fi
}

# tree_files PATTERN…: tracked and new files (relative to the project) whose name matches one of the grep -E patterns.
# A copy without git, or where git refuses, is listed as it lies.
tree_files() {
  (
    cd "$project" || exit 1
    if [ -e .git ] && git -c safe.directory="$project" ls-files --cached --others --exclude-standard 2>/dev/null; then
      :
    else
      find . -name .git -prune -o -name build -prune -o -type f -print | sed 's|^\./||'
    fi | sort -u | while IFS= read -r file; do
      [ -f "$file" ] && printf '%s\n' "$file"
    done | grep -E -- "$1"
  )
}
