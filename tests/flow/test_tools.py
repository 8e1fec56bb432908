"""The Python tools that the demo and CI rest on: quantiles of a histogram, sums, the tally."""
import json

import pytest

from deploy.local.metrics import Page, quantile
from tests import tally

PAGE = Page("""\
# HELP x_seconds help
# TYPE x_seconds histogram
x_seconds_bucket{stage="a",le="0.1"} 50
x_seconds_bucket{stage="a",le="1"} 99
x_seconds_bucket{stage="a",le="+Inf"} 100
r_total{tenant="demo",reason="label \\"le\\""} 3
r_total{tenant="b",reason="age"} 4
up 1
""")


def test_sums_over_labels():
    assert PAGE.total("r_total") == 7
    assert PAGE.total("r_total", tenant="b") == 4
    assert PAGE.by("r_total", "reason") == {'label \\"le\\"': 3, "age": 4}
    assert PAGE.total("up") == 1
    assert PAGE.total("absent") == 0


@pytest.mark.parametrize("q, expected", [(0.5, 0.1), (0.25, 0.05), (0.99, 1.0), (1.0, 1.0)])
def test_quantile_interpolates(q, expected):
    assert quantile(q, PAGE.buckets("x_seconds")) == pytest.approx(expected)


def test_quantile_of_what_came_between():
    now = PAGE.buckets("x_seconds")
    before = {0.1: 50, 1.0: 50, float("inf"): 50}
    assert quantile(0.49, now, before) == pytest.approx(0.55)
    assert quantile(0.5, now, now) is None


def meson_line(name, result, stdout=""):
    return json.dumps({"name": name, "result": result, "stdout": stdout})


@pytest.mark.parametrize("text, expected", [
    (meson_line("a", "OK", "100%: Checks: 7, Failures: 0, Errors: 0\n"), (7, 0, 0, [])),
    (meson_line("b", "FAIL", "50%: Checks: 4, Failures: 1, Errors: 1\n"), (2, 2, 0, ["b (FAIL)"])),
    (meson_line("plain", "OK"), (1, 0, 0, [])),
    (meson_line("crash", "FAIL"), (0, 1, 0, ["crash (FAIL)"])),
    (meson_line("leak", "FAIL", "100%: Checks: 3, Failures: 0, Errors: 0\n"), (2, 1, 0, ["leak (FAIL)"])),
    (meson_line("slow", "TIMEOUT"), (0, 1, 0, ["slow (TIMEOUT)"])),
    (meson_line("s", "SKIP"), (0, 0, 1, [])),
])
def test_tally_reads_meson(text, expected):
    assert tally.meson(text) == expected


def test_tally_reads_pytest():
    xml = ('<testsuites><testsuite><testcase classname="m" name="a"/><testcase classname="m" name="b">'
           '<failure/></testcase><testcase name="c"><skipped/></testcase><testcase classname="m" name="d">'
           '<error/></testcase></testsuite></testsuites>')
    assert tally.junit(xml) == (1, 2, 1, ["m::b", "m::d"])


def test_a_part_without_tests_or_report_fails(tmp_path, capsys):
    (tmp_path / "empty").write_text("")
    (tmp_path / "fine").write_text("ok a\nok b\n")
    assert tally.main([f"x:lines:{tmp_path}/fine"]) == 0
    assert tally.main([f"x:lines:{tmp_path}/fine", f"y:lines:{tmp_path}/empty", f"z:junit:{tmp_path}/none"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 2 failed"
