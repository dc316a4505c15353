"""What the benchmarks compute from what they have measured."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks import growth, guard, ratios, report, scripts
from benchmarks.meter import Cost, cpu_of, medians


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


def _costs(**worse: float) -> list[Cost]:
    """What the guard measures; ``worse``: a value -> what it is, or how much more."""

    def cost(name: str, scale: float, **facts: float) -> Cost:
        return Cost(name, scale, cpu=scale, rows=1000, facts=facts)

    costs = []
    for scale in (guard.SMALL, guard.LARGE):
        more = worse.get("statements", 0) * (scale == guard.LARGE)
        asked = {"statements": 50 + more, "pages": 10 * worse.get("pages", 1), "of database": 1}
        costs += [cost(name, scale, **asked) for name in guard.READS]
        costs += [cost(name, scale, calls=worse.get("calls", 1)) for name in guard.CALLS]
        under = {**asked, "pages": 30 * worse.get("locked", 1), "log": 60 * worse.get("log", 1)}
        under["hashing"] = worse.get("hashing", 1)
        costs.append(cost(guard.COUNTED, scale, **under))
    dry_run = Cost(guard.DRY_RUN, guard.LARGE, wait_cpu=worse.get("cpu", 0.5))
    script = Cost(scripts.A, guard.LARGE, wait_cpu=1, facts={"pages": 100, "log": 100})
    read = Cost(guard.READ, guard.LARGE, cpu=worse.get("reading", 3), facts={guard.LOOPS: 1})
    plans = {"1": 1.0, "4": 2.5, "16": 2.5 + 6 * worse.get("growth", 1)}
    return [*costs, dry_run, script, read, Cost(guard.NOTES, guard.LARGE, facts=plans)]


def test_the_guard_lets_pass_what_is_as_it_was() -> None:
    assert guard.exceeded(guard.values(_costs())) == []


@pytest.mark.parametrize(
    ("worse", "what"),
    [
        ({"cpu": 2}, guard.WAIT),
        ({"reading": 5}, guard.READING),
        ({"statements": 1000}, guard.STATEMENTS),
        ({"statements": 1000}, guard.MORE[guard.COUNTED]),
        ({"statements": 1000}, guard.MORE["survey and backup"]),
        ({"statements": 1000}, guard.MORE["rehearsal"]),
        ({"hashing": 5}, guard.HASHING),
        ({"locked": 2}, guard.PAGES),
        ({"growth": 2}, guard.GROWTH),
        ({"log": 2}, guard.LOG),
        ({"pages": 100}, guard.READS["survey and backup"]),
        ({"pages": 100}, guard.READS["rehearsal"]),
        ({"calls": 2e6}, guard.CALLS[guard.CALLED["plan"]]),
        ({"calls": 2e6}, guard.CALLS[guard.CALLED["checks"]]),
    ],
)
def test_the_guard_names_what_is_beyond_its_bound(
    worse: dict[str, float], what: guard.Bound
) -> None:
    lines = guard.exceeded(guard.values(_costs(**worse)))
    assert sum(line.startswith(f"{what.what}: ") for line in lines) == 1


def test_a_bound_is_near_to_what_was_measured() -> None:
    """Twice as much let real mistakes pass, such as all rows being hashed under the locks."""
    counted = [guard.STATEMENTS, guard.PAGES, guard.LOG, *guard.READS.values()]
    for bound in (*counted, *guard.CALLS.values()):
        assert bound.measured < bound.most <= 1.3 * bound.measured


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


def test_no_processor_time_is_lost_or_counted_twice_when_a_process_ends() -> None:
    """It was: an execution had a third of a second less than its own transaction."""
    busy = "import subprocess, sys\nfor _ in range(30): subprocess.run(['sh', '-c', sys.argv[1]])"
    work = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"
    with subprocess.Popen([sys.executable, "-c", busy, work]) as process:
        seen = []
        while process.poll() is None:
            seen.append(cpu_of(process.pid))
    steps = [later - earlier for earlier, later in pairwise(seen[:-1])]
    assert len(steps) > 50
    assert min(steps) > -0.015, "a process that ended, and was in neither sum"
