"""Runs that nobody disturbs: to begin with, to compare with, and the one after a case."""

from __future__ import annotations

import time

from nexus_reimport import runbook
from nexus_reimport.errors import ReimportError

from .cases import Kind, Reference
from .faults import sessions
from .fixture import ENVIRONMENT, FOUND, World
from .journal import TICK, Journal, Point


def furnish(world: World) -> None:
    """Make every state that a kind begins with, by steps that nobody disturbs."""
    world.begin(FOUND)
    world.states[FOUND] = world.state()
    with world.inside():
        book = runbook.begin(ENVIRONMENT)
        _preflight(book)
        world.keep("rehearsed")
        book.approve(rehearsed=True)
        book.apply()
        world.states["reimported"] = world.state()
        world.keep("committed")
        _to_its_end(book)
        world.keep("complete")
    world.begin(FOUND)
    with world.inside():
        book = runbook.begin(ENVIRONMENT, links_only=True)
        _preflight(book)
        world.keep("rehearsed-links")
        book.approve(rehearsed=True)
        book.apply()
        world.states["relinked"] = world.state()


def step_through(world: World) -> tuple[int, str]:
    """A whole run as an engineer steps through it, in this process: exit code and message."""
    with world.inside():
        try:
            book = runbook.begin(ENVIRONMENT)
            _preflight(book)
            book.approve(rehearsed=True)
            book.apply()
            _to_its_end(book)
        except ReimportError as error:
            return error.exit_code, str(error)
    return 0, ""


def _preflight(book: runbook.Runbook) -> None:
    book.snapshot()
    book.census()
    book.survey_and_backup()
    book.plan()
    book.check_before()
    book.rehearse()
    book.activity()
    book.propose()


def _to_its_end(book: runbook.Runbook) -> None:
    book.verify()
    book.sign_off()
    book.seal()


def reference(world: World, kind: Kind) -> Reference:
    """Run a kind without any fault, and see where it comes along and what it leaves."""
    world.begin(kind.start)
    journal = Journal(world.runs / ENVIRONMENT)
    began = time.monotonic()
    command = world.start(kind.words(world))
    connected: set[Point] = set()
    reached: dict[Point, float] = {}
    while command.runs():
        for point in journal.look():
            reached.setdefault(point, time.monotonic() - began)
        if journal.last and world.postgres.open and sessions(world):
            connected.add(journal.last)
        time.sleep(TICK)
    seconds = time.monotonic() - began
    for point in journal.look():
        reached.setdefault(point, seconds)
    if (code := command.wait()) != kind.exit_code or world.state_name() != kind.leaves:
        raise AssertionError(f"undisturbed, {kind.name} ends with {code}: {command.said}")
    points = tuple(reached)
    stages = [point.stage for point in points]
    if kind.until in stages:
        points = points[: stages.index(kind.until)]
    times = tuple(reached[point] for point in points)
    return Reference(kind.name, points, times, _without_gaps(points, connected), seconds)


def _without_gaps(points: tuple[Point, ...], connected: set[Point]) -> frozenset[Point]:
    """The points at which a session is open: between two such points of a stage it stays open.

    A look takes longer than the shortest steps.
    """
    places: dict[str, list[int]] = {}
    for place, point in enumerate(points):
        if point in connected:
            places.setdefault(point.stage, []).append(place)
    spans = [range(seen[0], seen[-1] + 1) for seen in places.values()]
    return frozenset(points[place] for span in spans for place in span)
