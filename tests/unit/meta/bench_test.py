"""What tests/bench/run makes of its figures, and what tests/bench/compare says of two runs."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = pathlib.Path(os.environ["TROUPE_SOURCE_DIR"]) / "tests" / "bench"
sys.path.insert(0, str(BENCH))
import lines  # noqa: E402
import report  # noqa: E402


def measured(row, **sides):
    """As `run` judges a line: the figures of each round by side."""
    rounds = [dict(zip(sides, values)) for values in zip(*sides.values())]
    return dict(report.judged(row, rounds), name=row.metric)


class Report(unittest.TestCase):
    def test_aims_of_otp_and_caf_are_held_apart(self):
        row = lines.row("big", "big", "pings/s", otp=3, caf=2)
        found = measured(row, troupe=[30, 33, 36], otp=[10, 11, 12], caf=[20, 22, 24])
        self.assertEqual(found["times_otp"]["median"], 3)
        self.assertEqual(found["times_caf"]["median"], 1.5)
        self.assertEqual([aim["holds"] for aim in found["aims"]], [True, False])
        self.assertEqual(found["verdict"], "falls short")
        self.assertIn("≥ 2× CAF", report.table([found]))

    def test_two_workers_are_set_beside_one_round_by_round(self):
        row = lines.row("fib", "fib", "processes/s", otp=3, two=1.6)
        one = [{"troupe": 10, "otp": 1}, {"troupe": 20, "otp": 2}, {"troupe": 10}]
        two = [{"troupe": 17, "otp": 2}, {"troupe": 34, "otp": 3}, {"troupe": 18}]
        found = report.over_first(row, 1, one, 2, two)
        self.assertEqual((found["title"], found["metric"]), ("fib, two over one", "fib_two_over_one"))
        self.assertEqual(found["sides"]["troupe"]["values"], [1.7, 1.7, 1.8])
        self.assertEqual(found["sides"]["otp"]["values"], [2, 1.5])
        self.assertIsNone(found["times_otp"])
        self.assertEqual((found["verdict"], found["aims"][0]["text"]), ("holds", "≥ 1.6"))
        slower = report.over_first(row, 1, two, 2, one)
        self.assertEqual(slower["verdict"], "falls short")
        self.assertEqual(report.over_first(row, 2, one, 4, two)["verdict"], "")  # the aim is of two and one

    def test_a_line_with_workers_keeps_what_its_program_prints(self):
        plain = next(one for one in lines.WORKS if one.name == "savina_fib")
        two = plain.with_workers(2)
        self.assertEqual((two.name, two.line, two.rows[0].metric), ("savina_fib_w2", "savina_fib", "savina_fib"))
        self.assertEqual((two.rows[0].title, plain.rows[0].title), ("fib, 2 workers", "fib"))
        self.assertFalse(any(one.has_workers() for one in lines.GROUPS["remote"]))


class Compare(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="troupe-bench-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def written(self, name, *results, scale=1):
        about = {"date": "2026-01-01", "commit": "abc", "cpu": "some", "cores": 2}
        path = self.folder / name
        path.write_text(json.dumps({"about": about, "rounds": 5, "scale": scale, "lines": results}))
        return path

    def compared(self, before, after):
        done = subprocess.run([sys.executable, "-B", BENCH / "compare", before, after], text=True, check=False,
                              capture_output=True, timeout=60)
        self.assertEqual(done.stderr if done.returncode < 2 else "", "")
        return done

    def one(self, troupe, otp):
        return measured(lines.row("big", "big", "pings/s"), troupe=troupe, otp=otp)

    def test_a_slow_hour_is_no_difference(self):
        before = self.written("a.json", self.one([30, 31, 32, 33, 34], [10] * 5))
        after = self.written("b.json", self.one([15, 15.5, 16, 16.5, 17], [5] * 5))
        done = self.compared(before, after)
        self.assertEqual(done.returncode, 0)
        self.assertIn("0 of 1 lines differ", done.stdout)
        self.assertIn("by chance it would be 0.0079.", done.stdout)  # 2 of 252 orders of five and five

    def test_what_is_worse_beyond_its_spread_is_named_and_fails(self):
        before = self.written("a.json", self.one([30, 31, 32, 33, 34], [10] * 5))
        after = self.written("b.json", self.one([25, 26, 27, 28, 29.9], [10] * 5))
        done = self.compared(before, after)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"\| big +\| × OTP \| 3.2 \(3…3.4\) +\| 2.7 \(2.5…2.99\) \| 0.844 +\| worse +\|")
        done = self.compared(after, before)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\| 1.19 +\| better \|")

    def test_ranges_that_meet_are_no_difference(self):
        before = self.written("a.json", self.one([30, 31, 32, 33, 34], [10] * 5))
        after = self.written("b.json", self.one([25, 26, 27, 28, 30], [10] * 5))
        self.assertIn("0 of 1 lines differ", self.compared(before, after).stdout)

    def test_of_a_line_without_peers_less_may_be_better(self):
        row = lines.row("size", "size of its release", "MiB", "less")
        before = self.written("a.json", measured(row, troupe=[18, 18, 18]))
        after = self.written("b.json", measured(row, troupe=[12, 12, 12]))
        self.assertRegex(self.compared(before, after).stdout, r"\| size of its release \| MiB .* better")
        self.assertEqual(self.compared(after, before).returncode, 1)

    def test_lines_of_one_run_alone_and_another_scale_are_said(self):
        row = lines.row("extra", "an extra", "msgs/s")
        before = self.written("a.json", self.one([30] * 5, [10] * 5))
        after = self.written("b.json", self.one([30] * 5, [10] * 5), measured(row, troupe=[1] * 5), scale=0.2)
        said = self.compared(before, after).stdout
        self.assertIn("Only in B: an extra", said)
        self.assertIn("another scale", said)

    def test_a_file_that_is_no_run_is_wrong_usage(self):
        before = self.written("a.json")
        wrong = self.folder / "wrong.json"
        wrong.write_text("{}")
        done = self.compared(before, wrong)
        self.assertEqual(done.returncode, 2)
        self.assertIn("wrong.json: not what `tests/bench/run --json` writes", done.stderr)
        self.assertIn("nowhere.json: No such file", self.compared(before, self.folder / "nowhere.json").stderr)


if __name__ == "__main__":
    unittest.main()
