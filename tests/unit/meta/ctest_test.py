"""Every test that CTest knows has the label of its kind, a deadline, and the environment of cmake/TroupeTest.cmake.

CMake 3.25 loses all but the first of several labels, and the deadline after them, when they are written as a list; no
test fails then, so this one looks at what has really arrived.
"""

import fnmatch
import json
import os
import pathlib
import re
import subprocess
import unittest

KINDS = {"unit", "sim", "cluster", "release", "fuzz", "bench"}


def registered():
    shown = subprocess.run(["ctest", "--show-only=json-v1"], cwd=os.environ["TROUPE_BUILD_DIR"], capture_output=True,
                           text=True, check=True)
    for test in json.loads(shown.stdout)["tests"]:
        if not test["name"].endswith("_NOT_BUILT"):  # somebody built only a part
            yield test["name"], {item["name"]: item["value"] for item in test.get("properties", [])}


class Registered(unittest.TestCase):
    def test_every_test_has_a_kind_a_deadline_and_the_environment(self):
        tests = list(registered())
        self.assertGreater(len(tests), 10)
        for name, properties in tests:
            with self.subTest(name):
                self.assertEqual(len(KINDS & set(properties.get("LABELS", []))), 1, properties)
                self.assertGreater(properties.get("TIMEOUT", 0), 0)
                self.assertLessEqual(properties["TIMEOUT"], 3600)
                names = {variable.split("=")[0] for variable in properties.get("ENVIRONMENT", [])}
                self.assertLessEqual({"TROUPE_SOURCE_DIR", "TROUPE_BUILD_DIR", "TSAN_OPTIONS"}, names)

    def test_several_labels_arrive(self):
        labels = dict(registered()).get("test_support.Paths.BuildAndSourceExist", {}).get("LABELS", ["support", "unit"])
        self.assertEqual(set(labels), {"support", "unit"})

    def test_the_tests_that_the_contributors_page_names_exist(self):
        page = (pathlib.Path(os.environ["TROUPE_SOURCE_DIR"]) / "CONTRIBUTING.md").read_text()
        named = [(word, "*") for word in re.findall(r"-R (\S+)", page)]
        named += re.findall(r"/tests/(\w+) --gtest_filter='?([\w.*]+)", page)
        self.assertGreaterEqual(len(named), 3)
        names = [name for name, _ in registered()]
        programs = {name.split(".")[0] for name in names}
        for program, pattern in named:
            if program.split(".")[0] in programs:  # else somebody built only a part
                wanted = f"{program}.{pattern}"
                self.assertTrue(fnmatch.filter(names, wanted), wanted)

    def test_names_are_unique(self):
        names = [name for name, _ in registered()]
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    unittest.main()
