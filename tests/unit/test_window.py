"""The window of an environment: when it is open, by the clinic's clock, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import settings
from nexus_reimport.errors import SettingsError
from nexus_reimport.model import Ground, Rehearsal, Report
from nexus_reimport.settings import Settings
from nexus_reimport.stages import approval

SYDNEY = ZoneInfo("Australia/Sydney")


def with_window(files: Path, opens: str, closes: str) -> Settings:
    path = files / "sandbox-dev.toml"
    path.write_text(f"{path.read_text()}\n[window]\nfrom = {opens}\nto = {closes}\n")
    return settings.load("sandbox-dev", files)


def is_open(found: Settings, at: str) -> bool:
    assert found.window is not None
    return found.window.is_open(datetime.fromisoformat(at), found.zone)


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ("2026-03-01T22:00:00", "2026-03-02T02:00:00"),
        ("2026-03-01T22:00:00+11:00", "2026-03-01T15:00:00Z"),
        ('"2026-03-01 22:00"', '"2026-03-02 02:00"'),
    ],
)
def test_a_span_is_open_from_its_first_moment_to_before_its_last(
    environment_files: Path, opens: str, closes: str
) -> None:
    found = with_window(environment_files, opens, closes)
    assert not is_open(found, "2026-03-01T21:59:59+11:00")
    assert is_open(found, "2026-03-01T22:00:00+11:00")
    assert is_open(found, "2026-03-01T14:59:59+00:00")
    assert not is_open(found, "2026-03-02T02:00:00+11:00")
    assert found.window is not None
    spelled = found.window.spelled(found.zone)
    assert spelled == "2026-03-01 22:00 to 2026-03-02 02:00 (Australia/Sydney)"


@pytest.mark.parametrize(
    ("opens", "closes", "inside", "outside"),
    [
        ("22:00:00", "02:00:00", ("22:00", "23:59", "00:00", "01:59"), ("21:59", "02:00", "12:00")),
        ('"09:30"', '"17:00"', ("09:30", "16:59"), ("09:29", "17:00", "00:00")),
    ],
)
def test_hours_of_each_day_go_over_midnight(
    environment_files: Path,
    opens: str,
    closes: str,
    inside: tuple[str, ...],
    outside: tuple[str, ...],
) -> None:
    found = with_window(environment_files, opens, closes)
    for clock, expected in [*((c, True) for c in inside), *((c, False) for c in outside)]:
        assert is_open(found, f"2026-07-15T{clock}+10:00") is expected, clock


def test_the_hour_that_the_clock_shows_twice_belongs_to_the_window(environment_files: Path) -> None:
    # In Sydney 02:00 to 03:00 comes twice on the morning of 2026-04-05.
    found = with_window(environment_files, "2026-04-05T02:30:00", "2026-04-05T02:45:00")
    assert is_open(found, "2026-04-05T02:30:00+11:00")
    assert is_open(found, "2026-04-05T02:44:59+10:00")
    assert not is_open(found, "2026-04-05T02:45:00+10:00")


@pytest.mark.parametrize(
    ("opens", "closes", "at", "expected"),
    [
        (
            "2026-03-01T22:00:00",
            "2026-03-02T02:00:00",
            "2026-03-01T23:00+11:00",
            "2026-03-02T02:00+11:00",
        ),
        ("22:00:00", "02:00:00", "2026-07-15T23:00+10:00", "2026-07-16T02:00+10:00"),
        ("22:00:00", "02:00:00", "2026-07-15T01:00+10:00", "2026-07-15T02:00+10:00"),
        ("09:00:00", "17:00:00", "2026-07-15T09:00+10:00", "2026-07-15T17:00+10:00"),
        ("22:00:00", "04:00:00", "2026-10-03T23:00+10:00", "2026-10-04T04:00+11:00"),
    ],
)
def test_an_open_window_knows_when_it_closes(
    environment_files: Path, opens: str, closes: str, at: str, expected: str
) -> None:
    found = with_window(environment_files, opens, closes)
    assert found.window is not None
    closing = found.window.closing(datetime.fromisoformat(at), found.zone)
    assert closing == datetime.fromisoformat(expected)


@pytest.mark.parametrize("minutes", [1, 10])
def test_a_window_that_closes_before_the_run_can_end_is_as_good_as_closed(
    environment_files: Path, minutes: int
) -> None:
    now = datetime.now(UTC)
    opens, closes = now - timedelta(hours=1), now + timedelta(minutes=minutes)
    found = with_window(environment_files, opens.isoformat(), closes.isoformat())
    times = {"restore": 900.0, "apply": 100.0, "verify": 50.0}  # seconds
    on_a_copy = Rehearsal(Ground.COPY, {}, 0.0, 1050.0, Report("inside", ()), times=times)
    refusals = approval.refusals(approval.window(found, on_a_copy))
    if minutes == 10:
        assert refusals == ()
        return
    (refusal,) = refusals
    assert "took 150 s in the rehearsal" in refusal.what
    assert "approve it earlier" in refusal.next
    inside = replace(on_a_copy, ground=Ground.INSIDE, times={}, seconds=61.0)
    assert approval.refusals(approval.window(found, inside))
    assert not approval.refusals(approval.window(found, replace(inside, seconds=30.0)))


@pytest.mark.parametrize("end", ["from", "to"])
def test_a_time_that_the_clocks_skip_in_spring_is_named(environment_files: Path, end: str) -> None:
    # In Sydney 02:00 to 03:00 does not come on the morning of 2026-10-04.
    skipped = {"from": "2026-10-04T01:00:00", "to": "2026-10-04T04:00:00"}
    skipped[end] = "2026-10-04T02:30:00"
    with pytest.raises(SettingsError, match=r"2026-10-04 02:30 does not exist in Australia/Sydney"):
        with_window(environment_files, skipped["from"], skipped["to"])


@pytest.mark.parametrize(
    ("opens", "closes", "why"),
    [
        ("2026-03-02T22:00:00", "2026-03-02T02:00:00", "window: `to` is not later than `from`"),
        ("2026-03-01T22:00:00", "02:00:00", "from and to must both be days with a time, or both"),
        ("22:00:00", "22:00:00", "from and to are the same: the window would never be open"),
        ("2026-03-01", "2026-03-02", "window.from: write a day with its time"),
        ("2200", "0200", "is not valid TOML"),
        ("22", "2", "window.from: write a day with its time"),
        ('"soon"', '"later"', "window.to: write a day with its time"),
        ('"22:00+01:00"', '"23:00+01:00"', "window.from: write a day with its time"),
        ("true", "false", "window.from: write a day with its time"),
    ],
)
def test_what_is_no_window_is_refused_when_the_file_is_read(
    environment_files: Path, opens: str, closes: str, why: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        with_window(environment_files, opens, closes)
    assert why in str(refused.value)


def test_both_ends_are_needed(environment_files: Path) -> None:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(f"{path.read_text()}\n[window]\nfrom = 22:00:00\n")
    with pytest.raises(SettingsError, match=r"window.to: is missing"):
        settings.load("sandbox-dev", environment_files)
