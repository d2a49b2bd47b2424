"""PROGRAM compiles; with -DWRONG the compiler says the sentence that stands in its first line, as an error, within the
first ten lines of what it writes."""

import json
import os
import pathlib
import shlex
import subprocess
import sys

BUILD = pathlib.Path(os.environ["TROUPE_BUILD_DIR"])
LINES = 10


def compiler():
    """How a program of the tree is compiled, without what it writes."""
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        if entry["file"].endswith("examples/exercise/main.cpp"):
            words = shlex.split(entry["command"])
            words = words[next(i for i, word in enumerate(words) if "ccache" not in pathlib.Path(word).name):]
            return words[:words.index("-o")] + ["-fsyntax-only", "-fmessage-length=0"], entry["directory"]
    sys.exit("compile_commands.json does not know how a program is compiled")


def compiled(program, *more):
    words, folder = compiler()
    return subprocess.run(words + [*more, str(program)], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"})


def main(program):
    sentence = program.read_text().splitlines()[0].removeprefix("// ")
    right = compiled(program)
    if right.returncode or right.stderr:
        sys.exit(f"{program.name} does not compile without -DWRONG:\n{right.stderr}")
    wrong = compiled(program, "-DWRONG")
    errors = [line for line in wrong.stderr.splitlines()[:LINES] if " error: " in line]
    if not wrong.returncode or not errors or sentence not in errors[0]:
        sys.exit(f"the first error within {LINES} lines is not \"{sentence}\":\n{wrong.stderr}")


main(pathlib.Path(sys.argv[1]))
