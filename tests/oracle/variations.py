"""The shipped mapping with other options, and decisions, chosen at random."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from random import Random

from oracle.seen import ENTITIES, Mapped

Decisions = dict[str, dict[str, dict[str, str] | str]]
_SIDES = ("filemaker", "nexus")
_CAUSES = ("not_in_filemaker", "left_out_by_rule", "no_filemaker_id")
# The id by which a row is found comes from FileMaker, and is never cleared.
_FOUND_BY = {"filemaker_metadata.filemaker_id", "filemaker_event_id"}
_LINE = re.compile(r'"?(?P<name>[\w.]+)"? = \{ (?P<what>(?:from|gather) = .*) \}')

# Parts of the mapping, and what may stand there instead.
_LINES: dict[str, tuple[str, ...]] = {
    'content = { from = "Note", convert = "paragraphs", folded = true }': (
        'content = { from = "Note", convert = "paragraphs" }',
        'content = { from = "Note", convert = "text", folded = true }',
    ),
    'dob = { from = "DOB", convert = "birth_date" }': ('dob = { from = "DOB", convert = "date" }',),
    'notes = { from = "note", convert = "paragraphs" }': (
        'notes = { from = "note", folded = true }',
    ),
    'becomes = "sent", filled = "sent_at" }': (
        'becomes = "failed", filled = "error_message" }',
        'becomes = "sent", past = "sent_at" }',
    ),
    'created_at = { rule = "from", from = "creationTimestamp", convert = "timestamp" }': (
        'created_at = { rule = "as_of" }',
    ),
    ', with = { else = "RecipientPhoneMobile" } }': (" }",),
    '  { name = "without_start_date", at_most = 0.01, empty = ["startDate"] },': (
        '  { name = "without_start_date", at_most = 1.0, misfit = "start_time" },\n'
        '  { name = "without_start_date_at_all", at_most = 1.0, empty = ["startDate"] },',
    ),
    ', then = ["note_type", "created_by", "created_at"] }': (" }", ', then = ["created_by"] }'),
    'folded = ["message"], then = ["sent_at"] }': ('folded = ["message"] }',),
    ', other = ["other"] }': (" }",),
    '"Plan ends {End_Date}. {Funding}"': (
        '"Plan ends {End_Date}."',
        '"{Funding}: plan ends {End_Date}. At {Clinic}, {Funding}."',
        '"{Clinic} {Funding}, to {End_Date}. Call on {To_Contact_Date}."',
    ),
    'left_out = [{ name = "without_a_name",': (
        'left_out = [{ name = "born_oddly", at_most = 1.0, misfit = "dob" },'
        ' { name = "without_a_name",',
    ),
}


def vary(random: Random, text: str, clearable: Set[tuple[str, str]]) -> str:
    """The text of a mapping with other options; ``clearable`` are columns."""
    for old, others in _LINES.items():
        assert old in text, old
        if random.random() < 0.3:
            text = text.replace(old, random.choice(others))
    entity, lines = "", []
    for line in text.split("\n"):
        if line.startswith("["):
            head = re.fullmatch(r"\[entities\.(\w+)\.columns\]", line)
            entity = head[1] if head else ""
        fed = _LINE.fullmatch(line) if entity else None
        if fed and fed["name"] not in _FOUND_BY:
            column = (ENTITIES[entity]["table"], fed["name"].partition(".")[0])
            lines.append(_varied(random, line, can_be_cleared=column in clearable))
        else:
            lines.append(line)
    return "\n".join(lines)


def _varied(random: Random, line: str, *, can_be_cleared: bool) -> str:
    """The line of a column, with other options."""
    if can_be_cleared and random.random() < 0.3:
        line = f'{line[:-2]}, when_empty = "clear" }}'
    if random.random() < 0.2:
        line = re.sub(r', when_different = "\w+"', "", line)
    if "when_different" not in line and random.random() < 0.1:
        line = f'{line[:-2]}, when_different = "{random.choice(_SIDES)}" }}'
    return line


def decide(random: Random, entities: Mapped) -> Decisions:
    """What becomes of rows that FileMaker does not bring, and who is right, at random."""
    decisions: Decisions = {}
    for entity, spec in entities.items():
        of: dict[str, dict[str, str] | str] = {
            cause: random.choice(("keep", "purge")) for cause in _CAUSES
        }
        for rule in spec.get("overrides", ()):
            if rule.get("asks"):
                of[rule["name"]] = random.choice(("keep", rule["becomes"]))
        decided = list(_decided(spec))
        names = random.sample(decided, k=min(len(decided), random.choice((0, 0, 3))))
        of["when_different"] = {n: random.choice(_SIDES) for n in ("*", *names)}
        decisions[entity] = of
    return decisions


def _decided(spec: Mapped) -> Iterator[str]:
    """All that can be decided by its name: columns, keys, and parts of cards."""
    for name, column in spec["columns"].items():
        if "when_different" in column:
            continue
        yield name
        if "gather" in column:
            yield from (f"{name}.{part}" for part in column["keys"] if part in _PARTS)


_PARTS = ("phones", "emails", "addresses")


def write(text: str, decisions: Decisions) -> str:
    """The text of an environment's file with these decisions in the place of its own."""
    lines = []
    for entity, of in decisions.items():
        lines.append(f"[decisions.{entity}]")
        for name, what in of.items():
            if isinstance(what, dict):
                pairs = ", ".join(f'"{column}" = "{side}"' for column, side in what.items())
                lines.append(f"{name} = {{ {pairs} }}")
            else:
                lines.append(f'{name} = "{what}"')
    start, end = text.index("[decisions."), text.index("[[waivers]]")
    return text[:start] + "\n".join(lines) + "\n\n" + text[end:]
