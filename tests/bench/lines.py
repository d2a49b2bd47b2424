"""The lines of the table of tests/bench/run: what is measured, on which systems, and what is aimed at."""

import copy


class row:
    """One line of the table. `better`: is more better, or less. Aims: `otp` and `caf`, at least so many times better
    than those; `floor`, ("at least" or "at most", part) of bare libzmq; `value`, ("at least" or "at most", figure);
    `two`, with two workers at least so many times as fast as with one. `beside_peers`: its ratio to theirs says
    something."""

    def __init__(self, metric, title, unit, better="more", otp=None, floor=None, value=None, caf=None, two=None,
                 beside_peers=True):
        self.metric, self.title, self.unit, self.better = metric, title, unit, better
        self.otp, self.floor, self.value, self.caf, self.two = otp, floor, value, caf, two
        self.beside_peers = beside_peers

    def is_rate(self):
        return self.unit.endswith("/s")

    def drop_aims(self):
        self.otp = self.floor = self.value = self.caf = self.two = None


class work:
    """One program run by each side; it gives the figures of `rows`."""

    def __init__(self, name, rows, sides, line=None, extra=(), one_cpu=False, quick=True):
        self.name, self.rows, self.sides, self.line = name, rows, sides.split(), line or name
        self.extra, self.one_cpu, self.quick = list(extra), one_cpu, quick
        self.group, self.workers, self.plain = None, None, self  # workers: None leaves it to each system

    def has_workers(self):
        return self.group in ("local", "savina")

    def with_workers(self, count):
        """The same work where each system has so many workers; `plain` is what it was made of."""
        out = copy.copy(self)
        out.name, out.workers, out.rows = f"{self.name}_w{count}", count, [copy.copy(each) for each in self.rows]
        for each in out.rows:
            each.title += f", {count} worker" if count == 1 else f", {count} workers"
        return out


def latency(name, title, otp=None, floor=None):
    return [row(name + "_p50", title + ", p50", "us", "less", otp, floor), row(name + "_p99", title + ", p99", "us",
                                                                              "less")]


ALL = "troupe otp caf zmq socket"
LOCAL = [
    work("local_pingpong", [row("local_pingpong", "local ping-pong", "trips/s", otp=8, two=0.9)], "troupe otp caf"),
    work("local_ring", [row("local_ring", "ring of 1000", "hops/s", otp=8, two=0.9)], "troupe otp caf"),
    work("local_send_1to1", [row("local_send_1to1", "local send, 1 to 1", "msgs/s", otp=5)], "troupe otp caf"),
    work("local_send_100to1", [row("local_send_100to1", "local send, 100 to 1", "msgs/s", otp=5)], "troupe otp caf"),
    work("local_call", [row("local_call", "local server call", "calls/s", otp=8)], "troupe otp caf"),
    work("spawn_exit", [row("spawn_exit", "spawn and exit", "spawns/s", otp=10)], "troupe otp caf"),
    work("idle_processes", [row("idle_process_bytes", "a million idle processes, each", "bytes", "less",
                                value=("at most", 350)),
                            row("idle_process_spawn", "spawning them", "spawns/s")], "troupe otp caf"),
    work("traced", [row("traced_share", "traced receive, all events kept, of untraced", "%", value=("at least", 60)),
                    row("traced_receive", "traced receive", "msgs/s")], "troupe otp"),
    work("selective_10k", [row("selective_10k", "selective receive behind 10,000 messages", "recv/s")], "troupe otp"),
    work("call_among_10k", [row("call_among_10k", "call with 10,000 messages waiting", "calls/s")], "troupe otp"),
    work("timers_10k", [row("timers_10k", "timers set and cancelled, 10,000 running", "timers/s"),
                        row("timers_late_p99", "10,000 timers in a second: late by, p99", "us", "less")],
         "troupe otp"),
    work("monitors_10k", [row("monitors_10k", "monitors of 10,000 that end: DOWNs", "downs/s")], "troupe otp"),
    work("links_10k", [row("links_10k", "10,000 linked ended by one", "exits/s")], "troupe otp"),
    work("fairness", latency("fairness", "1000 quick beside a busy process"), "troupe otp"),
]


def savina(name, title, unit, otp=3, caf=1, two=0.9, sides="troupe otp caf"):
    """Where the work can be spread over workers, two are to give more."""
    return work("savina_" + name, [row("savina_" + name, title, unit, otp=otp, caf=caf, two=two)], sides)


SAVINA = [
    savina("counting", "counting", "msgs/s", otp=5, caf=2),
    savina("fork_join", "fork-join, throughput", "msgs/s", otp=5, caf=2, two=1.6),
    savina("fork_join_create", "fork-join, creation", "processes/s", otp=5, caf=2),
    savina("big", "big", "pings/s"),
    savina("chameneos", "chameneos", "meetings/s"),
    savina("dictionary", "concurrent dictionary", "calls/s"),
    savina("bounded_buffer", "bounded buffer", "items/s"),
    savina("philosophers", "dining philosophers", "meals/s"),
    savina("logistic_map", "logistic map", "terms/s", two=1.6),
    savina("banking", "banking", "transactions/s", two=1.6),
    savina("fib", "fib", "processes/s", two=1.6),
    savina("sieve", "sieve of Eratosthenes", "candidates/s"),
    savina("quicksort", "quicksort", "items/s", two=1.6),
    savina("skynet", "skynet", "processes/s", two=1.6),
    savina("group_broadcast", "broadcast to a group of 100,000", "deliveries/s", otp=5, caf=None,
           sides="troupe otp"),
    savina("slow_consumer", "slow consumer", "msgs/s"),
]
REMOTE = [
    work("remote_send_32", [row("remote_send_32", "remote send, 32 B", "msgs/s", otp=20)], ALL),
    work("remote_send_1k", [row("remote_send_1k", "remote send, 1 KiB", "msgs/s", otp=5)], ALL),
    work("remote_send_1m", [row("remote_send_1m", "remote send, 1 MiB", "MB/s", otp=1.2, floor=("at least", 0.85))],
         ALL),
    work("remote_calls_64", [row("remote_calls_64", "remote calls, 64 callers", "calls/s", otp=8)],
         "troupe otp caf zmq"),
    work("remote_calls_1000", [row("remote_calls_1000", "remote calls, 1000 callers", "calls/s", otp=20)],
         "troupe otp caf zmq"),
    work("remote_spawn", [row("remote_spawn", "remote spawn, pipelined", "spawns/s", otp=10)], "troupe otp"),
    work("remote_pingpong", latency("remote_pingpong", "remote ping-pong alone", 1.0, ("at most", 1.2)), ALL),
    work("remote_pingpong_one_cpu", latency("remote_pingpong", "the same, both on one CPU", 1.0, ("at most", 1.2)), ALL,
         "remote_pingpong", one_cpu=True),
    work("remote_call", latency("remote_call", "remote call, 1 caller"), "troupe otp caf"),
    work("remote_call_one_cpu", latency("remote_call", "the same, both on one CPU"), "troupe otp caf", "remote_call",
         one_cpu=True),
    work("kill_to_down", [row("kill_to_down", "kill -9 to DOWN", "ms", "less", otp=3)], "troupe otp zmq socket"),
    work("remote_rpc_64", [row("remote_rpc_64", "rpc, 64 callers", "calls/s")], "troupe otp"),
    work("remote_rpc_1000", [row("remote_rpc_1000", "rpc, 1000 callers", "calls/s")], "troupe otp"),
    work("remote_spawn_1000", [row("remote_spawn_1000", "remote spawn, 1000 that wait", "spawns/s")], "troupe otp"),
    work("remote_ping_under_load", latency("remote_ping_under_load", "ping-pong while 1 GB flows"), "troupe otp"),
    work("remote_20_peers", [row("remote_20_peers", "ping-pong with 20 nodes at once", "trips/s")], "troupe otp",
         quick=False),
    work("tcp_pingpong", latency("remote_pingpong", "ping-pong over tcp"), "troupe zmq socket", "remote_pingpong",
         ["tcp"]),
    work("tcp_send_32", [row("remote_send_32", "send, 32 B over tcp", "msgs/s")], "troupe zmq socket", "remote_send_32",
         ["tcp"]),
    work("tcp_send_1m", [row("remote_send_1m", "send, 1 MiB over tcp", "MB/s")], "troupe zmq socket", "remote_send_1m",
         ["tcp"]),
    work("encrypted_pingpong", latency("remote_pingpong", "ping-pong over encrypted tcp"), "troupe", "remote_pingpong",
         ["encrypted"]),
    work("encrypted_send_32", [row("remote_send_32", "send, 32 B encrypted", "msgs/s")], "troupe", "remote_send_32",
         ["encrypted"]),
    work("encrypted_send_1m", [row("remote_send_1m", "send, 1 MiB encrypted", "MB/s")], "troupe", "remote_send_1m",
         ["encrypted"]),
]
LIFE = [
    work("life", [row("start", "start to ready", "ms", "less", otp=10), row("stop", "SIGTERM to gone", "ms", "less"),
                  row("idle_rss", "idle RSS", "MiB", "less", otp=4),
                  row("idle_cpu", "an idle node's CPU", "%", "less", value=("at most", 0.1))], "troupe otp"),
    work("release", [row("release_size", "size of its release", "MiB", "less")], "troupe otp"),
]
CLUSTER = [
    work("mesh_20", [row("mesh_form", "mesh of 20 from \"connect\"", "ms", "less", otp=5),
                     row("mesh_rss", "RSS of a node in it", "MiB", "less", otp=3),
                     row("mesh_cpu", "CPU of an idle node in it", "%", "less"),
                     row("mesh_join", "one more joins", "ms", "less")], "troupe otp", quick=False),
    work("mesh_100", [row("mesh_100_form", "mesh of 100 OS processes", "ms", "less"),
                      row("mesh_100_rss", "RSS of a node in it", "MiB", "less"),
                      row("mesh_100_cpu", "CPU of an idle node in it", "%", "less"),
                      row("mesh_100_join", "one more joins", "ms", "less")], "troupe", quick=False),
    work("mesh_inproc_100", [row("inproc_form", "mesh of 100 in one OS process", "ms", "less"),
                             row("inproc_rss", "memory of each", "MiB", "less"),
                             row("inproc_cpu", "CPU of all 100, idle", "%", "less")], "troupe", quick=False),
    work("mesh_ticks", [row("tick_cost", "a tick of one connection, asked and answered", "us", "less")], "troupe",
         quick=False),
]


def names(nodes, register=None, lock=None, join=None, quick=False):
    """Names, locks and groups of so many nodes."""
    def median(metric, title, otp=None):
        return row(f"{metric}_{nodes}_p50", f"{title}, {nodes} nodes, p50", "us", "less", otp)
    return work(f"names_{nodes}", [
        median("register", "global name: register", register), median("unregister", "unregister"),
        row(f"whereis_{nodes}", f"whereis, {nodes} nodes", "ns", "less"),
        median("lock", "lock and unlock", lock), median("join", "group join seen by all others", join),
        row(f"heal_{nodes}", f"100 names each: one of {nodes} nodes back until all know all", "ms", "less")],
        "troupe otp", quick=quick)


NAMES = [names(2, register=5, lock=3, join=2, quick=True), names(5, register=8, lock=5, join=2), names(20)]


def grows(name, sizes, sides="troupe otp", **operations):
    """What an operation costs in a node that holds so much. Drawn by --svg."""
    return work(name, [row(f"{operation}_at_{size}", f"{title}, {size:,}", "ns", "less")
                       for operation, title in operations.items() for size in sizes], sides, quick=False)


GROWTH = [
    grows("growth_processes", [1000, 10000, 100000, 1000000], pingpong="ping-pong beside idle processes",
          pingpong_any="ping-pong with any of them", spawn_exit="spawn and exit beside them"),
    grows("growth_names", [100, 1000, 10000, 100000], whereis="whereis among names",
          register_unregister="register and unregister beside names"),
    grows("growth_peers", [2, 5, 10, 20, 50, 100], "troupe",
          remote_pingpong="ping-pong with one of the connected nodes"),
    grows("growth_global", [100, 1000, 10000, 100000], "troupe", global_whereis="whereis among global names",
          global_register_unregister="register and unregister beside global names"),
    grows("growth_groups", [100, 1000, 10000, 100000], join_seen="join seen by the other node, beside groups"),
]
GROUPS = {"local": LOCAL, "savina": SAVINA, "remote": REMOTE, "life": LIFE, "cluster": CLUSTER, "names": NAMES,
          "growth": GROWTH}
for name, works in GROUPS.items():
    for one in works:
        one.group = name
WORKS = [one for group in GROUPS.values() for one in group]
