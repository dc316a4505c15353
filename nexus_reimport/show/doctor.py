"""What the examination of an environment has found, area by area."""

from __future__ import annotations

from collections.abc import Iterator

from nexus_reimport import wording
from nexus_reimport.runbook.doctor import Examination, Finding, State

_WIDTH = max(len(state) for state in State)


def examination(value: Examination) -> str:
    """Each finding as a line, area by area; under what is not right, how to fix it."""
    areas = dict.fromkeys(finding.area for finding in value.findings)
    return "\n\n".join([*(_area(value, area) for area in areas), _summary(value)])


def _area(value: Examination, area: str) -> str:
    lines = [line for f in value.findings if f.area == area for line in _lines(f)]
    return "\n".join([area, *lines])


def _lines(finding: Finding) -> Iterator[str]:
    first, *more = finding.text.splitlines()
    indent = " " * (_WIDTH + 4)
    yield f"  {finding.state:<{_WIDTH}}  {first}"
    yield from (f"{indent}{line.strip()}" for line in more)
    if finding.next:
        first, *more = finding.next.splitlines()
        yield f"{indent}fix: {first}"
        yield from (f"{indent}     {line.strip()}" for line in more)


def _summary(value: Examination) -> str:
    wrong = sum(f.state is State.WRONG for f in value.findings)
    remarks = sum(f.state is State.REMARK for f in value.findings)
    noted = f"; {wording.amount(remarks, 'remark')}" if remarks else ""
    if wrong:
        problems = wording.amount(wrong, "problem")
        return f"{value.environment}: a run would stop, {problems} to fix{noted}"
    return f"{value.environment}: a run finds all that it needs{noted}"
