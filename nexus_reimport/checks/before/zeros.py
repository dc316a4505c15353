"""Check before: no id came without the zeros at its beginning.

A spreadsheet program takes ids for numbers: of 00123 it saves 123. Then a patient who is in Nexus
would come a second time, or a record would belong to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nexus_reimport.checks import Finding, check
from nexus_reimport.checks.before.subject import Before
from nexus_reimport.files import columns
from nexus_reimport.model import OF_NEXUS_ALONE, Level, Outcome
from nexus_reimport.settings import Cause
from nexus_reimport.text import JOINT


@check(Before, Level.STOP, serves=("M2", "M3"))
def no_id_has_lost_its_zeros(before: Before) -> Finding:
    """No unknown id is a known one without, or with, zeros at its beginning."""
    alike = [*_new_beside_rows_of_nexus(before), *_links(before)]
    note = (
        "if a spreadsheet program has saved the table's file, export it again and open it in none;"
        " else correct the ids in FileMaker; if they are different ones, waive this check"
    )
    looked = len(before.plan.entities) + sum(len(s.links) for s in before.mapping.sources.values())
    return Finding(looked, alike, note=note if alike else "")


def _new_beside_rows_of_nexus(before: Before) -> Iterator[str]:
    """Records that would be new, beside rows whose record FileMaker does not have."""
    outcomes = OF_NEXUS_ALONE | {Outcome.NEW}
    lines = before.lines("entity", "outcome", "why", "filemaker_id", outcome=outcomes)
    for name in before.plan.entities:
        ours = columns.where(lines, entity={name})
        alone = columns.where(ours, outcome=OF_NEXUS_ALONE)
        both = zip(columns.texts(alone["why"]), columns.texts(alone["filemaker_id"]), strict=True)
        gone = [held for why, held in both if why.startswith(Cause.NOT_IN_FILEMAKER)]
        new = columns.texts(columns.where(ours, outcome={Outcome.NEW})["filemaker_id"])
        for one, other in _same_numbers(new, gone):
            yield f"{name}: {one} is new, and the record of {other} in Nexus is gone"


def _links(before: Before) -> Iterator[str]:
    """Ids in a record that are those of no other one, beside such that are."""
    for name, link, held, known in before.links():
        unknown = columns.unless_true(held, columns.among(held, known))
        for one, other in _same_numbers(columns.texts(unknown), columns.texts(known)):
            yield f"{name}.{link.field}: {one} is no id of {link.to}, and {other} is one"


def _same_numbers(unknown: Iterable[str], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each unknown id that is the same number as a known one, with that one."""
    numbers = {_number(one): one for one in unknown if one.replace(JOINT, "").isdecimal()}
    for other in known if numbers else ():
        if one := numbers.get(_number(other), ""):
            yield one, other


def _number(written: str) -> str:
    """An id without the zeros at its beginning; of several fields, at that of each."""
    return JOINT.join(part.lstrip("0") for part in written.split(JOINT))
