"""The checks of one stage: those that failed first, those that passed folded."""

from __future__ import annotations

from nexus_reimport import checks
from nexus_reimport.model import Level, Report, Result
from nexus_reimport.show.page import (
    CheckLine,
    Checks,
    Marked,
    Page,
    ShownTable,
    TextLine,
    Tone,
    table,
)

_ORDER = ("STOPS", "FAILED", "REVIEW", "noted", "waived", "passed")
_ROLLBACK = "after the rollback"
_COMMITTED = ("after", _ROLLBACK)  # the stages after COMMIT: nothing is left to stop
_TONES = {
    "STOPS": Tone.BAD,
    "FAILED": Tone.BAD,
    "REVIEW": Tone.ATTENTION,
    "noted": Tone.FAINT,
    "waived": Tone.ATTENTION,
    "passed": Tone.GOOD,
}
_AFTER = "The run is committed: nexus-reimport finish ENV prints what a person can decide."
_AFTER_ROLLBACK = (
    "The rollback is committed: restore the whole database from the dump of the run that was"
    " undone; nexus-reimport finish ENV prints the commands."
)
_TO_DO = {
    "REVIEW": "Look at it and judge. It does not stop the run.",
    "waived": "Accepted by name, in the environment's file.",
}


def report(value: Report) -> Page:
    """Every check of one stage, those that failed first."""
    fine = "No check failed." if value.stage in _COMMITTED else "No check stops the run."
    verdict = TextLine(fine, Tone.GOOD)
    if not value.passed:
        verdict = TextLine(_blocked(value), Tone.BAD)
    return Page(f"Checks {value.stage}: {counted(value)}", (verdict, checks_table(value)))


def _blocked(value: Report) -> str:
    """What the checks that block mean; after COMMIT there is nothing left to stop."""
    count = len(value.blocking)
    if value.stage in _COMMITTED:
        return f"{count:,} of them failed, and the data is committed: a person must decide."
    return f"{count:,} of them {'stops' if count == 1 else 'stop'} the run."


def word(result: Result, stage: str) -> str:
    """The result of one check of a stage, in one word."""
    if result.passed:
        return "waived" if result.offending else "passed"
    blocks = "FAILED" if stage in _COMMITTED else "STOPS"
    return {Level.STOP: blocks, Level.REVIEW: "REVIEW", Level.INFO: "noted"}[result.level]


def checks_table(value: Report) -> Checks:
    """The checks of a report: those that failed first, those that passed folded."""
    stage = value.stage
    ordered = sorted(value.results, key=lambda r: _ORDER.index(word(r, stage)))
    passed = tuple(r for r in ordered if word(r, stage) == "passed")
    return Checks(
        every=_every(ordered, stage),
        to_read=tuple(_line(r, stage) for r in ordered if r not in passed),
        passed=tuple(_line(r, stage) for r in passed),
    )


def _every(ordered: list[Result], stage: str) -> ShownTable:
    return table(
        "",
        "verdict | level | check | claim | serves | looked at | offend | waived | e.g. | note",
        [
            (
                Marked(word(r, stage), _TONES[word(r, stage)]),
                r.level,
                r.check,
                r.claim,
                " ".join(r.serves),
                r.looked_at,
                r.offending,
                r.waived or None,
                r.listed,
                r.note,
            )
            for r in ordered
        ],
    )


def _line(result: Result, stage: str) -> CheckLine:
    verdict = word(result, stage)
    return CheckLine(
        verdict=Marked(verdict, _TONES[verdict]),
        level=result.level,
        claim=result.claim,
        found=_found(result),
        sample=result.listed,
        name=" ".join([result.check, *result.serves]),
        to_do=_to_do(result, stage),
    )


def _found(result: Result) -> str:
    """What a check found, in one line: how many of how many, and its note."""
    is_counted = result.offending or not result.looked_at
    count = result.found if is_counted else f"{result.looked_at:,} looked at"
    return f"{count}; {result.note}" if result.note else count


def _to_do(result: Result, stage: str) -> str:
    """What a person does about it; "" where nothing is to be done."""
    verdict = word(result, stage)
    if verdict == "FAILED":
        return _AFTER_ROLLBACK if stage == _ROLLBACK else _AFTER
    if verdict == "STOPS" and not result.looked_at:
        return "Find out why there was nothing to look at: nothing is proven."
    if verdict == "STOPS":
        waive = "; or waive it by name in the environment's file"
        return f"Fix it, then run 01_preflight again{waive * _is_waivable(result)}."
    return _TO_DO.get(verdict, "")


def _is_waivable(result: Result) -> bool:
    return any(c.waivable for c in checks.REGISTRY if c.name == result.check)


def counted(value: Report) -> str:
    """How many checks stop the run or failed, need a review, are noted, waived, or passed."""
    words = [word(r, value.stage) for r in value.results]
    return ", ".join(f"{words.count(w):,} {w}" for w in _ORDER if w in words) or "none was run"
