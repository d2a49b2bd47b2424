"""The sessions that README.md and the examples' pages show, run as they stand there: every command, and what it prints.

A block of a page is a list of `$ command` with what follows, or of `node> line` for the shell. What differs from run to
run is compared by its shape: pids, times, `…`; columns by their words. A line that is `…` stands for any lines.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

SOURCE, BUILD = Path(os.environ["TROUPE_SOURCE_DIR"]), Path(os.environ["TROUPE_BUILD_DIR"])
WAIT = 60.0  # for what takes milliseconds: only a fault reaches it
SHAPES = (
    (r"<[\w.-]+@[\w.-]+#[0-9a-f]+\.\d+>", r"<[\\w.-]+@[\\w.-]+#[0-9a-f]+\\.\\d+>"),
    (r"\d\d:\d\d:\d\d\.\d+", r"\\d\\d:\\d\\d:\\d\\d\\.\\d+"),
    (r"\d{4}-\d\d-\d\d", r"\\d{4}-\\d\\d-\\d\\d"),
    (r"…", r".*"),
    (r"\b\d{12,}\b", r"\\d+"),
    (r"  +", r"  +"),
)


def pattern(lines, vary=()):
    """One regular expression for what a page says is printed."""
    made = []
    for line in lines:
        if line.strip() == "…":
            made.append(r"(?:.*\n)*")
            continue
        for known, shape in (*vary, (None, None)):
            if known and re.search(known, line):
                made.append(shape if shape.endswith(r"\n)?") else shape + r"\n")
                break
        else:
            parts = re.split("(" + "|".join(known for known, _ in SHAPES) + ")", line)
            for index, part in enumerate(parts):
                shape = next((shape for known, shape in SHAPES if re.fullmatch(known, part)), None)
                parts[index] = shape.replace("\\\\", "\\") if shape else re.escape(part)
            made.append("".join(parts) + r"\n")
    return "".join(made)


class Page(unittest.TestCase):
    """A run directory and a home of its own; what was started ends with the test."""

    page = None
    folder = "."  # where the page says to stand
    vary = ()     # (found in a line of the page, what the line must then match)

    def setUp(self):
        self.work = Path(tempfile.mkdtemp(prefix="tpg."))
        self.addCleanup(shutil.rmtree, self.work)
        for name in ("run", "home", "bin"):
            (self.work / name).mkdir(mode=0o700)
        for program in BUILD.glob("bin/*"):
            (self.work / "bin" / program.name).symlink_to(program)
        for program in BUILD.glob("examples/*/*_tests"):
            (self.work / "bin" / program.name).symlink_to(program)
        left_out = ("TROUPE_COOKIE", "NOTIFY_SOCKET", "TROUPE_ENV")
        self.environment = {key: text for key, text in os.environ.items() if key not in left_out}
        self.environment |= {"TROUPE_RUN_DIR": str(self.work / "run"), "HOME": str(self.work / "home"),
                             "PATH": f"{self.work / 'bin'}:{os.environ['PATH']}"}
        self.nodes = {}
        self.text = (SOURCE / self.page).read_text()
        found = re.findall(r"^```(?:console)?\n(.*?)^```", self.text, re.S | re.M)
        self.blocks = [block.splitlines() for block in found]

    def command(self, line):
        line = re.sub(r"(?:\.\./\.\./)?build/release/bin/", f"{BUILD}/bin/", line)
        return re.sub(r"\bbin/exercise\b", f"{BUILD}/rel/exercise/bin/exercise", line)

    def start(self, line, alone=False, **how):
        # A group of its own: the shell may keep the program as a child. alone: it becomes the program.
        line = f"exec {self.command(line)}" if alone else self.command(line)
        made = subprocess.Popen(["sh", "-c", line], text=True, cwd=SOURCE / self.folder, env=self.environment,
                                start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **how)
        self.addCleanup(self.end, made)
        return made

    def end(self, program):
        try:
            os.killpg(program.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        program.wait()
        program.stdout.close()

    def node(self, name, line, expected):
        """A node in a terminal of its own: it runs on, and must print what the page shows."""
        made = self.start(line, alone=True, stdin=subprocess.DEVNULL)
        made.seen = []
        threading.Thread(target=lambda: made.seen.extend(iter(made.stdout.readline, "")), daemon=True).start()
        self.nodes[name] = made
        made.wanted = list(expected)
        self.prints(name)
        self.until(lambda: self.run_line(f"troupe ping {name}", code=None)[0] == 0, f"{name} answers no ping")

    def prints(self, name, *more):
        made = self.nodes[name]
        made.wanted += more
        wanted = re.compile("(?:.*\n)*" + r"(?:.*\n)*".join(pattern([line]) for line in made.wanted) + "(?:.*\n)*")
        self.until(lambda: wanted.fullmatch("".join(made.seen)), lambda: f"{name} printed\n{''.join(made.seen)}")

    def until(self, condition, why):
        end = time.monotonic() + WAIT
        while not condition():
            if time.monotonic() > end:
                self.fail(why() if callable(why) else why)
            time.sleep(0.05)

    def run_line(self, line, given="", code=0, patience=WAIT):
        running = self.start(line, stdin=subprocess.PIPE)
        out, _ = running.communicate(given, timeout=patience)
        if code is not None:
            self.assertEqual(running.returncode, code, f"{line}\n{out}")
        return running.returncode, out

    def shows(self, line, out, expected):
        self.assertRegex(out, re.compile(r"\A" + pattern(expected, self.vary) + r"\Z"),
                         f"`{line}` printed\n{out}\nthe page says\n" + "\n".join(expected))

    def steps(self, block):
        """(command or shell's line, whether it is the shell's, what follows it)"""
        made = []
        for line in block:
            typed = re.match(r"(?:\$|\w+@\w+>) (.*)", line)
            if typed:
                made.append((typed[1], line[0] != "$", []))
            elif made and (line or made[-1][2]):
                made[-1][2].append(line)
        for _, _, expected in made:
            while expected and not expected[-1]:
                expected.pop()
        return made

    def type(self, block, codes=(), patience=WAIT):
        """Everything of a block that is no node's start. codes: {a word of the command: its exit code}"""
        steps = self.steps(block)
        while steps:
            line, _, expected = steps.pop(0)
            typed = []
            while steps and steps[0][1]:  # what is typed at the shell that this command opens
                typed.append(steps.pop(0))
            if typed:
                _, out = self.run_line(line, given="".join(f"{text}\n" for text, _, _ in typed))
                expected = [one for _, _, lines in typed for one in lines]
            else:
                code = next((code for word, code in dict(codes).items() if word in line), 0)
                _, out = self.run_line(line, code=code, patience=patience)
            with self.subTest(line):
                self.shows(line, out, expected)

    def shell(self, target, block):
        """A block that shows the shell alone, at a node that runs."""
        steps = self.steps(block)
        _, out = self.run_line(f"troupe remote {target}", given="".join(f"{text}\n" for text, _, _ in steps), code=None)
        self.shows(f"troupe remote {target}", out, [line for _, _, lines in steps for line in lines])


@unittest.skipUnless((BUILD / "rel/exercise").exists(), "the release of examples/exercise is not built")
class Readme(Page):
    page = "README.md"
    # The simulated user draws its numbers at random.
    vary = (
        (r"^\{stack = ", r"\{stack = .*\}"),
        (r"> <- \{", r'[\d:.]+ <.*> <- \{"(?:push|operator)", \{.*\}\}'),
        (r"calculator\.push", r"[\d:.]+ <.*> exercise\.calculator\.(?:push|operator)(?:\(.*\)|/1 --> .*)"),
        (r"os pid ", r".*os pid .*"),
        (r"^  up ", r"  up .*"),
        (r"ended: ", r".*exercise\.calculator.* ended: .*"),
        (r"^    (?:reason|memory|queue|links): ", r"    \w+: .*"),
        (r"^    monitored_by: ", r"(?:    monitored_by: .*\n)?"),  # not of a crash that nobody watched
    )

    def test_session(self):
        block = next(block for block in self.blocks if block[0].startswith("$ bin/exercise daemon"))
        self.addCleanup(self.run_line, "bin/exercise stop --timeout 20s", code=None)
        self.type(block, codes={"ping": 3}, patience=400)


class Exercise(Page):
    page = "examples/exercise/README.md"

    @unittest.skipUnless((BUILD / "rel/exercise").exists(), "the release of examples/exercise is not built")
    def test_commands(self):
        block = next(block for block in self.blocks if block[0] == "bin/exercise daemon")
        self.addCleanup(self.run_line, "bin/exercise stop --timeout 20s", code=None)
        for line in block:
            with self.subTest(line):
                # Those that run on until Ctrl-C or a crash are ended here; they must have begun.
                bounded = line + (" --within 1s" if " watch " in line else " --seconds 5" if " trace " in line else "")
                code, out = self.run_line(bounded, code=None)
                self.assertIn(code, (0, 4) if " watch " in line else (0,), out)


class GlobalProcess(Page):
    page = "examples/global_process/README.md"

    def test_session(self):
        one, two, asked, after = self.blocks
        for name, block in (("one", one), ("two", two)):
            (line, _, expected), = self.steps(block)
            self.node(name, line, expected)
        self.type(asked)
        self.nodes["one"].kill()
        self.prints("two", *after)


class Chat(Page):
    page = "examples/chat/README.md"
    folder = "examples/chat"

    def test_session(self):
        nodes, sent, nobody, explained, tests = self.blocks
        for line, _, expected in self.steps(nodes):
            self.node(re.search(r"--name (\w+)", line)[1], line, expected)
        self.shell("alice", sent)
        self.prints("bob", "…hey")
        self.prints("alice", "…stay quiet for a while")
        self.shell("alice", nobody)
        self.type(explained)
        # The rest of these are tests of their own: chat.distributed and chat.tags.
        self.type(tests[:3])


class Todo(Page):
    page = "examples/todo/README.md"

    def test_session(self):
        nodes, asked, typed = self.blocks
        for line, _, expected in self.steps(nodes):
            self.node(re.search(r"--name (\w+)", line)[1], line, expected)
        self.type(asked)
        self.shell("one", typed)


if __name__ == "__main__":
    unittest.main()
