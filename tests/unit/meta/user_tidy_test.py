"""`troupe tidy`, as a user runs it: findings, exit codes, files that are not there, and no python3."""

import os
import pathlib
import subprocess
import tempfile
import unittest

TROUPE = pathlib.Path(os.environ["TROUPE_BUILD_DIR"]) / "bin" / "troupe"

BAD = """task<> run(process& self, std::string key) {
  auto got = co_await self.receive_if([key](const message& m) { return m.tag() == key; }, 1s);
  // tidy: allow await-lambda, because this is a test
  auto more = co_await self.receive_if([key](const message& m) { return m.tag() == key; }, 1s);
}
"""
GOOD = """task<> run(process& self, std::string key) {
  auto is_it = [key](const message& m) { return m.tag() == key; };
  auto got = co_await self.receive_if(is_it, 1s);
}
"""


def tidy(*files, **environment):
    return subprocess.run([TROUPE, "tidy", *files], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})


@unittest.skipUnless(TROUPE.exists(), "the tool is not built")
class UserTidy(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.bad = os.path.join(self.folder.name, "bad.cpp")
        self.good = os.path.join(self.folder.name, "good.cpp")
        pathlib.Path(self.bad).write_text(BAD)
        pathlib.Path(self.good).write_text(GOOD)

    def tearDown(self):
        self.folder.cleanup()

    def test_findings_are_told_with_their_place(self):
        done = tidy(self.good, self.bad)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual([line.split("]")[0] for line in done.stdout.splitlines()], [f"{self.bad}:2: [await-lambda"])

    def test_what_is_right_is_silent(self):
        done = tidy(self.good)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_file_that_cannot_be_read_is_an_error_beside_the_findings(self):
        done = tidy("/nowhere/a.cpp", self.bad)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nowhere/a.cpp: No such file or directory", done.stderr)
        self.assertIn("[await-lambda]", done.stdout)

    def test_wrong_usage_and_no_python(self):
        self.assertEqual(tidy().returncode, 2)
        done = tidy(self.good, PATH=self.folder.name)
        self.assertEqual(done.returncode, 1)
        self.assertIn("needs python3", done.stderr)


if __name__ == "__main__":
    unittest.main()
