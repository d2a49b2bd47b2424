#!/bin/sh
# Three hosts, as network namespaces are, on one bridge. Nodes that listen on every address, of IPv4 and of IPv6, meet
# all others and agree on who has a global name; two that lose each other are told of by all three; and a node behind a
# NAT is found where it says that it is. The NAT is a relay of tcp connections (relay.py) on a fourth host, which has
# both networks.
set -eu
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/../support/own_network.sh"
programs=$1 # the folder of troupe and sample_node
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/thosts.XXXXXX")
passed=no
finish() {
  if [ "$passed" = no ]; then
    for log in "$work"/*/log "$work/out"; do
      if [ -e "$log" ]; then sed "s|^|  ${log#"$work"/}: |" "$log" >&2; fi
    done
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
skip() {
  passed=yes
  echo "skipped: $*"
  exit 77
}
# until_true SECONDS COMMAND…: asks again until it succeeds.
until_true() {
  end=$(($(date +%s) + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt "$end" ] || fail "not in time: $*"
    sleep 0.1
  done
}
unset TROUPE_COOKIE TROUPE_ENV TROUPE_CONFIG
HOME=$work
export HOME

command -v ip >/dev/null || fail 'there is no ip: tools/dev/packages --dev --install'
ip link add cables type bridge 2>"$work/out" || skip "no bridge can be made here: $(cat "$work/out")"
ip link add probe type veth peer name probe2 2>"$work/out" || skip "no veth can be made here: $(cat "$work/out")"
ip link delete probe
ip link set cables up
"$programs/troupe" keygen --file "$work/cookie" >"$work/out"

# -- hosts: HOST_NUMBER is 1 for a, and so on; its process holds the namespace.
number() { case $1 in a) echo 1 ;; b) echo 2 ;; c) echo 3 ;; router) echo 254 ;; esac; }
holder() { cat "$work/$1/holder"; }
in_net() {
  host=$1
  shift
  nsenter --net="/proc/$(holder "$host")/ns/net" -- "$@"
}
is_apart() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
# make_host NAME: on no network yet.
make_host() {
  mkdir -m 700 "$work/$1" "$work/$1/run"
  unshare --net -- sleep infinity &
  echo $! >"$work/$1/holder"
  until_true 10 is_apart "$(holder "$1")"
  in_net "$1" ip link set lo up
}
# plug NAME: on the bridge, with an address of each family.
plug() {
  ip link add "cable-$1" type veth peer name eth0 netns "$(holder "$1")"
  ip link set "cable-$1" master cables
  ip link set "cable-$1" up
  in_net "$1" ip address add "10.9.0.$(number "$1")/24" dev eth0
  in_net "$1" ip -6 address add "fd00:9::$(number "$1")/64" dev eth0 nodad 2>/dev/null || ipv6=no
  in_net "$1" ip link set eth0 up
}
ipv6=yes

# -- nodes: their names are the same whatever their hosts' addresses are
name() { echo "$1@host$1"; }
start() {
  node=$1
  shift
  # shellcheck disable=SC2097,SC2098 # for the program alone
  TROUPE_RUN_DIR="$work/$node/run" in_net "$node" "$programs/sample_node" --name "$(name "$node")" \
    --cookie-file "$work/cookie" --set node.tick=500ms "$@" >>"$work/$node/log" 2>&1 &
  until_true 60 tool "$node" ping "$(name "$node")"
}
tool() {
  node=$1
  shift
  TROUPE_RUN_DIR="$work/$node/run" "$programs/troupe" "$@"
}
# lua NODE TEXT: what its shell answers, without the greeting and the prompts of one at a terminal.
lua() {
  printf '%s\n' "$2" >"$work/typed"
  tool "$1" remote "$(name "$1")" <"$work/typed"
}
sees() { tool "$1" rpc "$(name "$1")" troupe.nodes 2>/dev/null | grep -qF "\"$(name "$2")\""; }
misses() { tool "$1" rpc "$(name "$1")" troupe.nodes >"$work/seen" && ! grep -qF "$(name "$2")" "$work/seen"; }
logged() { grep -qF -- "$2" "$work/$1/log"; }
shows() { tool "$1" nodes "$(name "$1")" | grep -qF -- "$2"; }
shows_not() { tool "$1" nodes "$(name "$1")" >"$work/out" && ! grep -qF -- "$2" "$work/out"; }
stop_all() {
  for node in a b c; do tool "$node" stop "$(name "$node")" >"$work/out" 2>&1 || fail "stop $node"; done
  for node in a b c; do : >"$work/$node/log"; done
}
each_sees_each() {
  for pair in 'a b' 'a c' 'b a' 'b c' 'c a' 'c b'; do
    # shellcheck disable=SC2086 # two words
    until_true 60 sees $pair
  done
}
# one_holder NODE: it registers a name, the two others want it, and all know who has it.
one_holder() {
  lua "$1" 'return global.register_name("ledger", whereis("sample.counter"))' >"$work/out" 2>&1
  grep -qF '"yes"' "$work/out" || fail "$1 does not get the name"
  for node in a b c; do
    if [ "$node" != "$1" ]; then
      lua "$node" 'return global.register_name("ledger", whereis("sample.counter"))' >"$work/out" 2>&1
      grep -qF '"no"' "$work/out" || fail "$node is not told that the name is taken"
    fi
    lua "$node" 'return global.whereis_name("ledger")' >"$work/out" 2>&1
    grep -qF "<$(name "$1")#" "$work/out" || fail "$node does not know who has the name"
  done
}

for host in a b c; do
  make_host "$host"
  plug "$host"
done

echo '== every address of IPv4'
start a --listen tcp://0.0.0.0:4370
start b --listen tcp://0.0.0.0:4370 --peer "$(name a)=tcp://10.9.0.1:4370"
start c --listen tcp://0.0.0.0:4370 --peer "$(name a)=tcp://10.9.0.1:4370"
each_sees_each
one_holder b
shows a "at tcp://0.0.0.0:4370 from tcp://10.9.0.2:" || fail "a does not show where b comes from"
for host in a b c; do shows_not "$host" 'has seen others' || fail "$host shows a difference, and there is none"; done

echo '== two of them lose each other'
in_net b ip route add unreachable 10.9.0.3/32
in_net c ip route add unreachable 10.9.0.2/32
until_true 60 misses b c
until_true 60 misses c b
until_true 60 shows b "$(name a) has seen others than $(name b) for"
until_true 60 shows b "it alone sees $(name c)"
until_true 60 shows c "it alone sees $(name b)"
until_true 60 shows a "$(name a) alone sees $(name b)"
until_true 60 shows a "$(name a) alone sees $(name c)"
for host in a b c; do until_true 30 logged "$host" 'the views of the nodes differ pid='; done
in_net b ip route delete unreachable 10.9.0.3/32
in_net c ip route delete unreachable 10.9.0.2/32
# Nobody dials for ever whom others have told of: a node that wants another is what brings them together.
lua b "connect(\"$(name c)\")" >"$work/out" 2>&1
each_sees_each
for host in a b c; do
  until_true 30 shows_not "$host" 'has seen others'
  until_true 30 logged "$host" 'the views of the nodes agree again'
done
stop_all

if [ "$ipv6" = yes ]; then
  echo '== every address of IPv6'
  start a --listen 'tcp://[::]:4370'
  start b --listen 'tcp://[::]:4370' --peer "$(name a)=tcp://[fd00:9::1]:4370"
  start c --listen 'tcp://[::]:4370' --peer "$(name a)=tcp://[fd00:9::1]:4370"
  each_sees_each
  one_holder c
  shows a "at tcp://[::]:4370 from tcp://[fd00:9::2]:" || fail "a does not show where b comes from"
  stop_all
fi

echo '== behind a NAT'
# From here on c is on a network of its own, and reaches a alone, at the router's inner address; it is reached at the
# router's outer one.
make_host router
plug router
ip link delete cable-c
ip link add inner type veth peer name eth0 netns "$(holder c)"
ip link set inner netns "$(holder router)"
in_net router ip address add 192.168.7.1/24 dev inner
in_net router ip link set inner up
in_net c ip address add 192.168.7.2/24 dev eth0
in_net c ip link set eth0 up
in_net c ip route add default via 192.168.7.1
in_net router python3 "$here/relay.py" 10.9.0.254:4370 192.168.7.2:4370 192.168.7.1:4371 10.9.0.1:4370 \
  >"$work/router/log" 2>&1 &
until_true 30 grep -q ready "$work/router/log"
start a --listen tcp://0.0.0.0:4370
start c --listen tcp://0.0.0.0:4370 --advertise tcp://10.9.0.254:4370 --peer "$(name a)=tcp://192.168.7.1:4371" \
  --peer ghost@hostd=tcp://10.9.0.254:4370
until_true 60 sees a c
start b --listen tcp://0.0.0.0:4370 --peer "$(name a)=tcp://10.9.0.1:4370" # who comes dials those that it is told of
each_sees_each
one_holder c
shows b 'tcp://10.9.0.254:4370' || fail 'b does not reach c where c says that it is'
# What c was told of another leads back to it: it finds that out, once.
until_true 30 logged c 'an endpoint leads to this node itself'
until_true 30 shows c 'tcp://10.9.0.254:4370 leads to this node itself'
[ "$(grep -c 'an endpoint leads to this node itself' "$work/c/log")" -eq 1 ] || fail 'c meets itself again'
stop_all
passed=yes
echo 'passed'
