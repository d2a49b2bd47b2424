#!/bin/sh
# Three nodes on three hosts, as network namespaces are, joined by encrypted tcp over a bridge. The cable of one is
# pulled and put back, then that of the one whose address the others were told.
set -eu
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/../support/own_network.sh"
. "$(dirname -- "$0")/common.sh"

command -v ip >/dev/null || fail 'there is no ip: tools/dev/packages --dev --install'
ip link add cables type bridge 2>"$work/err" || skip "no bridge can be made here: $(cat "$work/err")"
ip link add probe type veth peer name probe2 2>"$work/err" || skip "no veth can be made here: $(cat "$work/err")"
ip link delete probe
ip link set cables up

RELEASE_COOKIE_FILE=$work/cookie
export RELEASE_COOKIE_FILE
for tool in "$built"/releases/*/exec/troupe; do "$tool" keygen --file "$RELEASE_COOKIE_FILE" >"$work/out"; done
tick=500 # milliseconds; silence for four of them is a loss

# on NODE COMMAND…: as on its host, where no other node is found by the run directory.
on() {
  node=$1
  shift
  env TROUPE_RUN_DIR="$work/$node/run" RELEASE_NODE="$(name "$node")" RELEASE_TMP="$work/$node/tmp" "$@"
}
exercise() { on "$1" "$built/bin/exercise" "$2" "$3"; }
address() { case $1 in a) echo 10.9.0.1 ;; b) echo 10.9.0.2 ;; c) echo 10.9.0.3 ;; esac; }
name() { echo "$1@$(address "$1")"; }

# start NODE OPTIONS…: the process waits until it has its cable, and becomes the node.
start() {
  host=$1
  shift
  mkdir -m 700 "$work/$host" "$work/$host/run"
  mkfifo "$work/$host/plugged"
  # shellcheck disable=SC2016 # for the inner shell
  env TROUPE_RUN_DIR="$work/$host/run" RELEASE_NODE="$(name "$host")" RELEASE_TMP="$work/$host/tmp" \
    unshare --net -- sh -ec '
      read -r address <"$1"
      ip link set lo up
      ip address add "$address/24" dev eth0
      ip link set eth0 up
      shift
      exec "$@"
    ' sh "$work/$host/plugged" "$built/bin/exercise" start --listen "tcp://$(address "$host"):4370" \
    --set "node.tick=${tick}ms" --set exercise.tick=1h "$@" >>"$work/$host/log" 2>&1 &
  process=$!
  until_true 60 is_apart "$process"
  ip link add "cable-$host" type veth peer name eth0 netns "$process"
  ip link set "cable-$host" master cables
  ip link set "cable-$host" up
  address "$host" >"$work/$host/plugged"
}
is_apart() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
sees() { exercise "$1" rpc troupe.nodes 2>/dev/null | grep -qF "$(name "$2")"; }
misses() { exercise "$1" rpc troupe.nodes >"$work/out" 2>"$work/err" && ! grep -qF "$(name "$2")" "$work/out"; }
# calls FROM TO: a function of TO, called on FROM, answers with a pid of TO.
calls() {
  printf 'rpc.call("%s", "troupe.whereis", {"exercise.calculator"})\n' "$(name "$2")" >"$work/typed"
  on "$1" "$built/bin/exercise" remote <"$work/typed" >"$work/called" 2>&1 || return 1
  grep -qF "<$(name "$2")#" "$work/called"
}
each_pair() {
  for pair in 'a b' 'a c' 'b a' 'b c' 'c a' 'c b'; do
    # shellcheck disable=SC2086 # two words
    set -- "$@" $pair
    until_true 60 "$1" "$2" "$3" || return 1
    set -- "$1"
  done
}
now() { date +%s%3N; }
dump() { for host in a b c; do if [ -e "$work/$host/log" ]; then sed "s/^/  $host: /" "$work/$host/log" >&2; fi; done; }
passed=no
trap 'if [ "$passed" = no ]; then dump; fi; clean' EXIT

echo '== a mesh of those who know one of them'
start a
start b --peer "$(name a)=tcp://$(address a):4370"
start c --peer "$(name a)=tcp://$(address a):4370"
each_pair sees
each_pair calls
for host in a b c; do grep -q "an endpoint is encrypted endpoint=tcp://$(address "$host")" "$work/$host/log" ||
  fail "$host does not encrypt"; done

echo '== tools on a fourth host'
ip address add 10.9.0.9/24 dev cables
mkdir -m 700 "$work/tools"
# away NODE COMMAND…: as on a host where no node is.
away() {
  node=$1
  shift
  env TROUPE_RUN_DIR="$work/tools" RELEASE_NODE="$(name "$node")" "$built/bin/exercise" "$@"
}
if away b ping >"$work/out" 2>"$work/err"; then fail 'b was reached, and nobody said where it is'; fi
grep -qF -- "--peer $(name b)=tcp://HOST:PORT" "$work/err" || fail "no advice: $(cat "$work/err")"
at="$(name b)=tcp://$(address b):4370"
away b ping --peer "$at" >"$work/out" 2>&1 || fail "b is not reached: $(cat "$work/out")"
printf 'node.peers = ["%s"]\n' "$at" >"$work/peers.toml"
# What runs on c, which cannot reach the tool, prints here: b passes it on.
printf 'rpc.call("%s", function() print("printed by " .. node()) end)\n' "$(name c)" |
  away b remote --config "$work/peers.toml" >"$work/out" 2>&1 || fail "b has no shell: $(cat "$work/out")"
grep -qF "printed by $(name c)" "$work/out" || fail "what c prints did not come: $(cat "$work/out")"

# pull_and_put_back NODE OTHER OTHER: both sides give it up by the rule of ticks; the two others stay connected.
pull_and_put_back() {
  lost=$1
  first=$2
  second=$3
  echo "== the cable of $lost is pulled"
  before=$(now)
  ip link set "cable-$lost" down
  for pair in "$first $lost" "$second $lost" "$lost $first" "$lost $second"; do
    # shellcheck disable=SC2086
    until_true 30 misses $pair
    echo "   $pair: down after $(($(now) - before)) ms"
  done
  took=$(($(now) - before))
  [ "$took" -ge $((2 * tick)) ] || fail "given up after $took ms, before four ticks of ${tick} ms"
  [ "$took" -le $((5 * tick + 10000)) ] || fail "given up only after $took ms"
  calls "$first" "$second" || fail "$first and $second should still be connected: $(cat "$work/called")"
  if calls "$first" "$lost"; then fail "a call to $lost came back, and its cable is pulled"; fi
  grep -q noconnection "$work/called" || fail "the call to $lost: $(cat "$work/called")"
  if grep -F "node disconnected node=$(name "$second")" "$work/$first/log"; then fail "$first lost $second too"; fi
  echo "== and put back"
  before=$(now)
  ip link set "cable-$lost" up
  each_pair sees
  echo "   the mesh is whole after $(($(now) - before)) ms"
  each_pair calls
}
pull_and_put_back c a b
# From here on a disconnection of the first is in the log.
for host in a b c; do : >"$work/$host/log"; done
pull_and_put_back a b c

echo '== stop'
for host in a b c; do
  on "$host" "$built/bin/exercise" stop >"$work/out" 2>"$work/err" || fail "stop $host"
done
passed=yes
echo 'passed'
