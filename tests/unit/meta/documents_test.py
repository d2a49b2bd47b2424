"""The C++ of node/README.md and node/OTP.md compiles as it stands there. (The program of README.md is built and run by
tests/consumer.) What the shell's `help` lists is in node/SHELL.md and in the one table of OTP's names.

Each block becomes a namespace: its structs and functions as they are, its statements in a function. What a page takes
for granted, the messages of an example, is in PRELUDE.
"""

import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["TROUPE_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["TROUPE_BUILD_DIR"])
PAGES = ["node/README.md", "node/OTP.md"]

PRELUDE = """
#include <poll.h>
#include <troupe/troupe.hpp>
using namespace std::chrono_literals;
struct Add { std::string name; std::int64_t amount = 0; TROUPE_MESSAGE(Add, "add", name, amount) };
struct Total { std::int64_t total = 0; TROUPE_FIELDS(Total, total) };
struct Read { std::string name; using reply = Total; TROUPE_MESSAGE(Read, "read", name) };
struct Saved { TROUPE_FIELDS(Saved) };
struct Save { using reply = Saved; TROUPE_MESSAGE(Save, "save") };
struct Reading { double value = 0; TROUPE_MESSAGE(Reading, "reading", value) };
struct Mean { using reply = double; TROUPE_MESSAGE(Mean, "mean") };
struct Store { using messages = troupe::handles<Save>; Saved on(const Save&); };
troupe::task<> resizer(troupe::process& self);
troupe::supervisor inner_tree();
int fail(const std::string& why);
struct Image { std::string bits; TROUPE_MESSAGE(Image, "image", bits) };
struct Hit { bool hit = false; TROUPE_FIELDS(Hit, hit) };
struct Look { std::string path; using reply = Hit; TROUPE_MESSAGE(Look, "look", path) };
struct Cache { using messages = troupe::handles<Look>; Hit on(const Look&); };
double brightness(const Image& picture);
std::int64_t size_of(const std::string& path);
inline Image picture;
inline std::string path;
inline std::vector<std::string> paths;
"""

DECLARATION = re.compile(r"(struct|class|enum|using|template)\b|[\w:<>]+ \w+\(.*\) \{$")


def blocks(page):
    """(line, text) of each block of C++."""
    lines = (SOURCE / page).read_text().splitlines()
    begin = None
    for number, line in enumerate(lines, 1):
        if line.startswith("```cpp"):
            begin = number + 1
        elif line.startswith("```") and begin:
            yield begin, lines[begin - 1:number - 1]
            begin = None


def wrapped(page, first, lines):
    """A block as a namespace; the compiler's complaints name the page and its line."""
    declarations, statements, names, opened = [], [], set(), 0
    inside = False
    for number, line in enumerate(lines, first):
        here = [f'#line {number} "{page}"', line]
        if not inside and line and not line[0].isspace():
            inside = bool(DECLARATION.match(line)) and not line.rstrip().endswith("};")
            if inside or DECLARATION.match(line):
                declarations += here
                continue
        if inside:
            declarations += here
            inside = not re.match(r"\};?$", line)
            continue
        for name in re.findall(r"^auto (\w+) =", line):
            if name in names:  # another way to the same thing
                statements.append("{")
                opened += 1
            names.add(name)
        statements += here
    body = "\n".join(statements) + "\n" + "}" * opened
    if "co_await" in body:
        function = f"troupe::task<> statements(troupe::process& self, troupe::node* node) {{\n{body}\n}}"
    else:
        function = f"int statements(troupe::process& self) {{\n{body}\nreturn 0; }}"
    return f"namespace block_{first} {{\n" + "\n".join(declarations) + "\n" + function + "\n}\n"


def compiler():
    """How a program of the tree is compiled, without what it writes and without -Werror."""
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        if entry["file"].endswith("examples/exercise/main.cpp"):
            words = shlex.split(entry["command"])
            words = words[next(i for i, word in enumerate(words) if "ccache" not in pathlib.Path(word).name):]
            return words[:words.index("-o")] + ["-w", "-fsyntax-only"], entry["directory"]
    raise AssertionError("compile_commands.json does not know how a program is compiled")


def compile_text(text):
    words, folder = compiler()
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as file:
        file.write(text)
        file.flush()
        return subprocess.run(words + [file.name], cwd=folder, capture_output=True, text=True)


# Of the shell, or of Lua: not OTP's.
WITHOUT_A_NAME_IN_OTP = {"pid", "ref", "bytes", "map"}


def functions_of_help():
    listed = re.findall(r'^    \{"([\w.]+)[({]', (SOURCE / "node/src/script/help.cpp").read_text(), re.M)
    return list(dict.fromkeys(listed))


def untold(names, page, known=()):
    """Those whose name does not stand in the text as code: `name`, `name(…)`."""
    return [name for name in names if name not in known and not re.search(rf"`{re.escape(name)}[`({{]", page)]


class Documents(unittest.TestCase):
    def test_every_function_of_the_shell_is_told_of(self):
        names = functions_of_help()
        self.assertGreater(len(names), 100)
        shell = (SOURCE / "node/SHELL.md").read_text()
        self.assertEqual(untold(names, shell), [])
        self.assertEqual(untold(["no.such"], shell), ["no.such"])

    def test_the_table_of_names_is_one_and_whole(self):
        page = (SOURCE / "node/README.md").read_text()
        table = page[page.index("## OTP's names"):].split("\n## ", 1)[0]
        self.assertEqual(untold(functions_of_help(), table, WITHOUT_A_NAME_IN_OTP), [])
        heads = [(file.name, line) for file in sorted((SOURCE / "node").glob("*.md"))
                 for line in file.read_text().splitlines() if re.match(r"\| (OTP|Elixir)\b.*\|", line)]
        self.assertEqual(heads, [("README.md", "| OTP, Elixir | C++ | Lua | difference |")])

    def test_their_code_compiles(self):
        text, count = PRELUDE, 0
        for number, page in enumerate(PAGES):
            text += f"namespace page_{number} {{\n"
            for first, lines in blocks(page):
                text += wrapped(page, first, lines)
                count += 1
            text += "}\n"
        self.assertGreaterEqual(count, 5)
        # One line that is wrong, as far from the others as it can be: the test would see it.
        text += "#ifdef WRONG\n" + wrapped("wrong", 1, ["auto pong = co_await self.recieve<Save>(1s);"]) + "#endif\n"
        done = compile_text(text)
        self.assertEqual(done.returncode, 0, done.stderr[-6000:])
        seen = compile_text("#define WRONG\n" + PRELUDE + text[text.index("#ifdef WRONG"):])
        self.assertIn("wrong:1", seen.stderr)


if __name__ == "__main__":
    unittest.main()
