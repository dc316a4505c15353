"""The sign-off before production, as a page shows it."""

from __future__ import annotations

from nexus_reimport import wording
from nexus_reimport.model import LineState, SheetLine, SignOff
from nexus_reimport.show.page import (
    Cell,
    Marked,
    Page,
    ShownTable,
    TextLine,
    Tone,
    cell_text,
    folded,
    table,
)

_TONES = {
    LineState.PROVEN: Tone.GOOD,
    LineState.WAIVED: Tone.ATTENTION,
    LineState.SIGNED: Tone.GOOD,
    LineState.OPEN: Tone.BAD,
    LineState.NOT_ASKED: Tone.FAINT,
}
_HOW = "To sign a line, with your name and in your words:"
_FIRST = "A dry run tries to prove the other open lines, or says why it cannot:"


def sign_off(value: SignOff, environment: str) -> Page:
    """The seven lines: what closes each, by whom and when; and how to sign those that are open."""
    return Page(
        "Sign-off before production",
        (
            TextLine(_summary(value), Tone.BAD if value.open else Tone.PLAIN),
            _lines(value) if value.asked else folded(_lines(value), summary="The seven lines"),
            *map(TextLine, _next(value, environment)),
        ),
    )


def sheet_text(value: SignOff, environment: str, spent_by: str = "") -> str:
    """The same for a terminal: line by line, and under each what proves it or who has signed.

    ``spent_by`` names the run that relied on the signatures before these, if there is one.
    """
    texts = [_summary(value)]
    if spent_by and value.open:
        texts.append(before(spent_by))
    for line in value.lines:
        claim, state, by, what, when = (cell_text(cell) for cell in _row(line))
        texts.append(f"{claim}: {state}" + (f", {when}" if when else ""))
        texts += [f"  {text}" for text in (what, by) if text]
    if following := _next(value, environment):
        texts += ["", *following]
    return "\n".join(texts)


def _next(value: SignOff, environment: str) -> list[str]:
    """What closes the lines that are open: a signature, or a dry run."""
    signed = [line.command(environment) for line in value.open if line.for_a_person]
    run = [_FIRST, f"nexus-reimport run {environment}"] if len(value.open) > len(signed) else []
    return [*([_HOW] if signed else []), *signed, *run]


def _lines(value: SignOff) -> ShownTable:
    return table("", "line | state | by | what | when", [_row(line) for line in value.lines])


def before(run: str) -> str:
    """What became of the signatures on which a committed run has relied."""
    return f"These lines are for the next run; those of run {run} are in its record."


def counted(value: SignOff) -> str:
    """How many lines are proven, signed and open; those that are open by name."""
    if all(line.state is LineState.NOT_ASKED for line in value.lines):
        return "not asked here"
    counts = [
        f"{number:,} {state}"
        for state in LineState
        if (number := sum(line.state is state for line in value.lines))
    ]
    named = f": {', '.join(line.id for line in value.open)}" if value.open else ""
    return ", ".join(counts) + named


def _summary(value: SignOff) -> str:
    if not value.asked:
        return "Only a real production needs it; here it is for information."
    if not value.open:
        return f"No line is open: {counted(value)}."
    return (
        f"{wording.amount(len(value.open), 'line')} open:"
        " production is not executed until each is proven, accepted by a waiver, or signed."
    )


def _row(line: SheetLine) -> tuple[Cell, ...]:
    when = wording.minute(line.at) if line.at else ""
    claim = f"{line.id} {line.claim}"
    return claim, Marked(line.state, _TONES[line.state]), line.by, line.text, when
