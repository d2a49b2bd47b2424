"""examples/python_client alone: the page's own examples, acceptors that no node is, and what its README says."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import unittest

from python_client_support import COOKIE, EXAMPLE, EXERCISE, SOURCE, TOOL, WAIT, Cluster, eventually

import msgpack
import troupe_client
import troupe_wire
import zmq
from troupe_client import Failure, Message, join
from troupe_wire import Pid, pack, prove, unpack


class Page(unittest.TestCase):
    """What the page shows in bytes and lists is so."""

    page = (SOURCE / "bus" / "PROTOCOL.md").read_text()

    def bytes_behind(self, text):
        return bytes.fromhex(re.search(re.escape(text) + r" +((?:[0-9a-f]{2} ?)+)", self.page)[1])

    def test_examples(self):
        shown = bytes.fromhex(re.search(r"^ +(c7(?: +[0-9a-f]{2})+)$", self.page, re.M)[1])
        self.assertEqual(unpack(shown), Pid("n@h", 0x12C, 2))
        self.assertEqual(pack(Pid("n@h", 0x12C, 2)), shown)
        self.assertEqual(unpack(self.bytes_behind("client:")), [2, 5, "echo", 1, "hello"])
        self.assertEqual(unpack(self.bytes_behind("node:  ")), [3, 17, 5, 1, ["echo", "hello"]])

    def test_proofs(self):
        key, frames = "an-example-of-a-cookie", (b"hello", b"challenge", b"proof")
        self.assertIn(f"`{key}`", self.page)
        self.assertEqual(self.bytes_behind("dialler: "), prove(key, "dialler", *frames[:2]))
        self.assertEqual(self.bytes_behind("acceptor:"), prove(key, "acceptor", *frames))

    def test_keys(self):
        cookie = re.search(r"With the cookie `(\w+)`", self.page)[1]
        for role in ("acceptor", "dialler"):
            public = zmq.curve_public(troupe_client.curve_key(cookie, role)).decode()
            self.assertIn(f"`{public}` ({role})", self.page)

    def test_codes(self):
        told = dict(re.findall(r"(\d+) `(\w+)`", self.page[self.page.index("The codes, fixed"):]))
        for code, name in troupe_wire.CODES.items():
            self.assertEqual(told[str(code)], name)

    def test_signals(self):
        told = dict(re.findall(r"^\| (\d+) \| (\w+) \| `\[", self.page, re.M))
        self.assertEqual({number: told[str(number)] for number in troupe_client.HANDLERS},
                         {number: handler.__name__[4:] for number, (handler, _) in troupe_client.HANDLERS.items()})

    def test_refused_bytes(self):
        for bad in (b"\xc1", b"\x92\x01", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc7\x01\x01\x90",
                    b"\xd4\x01\xc0", b"\x01\x02"):
            with self.subTest(bad.hex()), self.assertRaises(ValueError):
                unpack(bad)


class Impostor(Cluster):
    """An acceptor that is made here, and does what no node does."""

    def setUp(self):
        super().setUp()
        context = zmq.Context()
        self.router = context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 1000)
        self.router.setsockopt(zmq.RCVTIMEO, int(WAIT * 1000))
        self.endpoint = f"ipc://{self.folder}/impostor"
        self.router.bind(self.endpoint)
        self.addCleanup(context.term)
        self.addCleanup(self.router.close)

    @contextlib.contextmanager
    def acceptor(self, secret, **who):
        """Shakes hands with whoever dials meanwhile; afterwards the socket is this thread's again."""
        result = {}
        thread = threading.Thread(target=self.shake_hands, args=(secret, result), kwargs=who)
        thread.start()
        try:
            yield result
        finally:
            thread.join()

    def shake_hands(self, secret, result, **who):
        dialler, hello = self.router.recv_multipart()
        peer = {**unpack(hello)[2]["who"], "name": "fake@localhost", **who}
        body = {"protocol": 1, "who": peer, "nonce": bytes(32), "connection": bytes(8)}
        challenge = pack(["troupe", "challenge", body])
        self.router.send_multipart([dialler, challenge])
        _, proof = self.router.recv_multipart()
        result["step"], result["given"], result["dialler"] = unpack(proof)[1], unpack(proof)[2], dialler
        if result["step"] == "proof":
            result["right"] = unpack(proof)[2]["proof"] == prove(COOKIE, "dialler", hello, challenge)
            welcome = prove(secret, "acceptor", hello, challenge, proof)
            self.router.send_multipart([dialler, pack(["troupe", "welcome", {"proof": welcome}])])

    def test_one_that_does_not_know_the_cookie(self):
        with self.acceptor("a-guess-0123456789") as result:
            why = self.assert_fails("bad_cookie", join, self.endpoint, secret=COOKIE, timeout=WAIT)
        self.assertIn("fake@localhost", why.text)
        self.assertTrue(result["right"])
        self.assertEqual(unpack(self.router.recv_multipart()[1])[2]["name"], "bad_cookie")  # and it hears why

    def test_one_that_wants_more(self):
        with self.acceptor(COOKIE, needs=["signals", "telepathy"]) as result:
            self.assert_fails("unsupported", join, self.endpoint, secret=COOKIE, timeout=WAIT)
        self.assertEqual((result["step"], result["given"]["name"]), ("refused", "unsupported"))

    def up(self):
        with self.acceptor(COOKIE) as result:
            node = join(self.endpoint, "clerk@localhost", secret=COOKIE, timeout=WAIT)
        self.addCleanup(node.leave, 0)
        return node, result["dialler"]

    def say(self, dialler, kind, *items):
        self.router.send_multipart([dialler, bytes((0x92, kind, 0xC4, 8)) + bytes(8) + b"".join(map(pack, items))])

    def heard(self):
        """The next thing that is no credit."""
        while True:
            frame = self.router.recv_multipart()[1]
            told = [item for item in troupe_wire.unpack_all(frame[12:]) if item[0] != "credit"]
            if told:
                return told

    def test_what_a_newer_node_may_send(self):
        node, dialler = self.up()
        me = node.process("clerk")
        self.router.send_multipart([dialler, b""])                                   # nothing
        self.router.send_multipart([dialler, b"one", b"two"])                        # several parts
        self.router.send_multipart([dialler, b"\x92\x01\xc4\x08wrong id\x91\x01"])   # another connection's
        self.say(dialler, 1, [200, None, {"from": "the future"}], [1, None, "clerk", "hi", "more", "items"])
        self.say(dialler, 2, ["weather", "fine"], ["ping", 7, "more"])
        self.assertEqual(me.receive(WAIT), Message(None, "hi"))
        self.assertEqual(self.heard(), [["pong", 7, 0]])
        self.say(dialler, 2, ["ended"])
        self.assert_fails("noconnection", me.receive, WAIT)

    def test_what_ends_the_connection(self):
        for name, kind, *items in (("unsupported", 1, [100, None]), ("bad_message", 1, [1, None, "clerk"]),
                                   ("bad_message", 1, "no list"), ("bad_message", 2, ["credit", 1]),
                                   ("bad_message", 1, [11, Pid("third@localhost", 1, 1), "clerk", 1]),
                                   ("bad_message", 1, msgpack.ExtType(1, b"no pid"))):
            with self.subTest(str(items)), self.assertLogs("troupe", "ERROR"):
                node, dialler = self.up()
                self.say(dialler, kind, *items)
                (bye, told), = self.heard()
                self.assertEqual((bye, told["name"]), ("bye", name))
                eventually(lambda: node.ended)
                self.assertEqual(node.ended.name, name)

    def test_a_bye_is_answered(self):
        node, dialler = self.up()
        self.say(dialler, 2, ["bye", Failure("closed", "enough").to_wire()])
        self.assertEqual(self.heard(), [["gone"]])
        eventually(lambda: node.ended)
        self.assertEqual((node.ended.name, node.ended.text), ("closed", "enough"))

    def test_a_function_runs_while_the_ticks_go_on(self):
        node, dialler = self.up()
        go = threading.Event()
        node.offer("clerk.wait", lambda: go.wait(WAIT))
        self.say(dialler, 1, [15, 5, 9, "clerk.wait", [], {}])
        self.say(dialler, 2, ["ping", 1])
        self.assertEqual(self.heard(), [["pong", 1, 0]])
        go.set()
        (op, _, caller, number, value), = self.heard()
        self.assertEqual((op, caller, number, value), (3, 5, 9, True))


class Readme(Cluster):
    """The README's commands, line by line, and its module."""

    text = (EXAMPLE / "README.md").read_text()

    def setUp(self):
        super().setUp()
        for program in (EXERCISE, TOOL):
            (self.folder / "bin" / program.name).symlink_to(program)

    def block(self, language):
        return re.search(rf"```{language}\n(.*?)```", self.text, re.S)[1]

    def run_line(self, command, **how):
        # A group of its own: the shell may keep the program as a child.
        running = self.start("sh", "-c", f"cd {EXAMPLE} && {command.removesuffix(' &')}", start_new_session=True, **how)
        self.addCleanup(self.end_group, running)
        return running

    def end_group(self, program):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)

    def start_exercise(self):
        line = re.search(r"^\$ (exercise .*) &$", self.text, re.M)[1]
        exercise = self.run_line(line, until="ready")
        threading.Thread(target=exercise.stdout.read, daemon=True).start()

    def test_session(self):
        self.start_exercise()
        background = []
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", self.block("console"), re.M)[1:]:
            with self.subTest(command):
                running = self.run_line(command)
                if command.endswith("&"):
                    self.assertEqual(running.stdout.readline(), output.splitlines(True)[0])
                    background.append((running, output.splitlines(True)[1:]))
                else:
                    self.assertEqual(running.communicate(timeout=WAIT)[0], output)
        for running, output in background:
            self.assertEqual([running.stdout.readline() for _ in output], output)

    def test_lua_is_that_of_the_file(self):
        self.assertEqual(self.block("lua"), (EXAMPLE / "session.lua").read_text())

    def test_module(self):
        self.start_exercise()
        program = self.start(sys.executable, "-c", self.block("python"), until="bad_argument")
        done = subprocess.run([str(TOOL), "rpc", "exercise", "exercise.calculator.operator", "%"], capture_output=True)
        self.assertEqual(done.returncode, 1)  # the calculator has ended: that is the Down that the program waits for
        self.assertEqual(program.wait(WAIT), 0)


if __name__ == "__main__":
    unittest.main()
