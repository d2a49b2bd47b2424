"""The corpora of the fuzz targets that are committed are those that tests/fuzz/make_corpus.py writes."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

FUZZ = pathlib.Path(os.environ["TROUPE_SOURCE_DIR"]) / "tests" / "fuzz"


def samples(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.glob("*/valid-*")}


class Corpora(unittest.TestCase):
    def test_each_target_has_one(self):
        for target in FUZZ.glob("*_fuzz.cpp"):
            self.assertGreater(len(list((FUZZ / "corpus" / target.stem).glob("valid-*"))), 4, target.stem)

    def test_they_are_what_the_generator_writes(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-B", str(FUZZ / "make_corpus.py"), folder]
            subprocess.run(command, check=True, capture_output=True)
            self.assertEqual(samples(pathlib.Path(folder)), samples(FUZZ / "corpus"))


if __name__ == "__main__":
    unittest.main()
