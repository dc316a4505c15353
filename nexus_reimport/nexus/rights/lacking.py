"""The rights that a task needs and the role lacks: all at once, each with its statement."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from nexus_reimport import wording
from nexus_reimport.errors import NOTHING_WRITTEN, MissingRights
from nexus_reimport.nexus.rights.rules import Right, Rule, Task

_SHOWN = 8  # objects named in one line of a message


def missing(rights: Iterable[Right], task: Task, also: Collection[Rule] = ()) -> tuple[Right, ...]:
    """The rights that the role lacks and without which ``task`` stops.

    ``also`` are optional rules that this run requires nevertheless.
    """
    return tuple(
        right
        for right in rights
        if task in right.rule.tasks
        and not right.held
        and (not right.rule.without or right.rule in also)
    )


@dataclass(frozen=True, slots=True)
class Line:
    """Rights that one statement grants."""

    on: str  # which rights, on what, at which place
    why: str
    grant: str  # the statement

    @property
    def what(self) -> str:
        """What is missing and why."""
        return f"{self.on}: {self.why}"


def lines(lacking: Iterable[Right]) -> tuple[Line, ...]:
    """What is missing, in as few statements as possible.

    Rights on one object are joined, then objects with the same rights: a person pastes each
    statement by hand.
    """
    by_object: dict[tuple[str, ...], list[Right]] = {}
    for right in lacking:
        rule = right.rule
        key = (rule.kind, rule.template, right.role, right.place, right.object)
        by_object.setdefault(key, []).append(right)
    alike: dict[tuple[str, ...], list[list[Right]]] = {}
    for (*kind, on), rights in by_object.items():
        only = on if rights[0].rule.template else ""  # such a statement takes one object
        same = (*kind, only, *(r.privilege + r.rule.why for r in rights))
        alike.setdefault(same, []).append(rights)
    return tuple(_line(group) for group in alike.values())


def _line(group: list[list[Right]]) -> Line:
    """The line for objects on which the same rights are missing."""
    first = group[0]
    privileges = tuple(dict.fromkeys(r.privilege for r in first))
    reasons = "; ".join(dict.fromkeys(r.rule.why for r in first))
    objects = [rights[0].object for rights in group]
    shown = wording.some(objects, shown=_SHOWN)
    kind = f"{first[0].rule.kind.lower()} " if first[0].rule.kind else ""
    place = f", {first[0].place}" if first[0].place else ""
    on = f"{', '.join(privileges)} on {kind}{shown}{place}"
    return Line(on, reasons, first[0].rule.statement(privileges, objects, first[0].role))


def refusal(
    lacking: Iterable[Right], where: str, state: str = NOTHING_WRITTEN, what: str = ""
) -> MissingRights:
    """The error that names all of ``lacking`` at once, each with its statement."""
    rights = tuple(lacking)
    listed = lines(rights)
    return MissingRights(
        (f"{what}\n" if what else "")
        + f"{wording.amount(len(rights), 'right is', 'rights are')} missing for role"
        f" {rights[0].role}\n" + "\n".join(f"    {one.what}" for one in listed),
        where=where,
        state=state,
        next="have an administrator run these statements in that database, then run this again\n"
        + "\n".join(f"    {one.grant}" for one in listed),
    )
