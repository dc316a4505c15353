"""Checks before: FileMaker and Nexus hold the same id of another system, such as Xero's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nexus_reimport.checks import Finding, check, one_by_one
from nexus_reimport.checks.before.subject import Before
from nexus_reimport.model import Level
from nexus_reimport.planning import external_ids
from nexus_reimport.planning.listings import EXTERNAL_IDS


def _names(before: Before) -> Iterable[str]:
    return before.mapping.external_ids


@check(Before, Level.REVIEW, serves=("K11", "F1"))
@one_by_one(_names)
def ids_of_other_systems_agree(before: Before, name: str) -> Finding:
    """Of each record, FileMaker and Nexus hold the same id of another system, such as Xero.

    Where they differ, an invoice may go to another person's account.
    """
    looked, off, kinds = 0, [], Counter[str]()
    for one in external_ids.compared(before.plan, before.intake, name):
        looked += 1
        if one.what:
            off.append(one.filemaker_id)
            kinds[one.what] += 1
    counted = ", ".join(f"{what}: {count:,}" for what, count in sorted(kinds.items()))
    note = f"{counted}; {EXTERNAL_IDS} in the private folder names them" if off else ""
    none = f"neither FileMaker nor Nexus holds an id for {name}"
    return Finding(looked, off, note=note, empty=none)
