"""What the benchmarks compute from what they have measured."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks import growth, guard, ratios, report, scripts
from benchmarks.meter import Cost, medians


def test_an_exponent_is_one_where_cost_grows_with_size_and_two_where_with_its_square() -> None:
    costs = [Cost("a", 1, cpu=2), Cost("a", 10, cpu=20), Cost("b", 1, cpu=1)]
    costs += [Cost("c", 1, cpu=2), Cost("c", 10, cpu=200)]
    found = growth.exponents(costs)
    assert found == {"a": pytest.approx(1), "c": pytest.approx(2)}
    assert math.isclose(growth.exponent(1, 8, 2), 3)


def test_a_ratio_is_of_one_scale_and_is_not_there_where_its_floor_was_not_measured() -> None:
    costs = [Cost("execute", 1, wait=0.3), Cost(scripts.A, 1, wait=0.6), Cost("execute", 10)]
    assert ratios.RATIOS[0].value(costs, 1) == pytest.approx(0.5)
    assert ratios.RATIOS[0].value(costs, 10) is None


def test_of_what_was_measured_several_times_the_median_wait_counts_and_the_page_says_the_spread(
    tmp_path: Path,
) -> None:
    waits = {0.5: 7, 0.2: 9, 0.3: 9}
    costs = [Cost("plan", 1, seconds=1)]
    costs += [Cost("execute", 1, seconds=1, wait=wait, peak=peak) for wait, peak in waits.items()]
    plan, execute = medians(costs)
    assert (plan.name, plan.wait, plan.facts) == ("plan", 0, {})
    assert (execute.name, execute.wait, execute.peak) == ("execute", 0.3, 7)
    report.keep([plan, execute], tmp_path / "figures.json")
    page = report.page_of(report.kept(tmp_path / "figures.json"))
    assert "0.300 (0.200 to 0.500)" in page


def test_the_guard_names_what_is_beyond_its_bound_and_nothing_else() -> None:
    at_bound = {bound: bound.most for bound in (guard.WAIT, guard.READING)}
    assert guard.exceeded(at_bound) == []
    (line,) = guard.exceeded({**at_bound, guard.WAIT: guard.WAIT.most + 0.1})
    assert line.startswith(guard.WAIT.what)


def test_the_guard_asks_for_what_a_person_would_notice() -> None:
    names = {"plan", "survey and backup", "checks before"}
    costs = [Cost(name, scale, cpu=scale) for name in names for scale in (guard.SMALL, guard.LARGE)]
    costs += [
        Cost(guard.READ, guard.LARGE, cpu=3, facts={guard.LOOPS: 1}),
        Cost(guard.DRY_RUN, guard.LARGE, wait_cpu=9),
        Cost(scripts.A, guard.LARGE, wait_cpu=1),
    ]
    (line,) = guard.exceeded(guard.values(costs))
    assert line.startswith(guard.WAIT.what)


def test_figures_of_other_scales_stay_with_the_machine_that_they_were_measured_on(
    tmp_path: Path,
) -> None:
    results = tmp_path / "figures.json"
    report.keep([Cost("plan", 1, cpu=1), Cost("plan", 10, cpu=1)], results)
    before = report.kept(results)["machines"]["10"]
    report.keep([Cost("plan", 0.2, cpu=3), Cost("plan", 1, cpu=2)], results)
    kept = report.kept(results)
    assert [(c["scale"], c["cpu"]) for c in kept["costs"]] == [(0.2, 3), (1, 2), (10, 1)]
    assert list(kept["machines"]) == ["0.2", "1", "10"]
    assert kept["machines"]["10"] == before
    kept["machines"]["10"]["commit"] = "another"
    assert f"| commit | {before['commit']} (at 0.2, 1); another (at 10) |" in report.page_of(kept)


def test_the_page_of_performance_is_made_from_the_kept_figures() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    assert page == report.page_of(report.kept(report.RESULTS))
    assert (report.PAGE.parent / report.PICTURE).is_file()
