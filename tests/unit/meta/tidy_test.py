"""tools/dev/tidy reports each kind of violation, where it stands, and nothing in code that is right."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

TIDY = os.path.join(os.environ["TROUPE_SOURCE_DIR"], "tools", "dev", "tidy")
# Taken apart, so that this file itself is clean.
WORD = "TO" + "DO"
MACHINE = "/wo" + "rk/main"


def load():
    loader = importlib.machinery.SourceFileLoader("tidy", TIDY)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
    loader.exec_module(module)
    return module


MODULE = load()


def tidy(files):
    """{path: text} -> (exit code, set of "path:line: [rule]")."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as stream:
                stream.write(textwrap.dedent(text))
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(io.StringIO()):
            code = MODULE.run(root, [])
    return code, {line.split("]")[0] + "]" for line in shown.getvalue().splitlines()}


class Tidy(unittest.TestCase):
    def found(self, path, text, *expected, beside=None):
        code, lines = tidy({path: text, **(beside or {})})
        self.assertEqual(lines, {f"{path}:{one}" for one in expected})
        self.assertEqual(code, 1 if expected else 0)

    def test_references_lead_somewhere(self):
        page = {"bus/DESIGN.md": "# Design\n\n## Trust, and more\n[here](#trust-and-more) [up](../README.md)\n",
                "README.md": "[design](bus/DESIGN.md#trust-and-more)\n```cpp\nf([](int) {});\n```\n"}
        self.found("bus/src/a.cpp", "// See bus/DESIGN.md, Trust, and DESIGN.md.\n", beside=page)
        self.found("bus/src/a.cpp", "// See bus/OTHER.md.\n", "1: [reference]", beside=page)
        self.found("bus/src/a.cpp", "// See bus/DESIGN.md, Faith.\n", "1: [reference]", beside=page)
        self.found("bus/src/a.cpp", "int x;  // (design D" + "5)\n// pitfalls" + " 3\n", "1: [reference]",
                   "2: [reference]", beside=page)
        self.found("bus/README.md", "[a](nowhere.md) [b](DESIGN.md#nothing) [c](DESIGN.md#design)\n[d](#none)\n",
                   "1: [reference]", "2: [reference]", beside=page)

    def body(self, statements, *expected):
        text = "troupe::task<> run(troupe::process& self) {\n" + textwrap.dedent(statements).strip() + "\n}\n"
        self.found("node/src/otp/body.cpp", text, *expected)

    def test_the_exit_codes_of_the_program(self):
        with tempfile.TemporaryDirectory() as root:
            for text, arguments, code in (("text\n", [], 0), (WORD + "\n", [], 1), ("", ["--nonsense"], 2)):
                with open(os.path.join(root, "README.md"), "w", encoding="utf-8") as stream:
                    stream.write(text)
                done = subprocess.run([sys.executable, "-B", TIDY, "--root", root, *arguments], capture_output=True,
                                      check=False)
                self.assertEqual(done.returncode, code)

    # -- layers
    def test_upward_include_of_a_private_header(self):
        self.found("node/src/runtime/a.cpp", '#include "otp/tree.hpp"\n', "1: [layer]",
                   beside={"node/src/otp/tree.hpp": "#pragma once\n"})

    def test_downward_include_is_right(self):
        self.found("node/src/otp/a.cpp", '#include "runtime/mailbox.hpp"\n',
                   beside={"node/src/runtime/mailbox.hpp": "#pragma once\n"})

    def test_upward_include_of_a_public_header(self):
        self.found("node/src/runtime/a.cpp", "#include <vector>\n#include <troupe/supervisor.hpp>\n", "2: [layer]",
                   beside={"node/include/troupe/supervisor.hpp": "#pragma once\n"})

    def test_values_know_no_transport(self):
        self.found("bus/src/value.cpp", "#include <troupe/bus/endpoint.hpp>\n", "1: [layer]",
                   beside={"bus/include/troupe/bus/endpoint.hpp": "#pragma once\n"})

    def test_only_dist_and_boot_see_the_transport(self):
        header = {"bus/include/troupe/bus/endpoint.hpp": "#pragma once\n"}
        self.found("node/src/otp/a.cpp", "#include <troupe/bus/endpoint.hpp>\n", "1: [layer]", beside=header)
        self.found("node/src/dist/a.cpp", "#include <troupe/bus/endpoint.hpp>\n", beside=header)

    def test_a_public_header_without_a_layer(self):
        self.found("node/include/troupe/surprise.hpp", "#pragma once\n", "1: [layer]")

    def test_an_example_uses_public_headers_alone(self):
        self.found("examples/chat/a.cpp", '#include "otp/tree.hpp"\n', "1: [include]",
                   beside={"node/src/otp/tree.hpp": "#pragma once\n"})

    def test_a_public_header_that_nobody_has(self):
        self.found("node/src/dist/a.cpp", "#include <troupe/nowhere.hpp>\n", "1: [include]")

    def test_a_public_header_in_quotes(self):
        self.found("bus/src/a.cpp", '#include "troupe/value.hpp"\n', "1: [include]",
                   beside={"bus/include/troupe/value.hpp": "#pragma once\n"})

    def test_a_public_header_owned_twice(self):
        code, lines = tidy({"bus/include/troupe/value.hpp": "", "release/include/troupe/value.hpp": ""})
        self.assertEqual((code, lines), (1, {"release/include/troupe/value.hpp:1: [owned-twice]"}))

    def test_third_party_headers_outside_their_place(self):
        for header in ("zmq.hpp", "zmq.h", "msgpack.hpp", "msgpack/pack.hpp", "sodium.h", "lua.hpp", "lua.h",
                       "spdlog/spdlog.h", "fmt/format.h", "toml++/toml.h", "CLI/CLI.hpp", "nlohmann/json.hpp",
                       "histedit.h", "editline/readline.h", "ncurses.h", "curses.h", "gtest/gtest.h"):
            with self.subTest(header):
                self.found("node/src/runtime/a.cpp", f"#include <{header}>\n", "1: [third-party]")

    def test_libzmq_is_included_by_its_wrapper_alone(self):
        for header in ("zmq.hpp", "zmq.h"):
            self.found("bus/src/zmq/a.cpp", f"#include <{header}>\n", "1: [third-party]")

    def test_third_party_headers_at_home(self):
        code, lines = tidy({"bus/src/zmq/socket.hpp": "#pragma once\n#include <zmq.hpp>\n",
                            "bus/src/crypto/a.cpp": "#include <sodium.h>\n",
                            "bus/src/msgpack/a.cpp": "#include <msgpack/parse.hpp>\n",
                            "node/src/script/a.cpp": "#include <lua.hpp>\n",
                            "node/src/observe/a.cpp": "#include <spdlog/spdlog.h>\n#include <nlohmann/json.hpp>\n",
                            "node/src/boot/a.cpp": "#include <CLI/CLI.hpp>\n#include <toml++/toml.h>\n",
                            "tools/a.cpp": "#include <histedit.h>\n#include <ncurses.h>\n",
                            "examples/chat/chat_test.cpp": "#include <gtest/gtest.h>\n",
                            "tests/unit/bus/a_test.cpp": "#include <gtest/gtest.h>\n"})
        self.assertEqual((code, lines), (0, set()))

    # -- text
    def test_a_long_file_needs_a_reason(self):
        self.found("bus/src/a.cpp", "int a;\n" * 601, "600: [size]")
        self.found("bus/src/a.cpp", "// Longer than 600 lines: one table.\n" + "int a;\n" * 601)

    def test_a_long_line(self):
        self.found("bus/src/a.cpp", "\n" + "x" * 121 + "\n", "2: [columns]")
        long = "x " * 65
        self.found("bus/README.md", f"\n{long}\n```\n{long}\n```\n| {long} |\n# {long}\n", "2: [columns]")
        self.found("bus/README.md", "[a](../bus/README.md) " * 10 + "\n")
        self.found("bus/src/a.cpp", "// " + "\u00e9" * 117 + "\n")

    def test_words_that_put_work_off(self):
        self.found("bus/README.md", f"text\n{WORD}: more\n", "2: [word]")

    def test_paths_of_a_machine(self):
        self.found("cmake/a.cmake", f"set(x {MACHINE})\n", "1: [machine]")
        self.found("README.md", "see .." + "/shared/design.md\n", "1: [machine]")

    def test_a_finding_is_allowed_with_a_reason(self):
        self.found("README.md", f"<!-- tidy: allow word, because it quotes one -->\n{WORD}\n")
        self.found("README.md", f"<!-- tidy: allow columns, because -->\n{WORD}\n", "2: [word]")

    # -- coroutines
    def test_a_lambda_that_owns_inside_an_await(self):
        self.body("co_await call(self, [name] { return name; });", "2: [await-lambda]")
        self.body("auto x = co_await f(\n    [=](int n) mutable -> int { return n; });", "3: [await-lambda]")
        self.body("if (co_await f([p = std::move(q)] {})) g();", "2: [await-lambda]")
        self.body("co_return (co_await f([x]() { return x; })).value();", "2: [await-lambda]")

    def test_lambdas_that_are_right(self):
        self.body("co_await call(self, [&name] { return name; });")
        self.body("co_await call(self, [&, this] { return name; });")
        self.body("co_await call(self, [] { return 1; });")
        self.body("auto f = [name] { return name; };\nco_await call(self, f);")
        self.body("spawn(self, [name](troupe::process& self) -> troupe::task<> { co_await self.receive(); });")
        self.body("array[index] = co_await f();\nx = table[key](co_await f());")

    def test_a_braced_list_inside_an_await(self):
        self.body("co_await f({1, 2});", "2: [await-list]")
        self.body("co_await f(std::vector<int>{1, 2});", "2: [await-list]")
        self.body("co_await f(x,\n  std::map<std::string, int>{{a, b}});", "3: [await-list]")

    def test_braces_that_are_right(self):
        self.body("co_await f(Push{5});\nco_await g(std::string{\"a\"});\nco_await h(std::vector<int>{});")
        self.body("std::vector<int> list{1, 2};\nco_await f(list);\nfor (int n : {1, 2}) co_await f(n);")
        self.body("while (true) {\n  if (x) { co_await f(); }\n  else { g({1, 2}); }\n}")
        self.body("for (;;) {\n  g({1, 2});\n  auto m = co_await self.receive(1s);\n  g({1, 2});\n}")

    def test_an_empty_body_after_an_awaiting_condition(self):
        self.body("while (co_await f(std::string(\"a\")))\n  ;", "2: [await-empty-body]")
        self.body("while (co_await f()) {\n}", "2: [await-empty-body]")
        self.body("if (x) g();\nelse if (co_await f()) {}", "3: [await-empty-body]")
        self.body("while (co_await f()) g();\nwhile (true) {\n  co_await f();\n}\nwhile (g()) {}")

    def test_a_structured_binding_on_an_await(self):
        self.body("auto [a, b] = co_await f();", "2: [await-binding]")
        self.body("const auto& [a, b] = (co_await f()).value();", "2: [await-binding]")
        self.body("auto pair = co_await f();\nauto& [a, b] = pair;")

    def test_reference_parameters_of_a_coroutine(self):
        path = "node/src/otp/a.cpp"
        self.found(path, "task<int> f(const std::string& a) { co_return 1; }\n", "1: [coroutine-reference]")
        self.found(path, "troupe::task<> f(troupe::process& self, int&& b) {\n  co_await g();\n}\n",
                   "1: [coroutine-reference]")
        self.found(path, "auto f = [](process& self, std::string& s) -> task<> { co_await g(s); };\n",
                   "1: [coroutine-reference]")
        self.found(path, "task<int> f(troupe::process& self, std::function<void(int&)> a) { co_return 1; }\n")
        self.found(path, "task<int> f(const std::string& a) { return g(a); }\ntask<> h(const int& a);\n// co_await\n")
        self.found(path, "task<std::map<int, int>> Type::f(process& self, std::string a) const { co_return 1; }\n")

    def test_a_capturing_lambda_coroutine_called_in_place(self):
        self.body("auto t = [x](troupe::process& self) -> troupe::task<> { co_return; }(self);\nco_await std::move(t);",
                  "2: [coroutine-lambda]")
        self.body("auto n = [x] { return x; }();\nco_await f();")

    def test_comments_and_texts_are_not_code(self):
        self.body("// co_await f({1, 2});\nlog(\"co_await f({1, 2})\");\n/* while (co_await x) {} */\n"
                  "const char* raw = R\"(co_await f({1}))\";\nco_return;")


if __name__ == "__main__":
    unittest.main()
