"""examples/python_client against real nodes: what PROTOCOL.md promises to a stranger, over ipc and over loopback tcp.

The C++ side is the sample node beside this file, driven through `troupe remote`, so that each direction is spoken by
the one and judged by the other.
"""

import contextlib
import os
import re
import signal
import sys
import threading
import unittest
from unittest import mock

from python_client_support import COOKIE, SAMPLE, TOOL, WAIT, Cluster, eventually

import msgpack
import troupe_client
import troupe_wire
from troupe_client import Call, Down, Exit, Exited, Failure, Message, join
from troupe_wire import Pid, Reference

SERVER = """
import sys, threading, troupe_client
troupe_client.TICK_MS = int(sys.argv[3])
with troupe_client.join(sys.argv[1], sys.argv[2], timeout=60) as node:
    me = node.process("clerk")
    print("serving", flush=True)
    threading.Event().wait()
"""


class Talks:
    """Each over ipc and over tcp."""

    def setUp(self):
        super().setUp()
        self.sample = self.start(SAMPLE, "--listen", "tcp://127.0.0.1:0", until="ready")
        threading.Thread(target=self.sample.stdout.read, daemon=True).start()  # its log must not fill the pipe
        entry = troupe_wire.find("sample")
        self.endpoint, = [each for each in entry["endpoints"] if each.startswith(self.kind)]

    def join(self, name="clerk@localhost", **options):
        node = join(self.endpoint, name, timeout=WAIT, **options)
        self.addCleanup(node.leave)
        return node

    def serve(self, name="clerk@localhost", tick_ms=15_000):
        return self.start(sys.executable, "-c", SERVER, self.endpoint, name, tick_ms, until="serving")

    def test_values_travel(self):
        me = self.join().process()
        given = [None, True, 0, 1, -1, 2**63, 2**64 - 1, -2**63, 1.0, 1.5, "", "é", "\udcff is no utf-8", b"",
                 b"\xff", [], {}, [[1], {"a": {1: [2]}}], {None: 0, True: 1, 2.5: 2, b"k": 3, (1, 2): 4}, me.pid,
                 Pid("n@h", 0x12C, 2), Reference("n@h", 1, 2), Pid("", 0, 0), msgpack.ExtType(7, b"later"),
                 msgpack.Timestamp(5, 6), troupe_wire._extension(-5, b"negative"), "x" * 70_000]
        for value in given:
            with self.subTest(str(value)[:40]):
                answer = me.rpc("sample.echo", value, timeout=WAIT)
                self.assertEqual((type(answer), answer), (type(value), value))

    def test_message_and_call_to_a_name_and_a_pid(self):
        me = self.join().process()
        me.send("sample.counter", ["add", {"amount": 5}])
        self.assertEqual(me.call("sample.counter", ["add", {"amount": 2}], WAIT), 7)
        counter = self.whereis("sample.counter")
        self.assertEqual((counter.name, counter.creation), ("sample@localhost", me.node.peer["creation"]))
        self.assertEqual(me.call(counter, ["add", {"amount": 0}], WAIT), 7)

    def whereis(self, name):
        text, = self.lua(f'tostring(whereis("{name}"))')
        return Pid(*(parse(part) for parse, part in
                     zip((str, lambda hexa: int(hexa, 16), int), re.fullmatch(r'"<(.*)#(.*)\.(.*)>"', text).groups())))

    def test_errors_are_typed(self):
        me = self.join().process()
        for name, maybe_executed, function, *arguments in (
                ("undef", False, "sample.nothing"), ("bad_argument", False, "sample.add_one", "one"),
                ("bad_argument", False, "sample.add_one"), ("not_allowed", False, "sample.add_one", -1),
                ("exception", True, "sample.throw", "told so"), ("bad_argument", False, "sample.echo", object()),
                ("bad_argument", False, "sample.echo", 2**64), ("too_large", False, "sample.echo", b"x" * (1 << 20))):
            why = self.assert_fails(name, me.rpc, function, *arguments, timeout=WAIT)
            self.assertEqual(why.maybe_executed, maybe_executed, why)
            self.assertTrue(why.text)
        self.assertTrue(self.assert_fails("timeout", me.rpc, "sample.wait", timeout=0.01).maybe_executed)
        self.assert_fails("noproc", me.call, "nobody", 1, WAIT)
        self.assert_fails("noproc", me.call, Pid("sample@localhost", me.node.peer["creation"], 1 << 40), 1, WAIT)
        self.assert_fails("stale", me.call, Pid("sample@localhost", 1, 1), 1, WAIT)
        self.assert_fails("undef", me.spawn, "sample.nothing", timeout=WAIT)
        why = self.assert_fails("exited", me.call, "sample.counter", ["add", {"amount": -1}], WAIT)
        self.assertEqual((why.text, why.maybe_executed), ('"negative amount"', True))
        self.assertIsNone(me.node.ended)

    def test_what_a_function_prints_comes_before_its_answer(self):
        me = self.join().process()
        me.rpc("sample.say", "hello", 2, timeout=WAIT)
        self.assertEqual([me.receive(0).content for _ in range(2)], [["io.put", {"text": "hello\n"}]] * 2)

    def test_monitors_give_one_down(self):
        me = self.join().process()
        counter = self.whereis("sample.counter")
        numbers = {me.monitor("sample.counter"): "sample.counter", me.monitor(counter): counter}
        gone = me.monitor("sample.counter")
        me.demonitor(gone)
        self.assert_fails("exited", me.call, "sample.counter", ["add", {"amount": -1}], WAIT)
        downs = [me.receive(WAIT) for _ in numbers]
        self.assertEqual({down.monitor: down.watched for down in downs}, numbers)
        self.assertEqual({down.reason for down in downs}, {"negative amount"})
        for nobody in ("nobody", counter):
            number = me.monitor(nobody)
            self.assertEqual(me.receive(WAIT), Down(number, nobody, "noproc"))
        me.rpc("sample.echo", 0, timeout=WAIT)  # what the node sent before its answer has come
        self.assert_fails("timeout", me.receive, 0)

    def test_kill_9_of_the_node(self):
        node = self.join()
        me = node.process()
        watched = ["sample.counter", self.whereis("sample.first")]
        numbers = {me.monitor(each): each for each in watched}
        me.rpc("sample.echo", 0, timeout=WAIT)
        failures = []

        def wait():
            try:
                node.process().rpc("sample.wait", timeout=WAIT)
            except Failure as why:
                failures.append(why)

        waiter = threading.Thread(target=wait)
        waiter.start()
        self.addCleanup(waiter.join)
        eventually(lambda: node._waiting and not node._outbox)
        self.sample.kill()
        self.assertEqual({me.receive(WAIT) for _ in watched},
                         {Down(number, each, "noconnection") for number, each in numbers.items()})
        waiter.join(WAIT)
        self.assertEqual([(why.name, why.maybe_executed) for why in failures], [("noconnection", True)])
        self.assertIs(self.assert_fails("noconnection", me.receive, WAIT), node.ended)  # and no second DOWN
        self.assert_fails("noconnection", me.send, "sample.counter", 1)
        self.assertFalse(self.assert_fails("noconnection", me.rpc, "sample.echo", 0, timeout=WAIT).maybe_executed)
        late = me.monitor("sample.counter")
        self.assertEqual(me.receive(WAIT), Down(late, "sample.counter", "noconnection"))

    def test_the_node_uses_the_client(self):
        node = self.join()
        node.offer("clerk.add", lambda a, b: a + b)
        node.offer("clerk.max", max)
        node.offer("clerk.fail", lambda: 1 / 0)
        node.offer("clerk.refuse", self.refuse)
        node.offer("clerk.leave", self.exit)
        node.offer("clerk.hello", lambda process, who: process.print(f"hello, {who}\n"), with_process=True)
        node.offer("clerk.too_large", lambda: b"x" * (1 << 21))
        me = node.process("clerk")
        server = threading.Thread(target=self.answer, args=(me,))
        server.start()
        self.addCleanup(server.join)
        self.addCleanup(me.end)
        clerk = '{"clerk", "clerk@localhost"}'
        call = 'try(rpc.call, "clerk@localhost", "clerk.%s", {%s})'
        printed = self.lua(
            'function try(f, ...) local ok, got = pcall(f, ...) return ok and got or tostring(got) end',
            'nodes()', 'nodes("hidden")[1]', f'send({clerk}, "a message")',
            f'server.call({clerk}, {{"push", {{number = 5}}}})', f'try(server.call, {clerk}, "forbidden")',
            'try(server.call, {"nobody", "clerk@localhost"}, 1)', call % ("add", "1, 2"), call % ("max", "5, 4"),
            call % ("nothing", ""), call % ("add", "1"), call % ("fail", ""), call % ("refuse", ""),
            call % ("leave", ""), call % ("too_large", ""), 'try(spawn, "clerk@localhost", "clerk.worker", 1)',
            f'm = monitor({clerk})', 'n = monitor{"nobody", "clerk@localhost"}', 'receive({"DOWN", n}, 30000)[5]',
            f'send({clerk}, "end")', 'receive({"DOWN", m}, 30000)[5]', 'flush()')
        self.assertEqual([re.sub(r"[0-9]{7} bytes", "… bytes", line) for line in printed], [
            '{}', '"clerk@localhost"', '"a message"',
            '{"echo", {"push", {number = 5}}}', '"not_allowed: by the clerk"',
            '"noproc: there is no process nobody on clerk@localhost"', '3', '5',
            '"undef: clerk@localhost does not offer clerk.nothing"',
            '"bad_argument: clerk.add: missing a required argument: \'b\'"',
            '"exception: ZeroDivisionError: division by zero (it may have run)"', '"not_allowed: never on Sundays"',
            '"exited: \\"closing time\\" (it may have run)"',
            f'"too_large: … bytes, sample@localhost takes {node.peer["frame_bytes"]}"',
            '"undef: clerk@localhost offers no process clerk.worker, only functions"',
            '"noproc"', '"end"', '"bored"', '"ok"'])

    def refuse(self):
        raise Failure("not_allowed", "never on Sundays")

    def exit(self):
        raise Exited("closing time")

    def answer(self, me):
        with contextlib.suppress(Exited, Failure):
            while (item := me.receive(WAIT)).content != "end":
                if isinstance(item, Call):
                    item.reply(["echo", item.content]) if item.content != "forbidden" else \
                        item.fail(Failure("not_allowed", "by the clerk"))
        me.end("bored")

    def test_links_and_exits(self):
        node = self.join()
        me, other = node.process("clerk"), node.process("other")
        shell = self.start(TOOL, "remote", "sample")
        self.type(shell, f'p = pid("{me.pid}")\no = pid("{other.pid}")\ntrap_exit(true)\nlink(p)\nlink(o)\nunlink(o)\n'
                         'send(p, "linked")')
        self.assertEqual(me.receive(WAIT).content, "linked")
        eventually(lambda: not other._links)
        lua, = me._links
        self.type(shell, 'exit(p, "please")')
        self.assertEqual(me.receive(WAIT), Exit(lua, "please"))  # asked, and free to stay
        self.type(shell, 'exit(o, "kill")')
        with self.assertRaises(Exited) as caught:
            other.receive(WAIT)
        self.assertEqual(caught.exception.reason, "killed")
        me.end("done")
        self.type(shell, 'receive({"EXIT", p}, 30000)[3]\nlink(o)\nreceive({"EXIT", o}, 30000)[3]\nflush()\n1')
        for expected in ('"done"', '"noproc"', '"ok"', '1'):
            self.read_until(shell, expected)

    def test_a_shell_on_the_node_is_a_process_like_any_other(self):
        node = self.join()
        node.offer("clerk.hello", lambda process, who: process.print(f"hello, {who}\n"), with_process=True)
        me = node.process("clerk")
        shell = me.spawn("troupe.lua", {"terminal": me.pid}, timeout=WAIT)
        source = 'print("here") rpc.call("clerk@localhost", "clerk.hello", {"you"}) return node()'
        me.send(shell, ["lua.eval", {"id": 1, "source": source}])
        seen = []
        while not seen or seen[-1][0] != "lua.result":
            seen.append(me.receive(WAIT).content)
        self.assertEqual([item[1]["text"] for item in seen], ["here\n", "hello, you\n", '"sample@localhost"'])
        watch = me.monitor(shell)
        me.exit(shell, "kill")
        self.assertEqual(me.receive(WAIT), Down(watch, shell, "killed"))

    def test_kill_9_of_the_client(self):
        clerk = self.serve()
        shell = self.start(TOOL, "remote", "sample")
        self.type(shell, 'nodes("hidden")[1]\nm = monitor{"clerk", "clerk@localhost"}\nprint("watching")')
        self.read_until(shell, "clerk@localhost")
        self.read_until(shell, "watching")
        rpc = 'rpc.call("clerk@localhost", "clerk.nothing")'  # its answer: the monitor is in place
        self.type(shell, f'pcall(function() {rpc} end)\nprint("set")')
        self.read_until(shell, "set")
        clerk.kill()
        self.type(shell, 'receive({"DOWN", m}, 30000)[5]\nflush()\nprint(table.concat(nodes("hidden"), " "))')
        self.read_until(shell, '"noconnection"')
        self.assertIn("ok", shell.stdout.readline())
        self.assertNotIn("clerk", shell.stdout.readline())

    def test_goodbyes(self):
        node = self.join()
        me = node.process("clerk")
        shell = self.start(TOOL, "remote", "sample")
        self.type(shell, 'm = monitor{"clerk", "clerk@localhost"}\nsend({"clerk", "clerk@localhost"}, "watching")')
        self.assertIsInstance(me.receive(WAIT), Message)
        for _ in range(1000):
            me.send("sample.counter", ["add", {"amount": 1}])
        node.leave(WAIT)
        self.assertEqual(node.ended.name, "closed", node.ended)
        self.type(shell, 'receive({"DOWN", m}, 30000)[5]\nserver.call("sample.counter", {"add", {amount = 0}})')
        self.read_until(shell, '"shutdown"')  # said, not lost: it has left in order, and all that it sent was taken
        self.read_until(shell, "1000")
        left = self.join("left@localhost").process()
        self.assertEqual(self.lua('disconnect("left@localhost")'), ["true"])
        self.assert_fails("closed", left.receive, WAIT)
        other = self.join("other@localhost")
        watcher = other.process()
        watch = watcher.monitor("sample.counter")
        watcher.rpc("sample.echo", 0, timeout=WAIT)
        self.run_tool("stop", "sample")
        self.assertEqual(watcher.receive(WAIT), Down(watch, "sample.counter", "shutdown"))
        self.assert_fails("shutting_down", watcher.receive, WAIT)

    def test_credit_flows_both_ways(self):
        node = self.join()
        me = node.process()
        part = os.urandom(600_000)
        for number in range(20):  # 12 MB each way through windows of 1 MiB
            self.assertEqual(me.rpc("sample.echo", [number, part], timeout=WAIT), [number, part])
        for number in range(30_000):
            me.send("sample.counter", ["add", {"amount": 1}])
        self.assertEqual(me.call("sample.counter", ["add", {"amount": 0}], WAIT), 30_000)
        self.assertLessEqual(node._in_flight, node.peer["credit_bytes"] + node.peer["frame_bytes"])

    def test_a_node_that_stands_still_takes_no_more_than_its_credit(self):
        node = self.join()
        me = node.process()
        me.rpc("sample.echo", 0, timeout=WAIT)
        self.sample.send_signal(signal.SIGSTOP)
        with mock.patch.object(troupe_client, "PATIENCE", 0.05):
            part = b"x" * 100_000
            with self.assertRaises(Failure) as caught:
                for _ in range(1000):
                    me.send("nobody", part)
        self.assertEqual(caught.exception.name, "overloaded")
        self.assertLess(node._in_flight, node.peer["credit_bytes"] + len(part) + 200)
        self.sample.send_signal(signal.SIGCONT)
        self.assertEqual(me.rpc("sample.echo", 1, timeout=WAIT), 1)

    def test_ticks(self):
        patch = mock.patch.object(troupe_client, "TICK_MS", 300)
        patch.start()
        self.addCleanup(patch.stop)
        node = self.join()
        me = node.process("clerk")
        watch = me.monitor("sample.first")
        pongs, heard = [], node._on_control
        node._on_control = lambda *control: (pongs.append(control) if control[0] == "pong" else None, heard(*control))
        eventually(lambda: node.ended or len(pongs) > 6)  # more silence than ends a connection, but for the ticks
        self.assertIsNone(node.ended)
        self.assertEqual([control[1] for control in pongs], [*range(pongs[0][1], pongs[0][1] + len(pongs))])
        self.sample.send_signal(signal.SIGSTOP)
        self.addCleanup(self.sample.send_signal, signal.SIGCONT)
        self.assertEqual(me.receive(WAIT), Down(watch, "sample.first", "noconnection"))
        self.assertIn("silent", node.ended.text)

    def test_a_client_that_stands_still_is_down(self):
        clerk = self.serve(tick_ms=300)
        shell = self.start(TOOL, "remote", "sample")
        self.type(shell, 'm = monitor{"clerk", "clerk@localhost"}\nprint("watching")')
        self.read_until(shell, "watching")
        clerk.send_signal(signal.SIGSTOP)
        self.type(shell, 'receive({"DOWN", m}, 30000)[5]')
        self.read_until(shell, '"noconnection"')

    def test_who_is_let_in(self):
        why = self.assert_fails("bad_cookie", self.join, secret="another-cookie-0123456789")
        self.assertIn("cookie", why.text)
        node = self.join()
        self.assert_fails("name_taken", self.join)  # the same name, another life, and the first one answers
        self.assert_fails("name_taken", self.join, name="sample@localhost")
        self.assert_fails("bad_name", self.join, name="no host")
        self.assert_fails("bad_argument", join, "udp://nowhere", secret=COOKIE)
        self.assert_fails("bad_argument", self.join, as_tool=True)
        self.assertEqual(node.process().rpc("sample.echo", 1, timeout=WAIT), 1)
        os.environ.pop("TROUPE_COOKIE")
        self.assert_fails("not_allowed", join, "sample", secret="x" * 20, as_tool=True, directory="/")
        with join("sample", as_tool=True, timeout=WAIT) as tool:  # the control key needs no cookie
            self.assertEqual(tool.process().rpc("sample.echo", 2, timeout=WAIT), 2)
        self.sample.kill()
        self.sample.wait()
        self.assert_fails("noproc", join, "sample", secret=COOKIE)
        self.assert_fails("noconnection", join, self.endpoint, secret=COOKIE, timeout=WAIT)


class OverIpc(Talks, Cluster):
    kind = "ipc:"


class OverTcp(Talks, Cluster):
    kind = "tcp:"


class Encrypted(Cluster):
    def test_tcp(self):
        self.start(SAMPLE, "--listen", "tcp://127.0.0.1:0", "--set", "node.encryption=always", until="ready")
        endpoint, = [each for each in troupe_wire.find("sample")["endpoints"] if each.startswith("tcp:")]
        with join(endpoint, encrypted=True, timeout=WAIT) as node:
            self.assertEqual(node.process().rpc("sample.echo", [1], timeout=WAIT), [1])
        self.assert_fails("noconnection", join, endpoint, timeout=WAIT)  # plain, as loopback is if nobody says more
        another = "another-cookie-0123456789"
        self.assert_fails("noconnection", join, endpoint, encrypted=True, secret=another, timeout=WAIT)


if __name__ == "__main__":
    unittest.main()
