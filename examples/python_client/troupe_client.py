"""A hidden Troupe node in Python: the other side of bus/PROTOCOL.md, written from that page.

    with troupe_client.join("sample", "clerk@localhost") as node:
        node.offer("clerk.add", lambda a, b: a + b)      # others may call it by rpc
        me = node.process("clerk")                       # others may send to it, call it, monitor it
        me.send("sample.counter", ["add", {"amount": 1}])
        print(me.call("sample.counter", ["add", {"amount": 2}]), me.rpc("sample.echo", "hello"))

One thread (Node._run) owns the socket. Whatever waits does so in the threads of the program, and each function that
others call gets a thread of its own, so work that takes its time stops no tick. Node._lock guards what they share.

Over 600 lines on purpose, as there is no package: a program takes the node along by copying this file and the wire's
forms, troupe_wire.py.
"""
import inspect
import json
import logging
import os
import queue
import re
import secrets
import threading
import time
from collections import deque, namedtuple
from concurrent.futures import Future
from dataclasses import dataclass
from hmac import compare_digest
from itertools import count

import zmq
from zmq.utils import z85

from troupe_wire import Failure, Pid, cookie, find, pack, prove, unpack, unpack_all

MESSAGE, CALL, REPLY, REPLY_ERROR, DOWN, EXIT, EXIT_ASKED, LINK, UNLINK, UNLINK_ACK, MONITOR, DEMONITOR, \
    GROUP_LEADER, SPAWN, RPC = range(1, 16)
SIGNALS, CONTROL = 1, 2  # kinds of frames
FEATURES = ["signals"]
FRAME_BYTES, CREDIT_BYTES, TICK_MS = 1 << 20, 1 << 20, 15_000
COALESCED_BYTES, MAX_PROCESSES = 64 << 10, 1000  # in a frame of ours; running at once
WAITING_BYTES, PATIENCE = 4 << 20, 5.0  # what may wait for the other side, and how long a sender waits for room, in s
LOST = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | \
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH

# What a mailbox holds, beside Call.
Message = namedtuple("Message", "sender content")
Down = namedtuple("Down", "monitor watched reason")
Exit = namedtuple("Exit", "process reason")


class Exited(Exception):
    """Raised where a process that has ended is used; a function that others call may raise it to end so."""

    def __init__(self, reason="normal"):
        self.reason = reason
        super().__init__(printed(reason))


def printed(reason):
    return json.dumps(reason) if isinstance(reason, str) else str(reason)


def join(where, name=None, secret=None, as_tool=False, encrypted=None, directory=None, timeout=5.0):
    """Connects to the node of this host with that name, or to an endpoint such as tcp://127.0.0.1:4000.

    as_tool: proves the control key of the run directory instead of the cookie; `where` is a name then.
    encrypted: by CURVE; if not said, for tcp off loopback.
    """
    entry = {"endpoints": [where]} if "://" in where else find(where, directory)
    endpoint = min(entry["endpoints"], key=lambda each: not each.startswith("ipc:"))
    secret = secret or (entry.get("control_key") if as_tool else cookie())
    if not secret:
        raise Failure("bad_argument", f"as_tool needs the name of a node, {where} does not tell its control key")
    name = name or f"python-{secrets.token_hex(8)}@localhost"
    if encrypted is None:
        encrypted = not re.match(r"ipc:|tcp://(localhost|127\.\d+\.\d+\.\d+|\[::1\]):", endpoint)
    return Node(endpoint, secret, name, as_tool, encrypted, entry.get("name"), timeout)


def curve_key(cookie, role):
    return z85.encode(prove(cookie, f"curve {role}"))


class Node:
    """One connection to one node. leave() or a loss ends it; `ended` is then the Failure that says why."""

    def __init__(self, endpoint, secret, name, as_tool, encrypted, expected, timeout):
        self.name, self.creation, self.ended = name, secrets.randbits(32) | 1, None
        self._lock = threading.RLock()
        self._room, self._closed, self._leaving = threading.Condition(self._lock), threading.Event(), False
        self._processes, self._names, self._offers = {}, {}, {}
        self._process_ids, self._ids, self._pings = count(1), count(1), count(1)
        self._waiting, self._monitors = {}, {}  # by id: the Future of a call; the process that watches, and whom
        self._outbox, self._outbox_bytes, self._controls = deque(), 0, []
        self._in_flight = self._unreturned = 0  # credit: sent and not given back yet; taken and not given back yet
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_out, False)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in ((zmq.RECONNECT_IVL, 3_600_000), (zmq.SNDHWM, 0), (zmq.RCVHWM, 0)):
            self._socket.setsockopt(option, value)
        if encrypted:
            theirs, mine = curve_key(secret, "acceptor"), curve_key(secret, "dialler")
            for option, key in ((zmq.CURVE_SERVERKEY, zmq.curve_public(theirs)), (zmq.CURVE_SECRETKEY, mine),
                                (zmq.CURVE_PUBLICKEY, zmq.curve_public(mine))):
                self._socket.setsockopt(option, key)
        self._sealed = [b"curve"] if encrypted else []  # the last part of a proof
        self._events = self._socket.get_monitor_socket(LOST)
        self._poller = zmq.Poller()
        for source in (self._socket, self._events, self._wake_in):
            self._poller.register(source, zmq.POLLIN)
        try:
            try:
                self._socket.connect(endpoint)
            except zmq.ZMQError as problem:
                raise Failure("bad_argument", f"{endpoint}: {problem}") from None
            self._shake_hands(secret, as_tool, expected, time.monotonic() + timeout)
        except BaseException:
            self._close()
            raise
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()

    def process(self, name=None):
        """A process whose mailbox the program reads; under `name` others find it."""
        with self._lock:
            if name in self._names:
                raise Failure("name_taken", f"{name} is {self._names[name].pid}")
            made = Process(self, next(self._process_ids))
            self._processes[made.pid.id] = made
            if name is not None:
                self._names[name] = made
        return made

    def offer(self, name, function, with_process=False):
        """Others may call it by rpc. with_process: its first argument is the process that runs it."""
        self._offers[name] = (function, with_process)

    def leave(self, timeout=5.0):
        """Ends the processes, sends what waits, says goodbye, and returns when the other side has read it all."""
        with self._lock:
            for process in list(self._processes.values()):
                process.end("shutdown")
            self._leaving = True
            self._wake()
        if not self._closed.wait(timeout):
            self._down(Failure("timeout", f"{self.peer['name']} did not answer the goodbye"))
            self._closed.wait(timeout)

    # -- the handshake

    def _shake_hands(self, secret, as_tool, expected, deadline):
        who = {"name": self.name, "creation": self.creation, "hidden": True, "tool": as_tool, "application": "",
               "features": FEATURES, "needs": FEATURES, "frame_bytes": FRAME_BYTES, "credit_bytes": CREDIT_BYTES,
               "tick_ms": TICK_MS}
        hello = pack(["troupe", "hello", {"protocol_min": 1, "protocol_max": 1, "who": who, "nonce": os.urandom(32),
                                          "secret": "control_key" if as_tool else "cookie"}])
        self._socket.send(hello)
        challenge, body = self._step("challenge", deadline)
        self.peer, self._connection = body["who"], body["connection"]
        if expected not in (None, self.peer["name"]):
            raise self._refuse(Failure("noconnection", f"{self.peer['name']} answers, not {expected}"))
        if body["protocol"] != 1 or not set(self.peer["needs"]) <= set(FEATURES) <= set(self.peer["features"]):
            raise self._refuse(Failure("unsupported", f"protocol {body['protocol']}, features {self.peer['features']}, "
                                                      f"needs {self.peer['needs']}; here: protocol 1, {FEATURES}"))
        proof = pack(["troupe", "proof", {"proof": prove(secret, "dialler", hello, challenge, *self._sealed)}])
        self._socket.send(proof)
        _, body = self._step("welcome", deadline)
        if not compare_digest(body["proof"], prove(secret, "acceptor", hello, challenge, proof, *self._sealed)):
            raise self._refuse(Failure("bad_cookie", f"{self.peer['name']} did not prove it"))

    def _step(self, wanted, deadline):
        frame = b""
        while not frame:
            ready = dict(self._poller.poll(max(0, (deadline - time.monotonic()) * 1000)))
            if self._socket not in ready:
                why = ("noconnection", "nobody there, or one who wants encryption") if ready else \
                    ("timeout", f"no {wanted} in time")
                raise Failure(*why)
            frame = self._socket.recv()
        try:
            label, step, body = unpack(frame)
        except ValueError as problem:
            raise Failure("bad_message", f"no {wanted}: {problem}") from None
        if (label, step) == ("troupe", "refused"):
            raise Failure.from_wire(body)
        if (label, step) != ("troupe", wanted):
            raise Failure("bad_message", f"{step} where {wanted} was due")
        return frame, body

    def _refuse(self, why):
        self._socket.send(pack(["troupe", "refused", why.to_wire()]))
        return why

    # -- the thread of the socket

    def _run(self):
        tool = self.peer["tool"]
        tick = min(TICK_MS, self.peer["tick_ms"], 1000 if tool else TICK_MS) / 1000
        heard, due = time.monotonic(), time.monotonic() + tick
        while not self.ended:
            ready = dict(self._poller.poll(max(0, (due - time.monotonic()) * 1000)))
            if self._wake_in in ready:
                os.read(self._wake_in, 4096)
            lost = self._events in ready  # what had arrived before is still to be read
            try:
                if self._read(everything=lost):
                    heard = time.monotonic()
                if lost:
                    self._down(Failure("noconnection", "the connection is lost"))
                if time.monotonic() >= due:
                    silent, due = time.monotonic() - heard, time.monotonic() + tick
                    if silent >= tick * (3 if tool else 4):
                        self._down(Failure("noconnection", f"{self.peer['name']} is silent for {silent:.0f} s"))
                    elif silent >= tick:
                        self._controls.append(["ping", next(self._pings)])
                    self._return_credit(1)
                self._flush()
            except Exception as problem:
                why = problem if isinstance(problem, Failure) else Failure("bad_message", repr(problem))
                logging.getLogger("troupe").error("connection to %s closed: %s", self.peer["name"], why)
                self._send(CONTROL, pack(["bye", why.to_wire()]))
                self._down(why)
        self._close()

    def _read(self, everything):
        """Takes frames that have arrived, a bounded number unless all are wanted; True if there was one."""
        for taken in count():
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return taken > 0
            head = parts[0][:12]
            if len(parts) == 1 and head in (self._header(SIGNALS), self._header(CONTROL)):
                self._frame(head[1], parts[0][12:])
            if self.ended or taken >= 255 and not everything:
                return True

    def _frame(self, kind, payload):
        if len(payload) > FRAME_BYTES:
            raise Failure("too_large", f"a frame of {len(payload)} bytes")
        with self._lock:
            for item in unpack_all(payload):
                if not self.ended:
                    (self._on_signal if kind == SIGNALS else self._on_control)(*item)
            if kind == SIGNALS:
                self._unreturned += len(payload) + 64
                self._return_credit(CREDIT_BYTES // 8)

    def _return_credit(self, least):
        if self._unreturned >= least:
            self._controls.append(["credit", self._unreturned])
            self._unreturned = 0

    def _on_control(self, what, *rest):
        if what == "ping":
            self._controls.append(["pong", rest[0], 0])
        elif what == "credit":
            self._in_flight -= rest[0]
            if self._in_flight < 0:
                raise Failure("bad_message", "credit for more than was sent")
        elif what == "bye":
            self._send(CONTROL, pack(["gone"]))
            self._down(Failure.from_wire(rest[0]))
        elif what == "gone":
            self._down(Failure("closed", "left"))
        elif what == "ended":
            self._down(Failure("noconnection", f"{self.peer['name']} had given the connection up"))

    def _flush(self):
        with self._lock:
            limit = min(COALESCED_BYTES, self.peer["frame_bytes"])
            while self._outbox and self._in_flight < self.peer["credit_bytes"]:
                frame = bytearray(self._outbox.popleft()[0])
                while self._outbox and len(frame) + len(self._outbox[0][0]) <= limit:
                    frame += self._outbox.popleft()[0]
                self._outbox_bytes -= len(frame)
                self._in_flight += len(frame) + 64
                self._send(SIGNALS, frame)
            self._room.notify_all()
            if self._leaving and not self._outbox and not self.ended:
                self._leaving = False
                self._controls.append(["bye", Failure("shutting_down", f"{self.name} leaves").to_wire()])
            if self._controls and not self.ended:
                self._send(CONTROL, b"".join(map(pack, self._controls)))
                self._controls.clear()

    def _header(self, kind):
        return bytes((0x92, kind, 0xC4, 8)) + self._connection

    def _send(self, kind, payload):
        self._socket.send(self._header(kind) + payload)

    def _wake(self):
        try:
            if not self._closed.is_set():
                os.write(self._wake_out, b".")
        except BlockingIOError:  # full, so it wakes anyway
            pass

    def _down(self, why):
        """The connection is over: whoever waits for the other side is told, once."""
        with self._lock:
            if self.ended:
                return
            self.ended = why
            unsent = {number for _, number in self._outbox}
            for number, future in self._waiting.items():
                future.set_exception(Failure("noconnection", str(why), maybe_executed=number not in unsent))
            for number, (process, watched) in self._monitors.items():
                process._mailbox.put(Down(number, watched, "noconnection"))
            for process in self._processes.values():
                for other in process._links:
                    process._mailbox.put(Exit(other, "noconnection"))
                process._links.clear(), process._watchers.clear(), process._calls.clear()
                process._mailbox.put(None)
            self._waiting.clear(), self._monitors.clear(), self._outbox.clear()
            self._room.notify_all()
            self._wake()

    def _close(self):
        with self._lock:
            self._closed.set()
            os.close(self._wake_in), os.close(self._wake_out)
        self._socket.disable_monitor()
        self._events.close(0)
        self._socket.close(1000)  # a last word gets a second to leave
        self._context.term()

    # -- signals, outwards

    def _queue(self, signal, call=None):
        """For what is not refused; when there is no connection any more nobody needs it."""
        try:
            data = pack(signal)
        except (TypeError, ValueError, OverflowError) as problem:
            raise Failure("bad_argument", str(problem)) from None
        if len(data) > self.peer["frame_bytes"]:
            raise Failure("too_large", f"{len(data)} bytes, {self.peer['name']} takes {self.peer['frame_bytes']}")
        with self._lock:
            if not self.ended:
                self._outbox.append((data, call))
                self._outbox_bytes += len(data)
                self._wake()

    def _submit(self, signal, call=None):
        """For messages and calls: while too much is queued already their sender waits, and is refused in the end."""
        with self._lock:
            if not self._room.wait_for(lambda: self.ended or self._outbox_bytes < WAITING_BYTES, PATIENCE):
                raise Failure("overloaded", f"{self._outbox_bytes} bytes wait for {self.peer['name']}")
            if self.ended:
                raise Failure("noconnection", str(self.ended))
            self._queue(signal, call)

    def _answer(self, asked, op, content):
        with self._lock:
            if asked.process._calls.pop((asked.caller, asked.id), None) and asked.caller:
                head = [asked.process.pid.id, self._address(asked.caller), asked.id]
                try:
                    self._queue([op, *head, content])
                except Failure as why:  # the answer cannot travel: that is the answer
                    self._queue([REPLY_ERROR, *head, why.to_wire()])

    def _address(self, to):
        """A name or pid as it stands in a signal: a process of the peer's present life is its bare id."""
        theirs = isinstance(to, Pid) and (to.name, to.creation) == (self.peer["name"], self.peer["creation"])
        return to.id if theirs else to

    # -- signals, inwards

    def _on_signal(self, op, *items):
        if op >= 128:
            return
        if op not in HANDLERS:
            raise Failure("unsupported", f"signal {op} is not known here")
        handler, wanted = HANDLERS[op]
        sender, *rest = items[:wanted]
        sender = self._remote(sender)
        if op in (EXIT, *range(LINK, DEMONITOR + 1)) and (not sender or sender.name != self.peer["name"]):
            raise Failure("bad_message", f"signal {op} about another node's process")
        handler(self, sender, *rest)

    def _remote(self, who):
        return Pid(self.peer["name"], self.peer["creation"], who) if type(who) is int else who

    def _find(self, to):
        if isinstance(to, Pid):
            return self._processes.get(to.id) if (to.name, to.creation) == (self.name, self.creation) else None
        return self._names.get(to) if isinstance(to, str) else self._processes.get(to)

    def _on_message(self, sender, to, content):
        if process := self._find(to):
            process._mailbox.put(Message(sender, content))

    def _on_call(self, sender, to, number, content):
        if process := self._find(to):
            process._mailbox.put(process._asked(sender, number, content))
        else:
            code = "stale" if isinstance(to, Pid) and to.creation != self.creation else "noproc"
            self._fail_call(sender, number, Failure(code, f"there is no process {to} on {self.name}"))

    def _fail_call(self, caller, number, why):
        if caller:
            self._queue([REPLY_ERROR, None, self._address(caller), number, why.to_wire()])

    def _on_reply(self, sender, to, number, content):
        if future := self._waiting.pop(number, None):
            future.set_result(content)

    def _on_reply_error(self, sender, to, number, error):
        if future := self._waiting.pop(number, None):
            future.set_exception(Failure.from_wire(error))

    def _on_down(self, sender, to, number, reason):
        process, watched = self._monitors.pop(number, (None, None))
        if process:
            process._mailbox.put(Down(number, watched, reason))

    def _on_exit(self, sender, to, reason):
        process = self._find(to)
        if process and sender in process._links:
            process._links.discard(sender)
            process._mailbox.put(Exit(sender, reason))

    def _on_exit_asked(self, sender, to, reason):
        if process := self._find(to):
            process.end("killed") if reason == "kill" else process._mailbox.put(Exit(sender, reason))

    def _on_link(self, sender, to):
        if process := self._find(to):
            process._links.add(sender)
        else:
            self._queue([EXIT, to, self._address(sender), "noproc"])

    def _on_unlink(self, sender, to, number):
        if process := self._find(to):
            process._links.discard(sender)
        self._queue([UNLINK_ACK, to, self._address(sender), number])

    def _on_unlink_ack(self, sender, to, number):
        pass  # nothing here unlinks

    def _on_monitor(self, sender, to, number):
        if process := self._find(to):
            process._watchers.add((sender, number))
        else:
            self._queue([DOWN, None if isinstance(to, str) else to, self._address(sender), number, "noproc"])

    def _on_demonitor(self, sender, to, number):
        for process in self._processes.values():  # a name may be another's by now
            process._watchers.discard((sender, number))

    def _on_group_leader(self, sender, to, leader):
        if process := self._find(to):
            process.leader = self._remote(leader)

    def _on_spawn(self, sender, number, entry, arguments, options):
        self._fail_call(sender, number, Failure("undef", f"{self.name} offers no process {entry}, only functions"))

    def _on_rpc(self, sender, number, name, arguments, options):
        if name not in self._offers:
            return self._fail_call(sender, number, Failure("undef", f"{self.name} does not offer {name}"))
        if len(self._processes) >= MAX_PROCESSES:
            return self._fail_call(sender, number, Failure("system_limit", f"{MAX_PROCESSES} processes run already"))
        process = self.process()
        process.leader = self._remote(options.get("leader"))
        asked = process._asked(sender, number, name)
        threading.Thread(target=_serve, args=(asked, *self._offers[name], arguments), daemon=True).start()


HANDLERS = {op: (getattr(Node, "_on_" + name), len(inspect.signature(getattr(Node, "_on_" + name)).parameters) - 1)
            for op, name in enumerate("""message call reply reply_error down exit exit_asked link unlink unlink_ack
                monitor demonitor group_leader spawn rpc""".split(), MESSAGE)}


def _serve(asked, function, with_process, arguments):
    reason = "normal"
    try:
        arguments = [*[asked.process][:with_process], *arguments]
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError as problem:
            raise Failure("bad_argument", f"{asked.content}: {problem}") from None
        except ValueError:  # some functions of Python's own do not tell what they take
            pass
        asked.reply(function(*arguments))
    except Failure as why:
        asked.fail(why)
    except Exited as ended:
        reason = ended.reason
    except Exception as bug:
        asked.fail(Failure("exception", f"{type(bug).__name__}: {bug}", maybe_executed=True))
        reason = ["exception", {"type": type(bug).__name__, "text": str(bug), "place": asked.content}]
    asked.process.end(reason)


@dataclass
class Call:
    """Somebody waits for `reply` or `fail`. After the first of them, or the process's end, they do nothing."""
    process: "Process"
    caller: Pid | None
    id: int
    content: object

    def reply(self, value):
        self.process.node._answer(self, REPLY, value)

    def fail(self, why):
        self.process.node._answer(self, REPLY_ERROR, why.to_wire())


class Process:
    """A pid with a mailbox. Exits arrive as messages; only a "kill" ends it against its will."""

    def __init__(self, node, number):
        self.node, self.pid, self.leader = node, Pid(node.name, node.creation, number), None
        self._mailbox, self._over, self._ended, self._reason = queue.Queue(), False, False, None
        self._links, self._watchers, self._calls = set(), set(), {}

    def receive(self, timeout=5.0):
        """The next Message, Call, Down or Exit; else Exited, or a Failure: "timeout", or why the connection is over."""
        end = time.monotonic() + timeout
        while True:
            try:
                item = self._mailbox.get(timeout=0 if self._over else max(0, end - time.monotonic()))
            except queue.Empty:
                if self._over:
                    raise Exited(self._reason) if self._ended else self.node.ended
                raise Failure("timeout", f"no message within {timeout} s") from None
            if item is None:  # no more will come from others: the process, or the connection, has ended
                self._over = True
            elif not isinstance(item, Call) or item.content != ["io.sync", {}]:
                return item
            else:
                item.reply(None)  # a printer asks whether its text has been taken: it has

    def send(self, to, content):
        if isinstance(to, Pid) and to.name == self.node.name:
            self.node._on_message(self.pid, to, content)
        else:
            self._alive()._submit([MESSAGE, self.pid.id, self.node._address(to), content])

    def call(self, to, content, timeout=5.0):
        return self._ask(CALL, timeout, [self.node._address(to)], [content])

    def rpc(self, function, *arguments, timeout=5.0):
        """The result of a function that the node offers; what it prints comes as messages ["io.put", {"text": …}]."""
        return self._ask(RPC, timeout, [], [function, arguments, {"leader": self.pid.id}])

    def spawn(self, entry, *arguments, timeout=5.0):
        """The pid of a process that the node offers, started there."""
        return self._ask(SPAWN, timeout, [], [entry, arguments, {"leader": self.pid.id}])

    def _ask(self, op, timeout, before, after):
        node, number, answer = self._alive(), next(self.node._ids), Future()
        try:
            with node._lock:
                node._waiting[number] = answer
                node._submit([op, self.pid.id, *before, number, *after], number)
            return answer.result(timeout)
        except TimeoutError:
            raise Failure("timeout", f"no answer within {timeout} s", maybe_executed=True) from None
        finally:
            with node._lock:
                node._waiting.pop(number, None)

    def _asked(self, caller, number, content):
        asked = self._calls[(caller, number)] = Call(self, caller, number, content)
        return asked

    def monitor(self, to):
        """One Down with the number that is returned follows: when `to` ends, or at once if there is nobody."""
        node = self._alive()
        with node._lock:
            number = next(node._ids)
            node._queue([MONITOR, self.pid.id, node._address(to), number])
            if node.ended:
                self._mailbox.put(Down(number, to, "noconnection"))
            else:
                node._monitors[number] = (self, to)
        return number

    def demonitor(self, number):
        with self.node._lock:
            _, watched = self.node._monitors.pop(number, (None, None))
            if watched is not None:
                self.node._queue([DEMONITOR, self.pid.id, self.node._address(watched), number])

    def exit(self, to, reason):
        """Asks another process to end; it cannot refuse "kill"."""
        self._alive()._submit([EXIT_ASKED, self.pid.id, self.node._address(to), reason])

    def print(self, text):
        """To the group leader; when that lives on a node that we have no connection to, into our log."""
        if self.leader and self.leader.name in (self.node.name, self.node.peer["name"]):
            self.send(self.leader, ["io.put", {"text": text}])
        else:
            logging.getLogger("troupe").info("%s prints: %s", self.pid, text)

    def end(self, reason="normal"):
        """Ends it, and tells who waits for its answer, is linked to it, or watches it."""
        node = self.node
        with node._lock:
            if self._ended:
                return
            self._ended, self._reason = True, reason
            del node._processes[self.pid.id]
            node._names = {name: process for name, process in node._names.items() if process is not self}
            for number in [number for number, (watcher, _) in node._monitors.items() if watcher is self]:
                self.demonitor(number)
            for asked in list(self._calls.values()):
                asked.fail(Failure("exited", printed(reason), maybe_executed=True))
            for other in self._links:
                node._queue([EXIT, self.pid.id, node._address(other), reason])
            for watcher, number in self._watchers:
                node._queue([DOWN, self.pid.id, node._address(watcher), number, reason])
            self._mailbox.put(None)

    def _alive(self):
        if self._ended:
            raise Exited(self._reason)
        return self.node
