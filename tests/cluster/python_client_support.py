"""What the tests of examples/python_client share: a run directory and a home of their own, and programs in them."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

SOURCE, BUILD = Path(os.environ["TROUPE_SOURCE_DIR"]), Path(os.environ["TROUPE_BUILD_DIR"])
EXAMPLE = SOURCE / "examples" / "python_client"
TOOL, SAMPLE, EXERCISE = BUILD / "bin" / "troupe", BUILD / "bin" / "sample_node", BUILD / "examples/exercise/exercise"
COOKIE = "only-for-this-test-0123456789"
WAIT = 60.0  # for what takes milliseconds: only a fault reaches it

sys.path.insert(0, str(EXAMPLE))
try:
    from troupe_client import Failure
except ImportError as missing:
    print(f"{missing}: {sys.executable} needs Debian's python3-zmq and python3-msgpack (tools/dev/packages --dev)")
    sys.exit(77)


def eventually(condition):
    end = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("not in time")
        time.sleep(0.01)


class Cluster(unittest.TestCase):
    """A run directory and a home of its own, and everything started there ended with the test."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tpy."))
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("run", "home", "bin"):
            (self.folder / name).mkdir(mode=0o700)
        (self.folder / "bin" / "python3").symlink_to(sys.executable)
        change = {"TROUPE_RUN_DIR": str(self.folder / "run"), "HOME": str(self.folder / "home"),
                  "TROUPE_COOKIE": COOKIE, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                  "PYTHONPATH": str(EXAMPLE), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        patch = mock.patch.dict(os.environ, change)
        patch.start()
        self.addCleanup(patch.stop)
        os.environ.pop("NOTIFY_SOCKET", None)

    def start(self, *words, until=None, **options):
        """A program, killed with the test. until: returns when it has written a line with that."""
        made = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=options.pop("stderr", subprocess.STDOUT), text=True, cwd=self.folder, **options)
        self.addCleanup(self.end, made)
        alarm = threading.Timer(WAIT, made.kill)
        self.addCleanup(alarm.cancel)
        alarm.start()
        if until:
            self.read_until(made, until)
        return made

    def end(self, program):
        program.kill()
        program.communicate()

    def read_until(self, program, text):
        seen = []
        for line in program.stdout:
            seen.append(line)
            if text in line:
                return line
        raise AssertionError(f"{program.args} ended or took too long without “{text}”:\n{''.join(seen)}")

    def run_tool(self, *words, given="", code=0):
        done = subprocess.run([str(TOOL), *words], input=given, capture_output=True, text=True, timeout=WAIT)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        return done.stdout

    def lua(self, *lines, code=0):
        """What the node prints for each line, evaluated there by its shell."""
        done = subprocess.run([str(TOOL), "remote", "sample"], input="\n".join(lines) + "\n", capture_output=True,
                              text=True, timeout=WAIT)
        self.assertEqual(done.returncode, code, (done.stdout, done.stderr))
        return (done.stdout + done.stderr).splitlines()

    def type(self, shell, lines):
        print(lines, file=shell.stdin, flush=True)

    def assert_fails(self, expected, function, *arguments, **options):
        with self.assertRaises(Failure) as caught:
            function(*arguments, **options)
        self.assertEqual(caught.exception.name, expected, caught.exception)
        return caught.exception
