"""An error of this package as a cell shows it, instead of a traceback."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_reimport.errors import LINES, ReimportError
from nexus_reimport.record import journal
from nexus_reimport.show.page import Page, TextLine, Tone, bundle


def failure(error: ReimportError) -> Page:
    """What happened, where, what state is left, and what to do next."""
    what, *more = error.what.splitlines() or [""]
    lines = [f"{name}: {text}" for name in LINES if (text := getattr(error, name))]
    return Page(
        error.title,
        (TextLine(what, Tone.BAD), *map(TextLine, [*more, *lines])),
    )


def displayed(error: ReimportError) -> tuple[dict[str, str], dict[str, object]]:
    """The same as an output's data and metadata; a program reads there what a journal would say."""
    facts: Mapping[str, object] = journal.failure(error)
    return bundle(failure(error), facts)
