"""What tests/bench/run makes of its figures."""

import os
import pathlib
import sys
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


if __name__ == "__main__":
    unittest.main()
