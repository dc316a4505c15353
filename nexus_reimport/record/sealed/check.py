"""Whether records are as they were sealed: each by itself, and with each other.

It needs the folders alone. Nothing that lies in a record can make it fail: what cannot be read is a
problem of that record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nexus_reimport import naming, wording
from nexus_reimport.errors import RecordError, is_of_system, refused
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Approval, Proposal, SignOff
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.record import journal, values, verdict
from nexus_reimport.record.sealed import (
    approved,
    archived,
    bag,
    chain,
    front,
    index,
    register,
    signature,
)
from nexus_reimport.record.sealed.chain import Link
from nexus_reimport.record.verdict import State, Verdict

SEALED, OPEN, FORMER, DAMAGED, FOLDER = "sealed", "open", "former", "damaged", ""
UNREAD = "not read"  # by the fault of a disk, a limit or this account's rights
UNSEEN = "records cut off at the end, or all made anew with their seals, would not be found"
UNVOUCHED = "open: nothing but its own journal vouches for it before its seal"
ALONE = "not compared with the seal that the database holds"
_BESIDE = frozenset(
    # The last three are of commands that are at work, and of the maintenance window.
    {chain.LAST, archived.LIST, register.FOLDER, index.FILE, ".at_work", ".window", ".window_lock"}
)
_DRAFT = re.compile(r"[\w.-]+\.new", re.ASCII)  # what a kill may have left
_ALWAYS = (bag.ENVIRONMENT, journal.JOURNAL, verdict.FILE)
Prints = Mapping[str, Fingerprint]  # table -> of its rows


@dataclass(frozen=True, slots=True)
class Commit:
    """What a record says of what was committed; the database says it too. "" is not known."""

    kind: str
    undoes: str
    digest: str = ""  # that was approved
    account: str = ""  # of the operating system, that approved it
    states: tuple[Prints, Prints] | None = None  # before and after, as approved


@dataclass(frozen=True, slots=True)
class Checked:
    """One record, or, without a run, all of an environment's: what is wrong, what is not known."""

    environment: str
    run: str
    verdict: str
    kind: str  # SEALED, OPEN, FORMER, DAMAGED, UNREAD; FOLDER for all of them together
    seal: str = ""
    sequence: int = 0  # 0 while it is open
    state: State | None = None  # of the database, as its journal says
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()  # what could not be compared, or is good to know
    is_compared: bool = True  # with all that was asked for
    is_in_database: bool = False  # which holds its run, or that a restore lost it
    commit: Commit = Commit("", "")

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong, and nothing that was asked for is left to compare."""
        return not self.problems and self.is_compared

    @property
    def was_committed(self) -> bool:
        """Whether it says so of its run, which may have been taken back since."""
        return self.state in (State.COMMITTED, State.TAKEN_BACK)

    def with_problems(self, *problems: str) -> Checked:
        """The same, with more problems."""
        return replace(self, problems=(*self.problems, *problems))

    def with_remarks(self, *remarks: str) -> Checked:
        """The same, with more that is good to know."""
        return replace(self, remarks=(*self.remarks, *remarks))

    def not_compared(self, why: str) -> Checked:
        """The same, of which something was asked for that could not be compared."""
        return replace(self.with_remarks(why), is_compared=False)


# ---------------------------------------------------------------- one record


def of_record(folder: Path, environment: str = "", signers: Path | None = None) -> Checked:
    """The record in ``folder``, by itself; ``signers``: the file of those who may sign records."""
    named = Checked(environment or folder.parent.name, folder.name, "", DAMAGED)
    try:
        info = bag.info(folder)
        named = replace(
            named, environment=environment or info.get("Environment", named.environment)
        )
        checked = _of_record(folder, named, info)
        return _of_signature(folder, checked, signers) if checked.kind == SEALED else checked
    except RecordError as error:
        return named.with_problems(error.what)
    except Exception as error:  # whatever lies there must not keep the others from being checked
        if is_of_system(error):
            return replace(named, kind=UNREAD).not_compared(_not_read(error))
        return named.with_problems(f"it cannot be read ({type(error).__name__})")


def _not_read(error: Exception) -> str:
    """Why a record, or what lies beside it, could not be read; nothing is said against it."""
    why, fix = refused(error) if isinstance(error, OSError) else (type(error).__name__, "")
    return f"not compared, it could not be read ({why}): {fix}"


def _of_record(folder: Path, named: Checked, info: Mapping[str, str]) -> Checked:
    payload = folder / bag.PAYLOAD
    if folder.is_symlink():
        return named.with_problems("a symbolic link, not a record")
    if (folder / journal.JOURNAL).is_file() and not payload.exists():
        former = "a record of a former version, which is no bag: that version can check it"
        return replace(named, kind=FORMER).not_compared(former)
    if not any(folder.iterdir()):
        return named.with_problems("an empty folder")
    if not (payload / journal.JOURNAL).is_file():
        findings = bag.problems(folder) if bag.is_sealed(folder) else []
        of_records = "a folder of records: check it by itself"
        what = of_records if _holds_records(folder) else "a folder without a journal"
        return named.with_problems(what, *findings)
    read = journal.scan(payload)
    is_sealed = bag.is_sealed(folder)
    is_cut = verdict.is_cut(read.entries, is_sealed=is_sealed)
    judged = verdict.judge(read.entries, is_cut=is_cut)
    checked = replace(
        named,
        verdict=str(judged),
        kind=SEALED if is_sealed else OPEN,
        seal=bag.digest(folder),
        sequence=_number(chain.of(folder)),
        state=verdict.state(read.entries, judged),
        remarks=tuple(filter(None, [read.cut_note(), *_redactions(read.entries)])),
        problems=tuple(filter(None, [read.broken_note()])),
        commit=_commit(payload, read.entries),
    )
    as_approved = approved.problems(payload, read.entries)
    if checked.kind == OPEN:
        cut = chain.is_cut_short(folder)
        why = [_cut_short(named)] if cut else _of_open(read)
        return checked.with_problems(*why, *as_approved).with_remarks(UNVOUCHED)
    findings = bag.problems(folder)
    return checked.with_problems(
        *(findings or [*_second_opinion(folder), *as_approved]),
        *_of_names(folder, named.environment, info, read.entries),
        *_of_verdict(payload, info, read, judged),
        *_missing(payload, read.entries),
    )


def _commit(payload: Path, entries: Sequence[journal.Entry]) -> Commit:
    kind, undoes = journal.kind(entries), journal.undoes(entries)
    approval, proposal = front.value(Approval, payload), front.value(Proposal, payload)
    states = (proposal.before, proposal.after) if proposal else None
    if approval is None:
        return Commit(kind, undoes)
    return Commit(kind, undoes, approval.digest, approval.who, states)


def _redactions(entries: Sequence[journal.Entry]) -> Iterator[str]:
    for entry in journal.only(entries, Event.REDACTED):
        places = [f"{file}, line {line}: {kind}" for file, line, kind in entry.line["places"]]
        heading = f"redacted by {entry.text('who')}, {entry.text('at')[:16]}"
        count = entry.line.get("found")  # an older version has named all
        yield f"{heading}: {wording.some(places, count if isinstance(count, int) else None)}"


def _of_signature(folder: Path, checked: Checked, signers: Path | None) -> Checked:
    who = bag.signer(folder)
    if not who:
        why = bag.info(folder).get(bag.NOT_SIGNED, "")
        remark = ": ".join(filter(None, ["not signed", why]))
        return checked.with_remarks(*([remark] if signers else []))
    if missing := signature.missing(folder, who):
        return checked.with_problems(missing)
    if signers is None:
        remark = f"signed by {who}, not compared: no file of allowed signers is named"
        return checked.with_remarks(remark)
    try:
        wrong = signature.problem(folder, signers)
    except signature.NotRun as error:
        return checked.not_compared(f"signed by {who}, not compared: {error}")
    if wrong:
        return checked.with_problems(wrong)
    return checked.with_remarks(f"signed by {who}")


def _cut_short(record: Checked) -> str:
    again = f"nexus-reimport seal {record.environment} --run {record.run}"
    return f"a kill came before the last file of its seal: {again} writes it, or the next run"


def _of_open(read: journal.Reading) -> Iterator[str]:
    if journal.only(read.entries, Event.SEALED):
        yield "its seal was cut short, or taken away: its journal says that it was sealed"
    elif not read.broken and verdict.is_cut(read.entries, is_sealed=False):
        yield f"{journal.JOURNAL}: its beginning is missing: bring it back from a backup"


def _second_opinion(folder: Path) -> list[str]:
    """What the reference library of the standard says of a bag in which we have found nothing."""
    import logging

    import bagit

    logging.getLogger("bagit").addHandler(logging.NullHandler())
    logging.getLogger("bagit").propagate = False
    try:
        bagit.Bag(str(folder)).validate()
    except bagit.BagError as error:
        return [f"bagit refuses it: {str(error).splitlines()[0]}"]
    return []


def _holds_records(folder: Path) -> bool:
    """Whether it is a folder of records, such as that of one environment among several."""
    inside = (f"{bag.PAYLOAD}/{journal.JOURNAL}", bag.TAG_MANIFEST)
    return any((one / name).is_file() for one in folder.iterdir() for name in inside)


def can_be_of_records(folder: Path) -> bool:
    """Whether it is empty, or anything in it is a record or is ours beside records."""
    try:
        return not any(folder.iterdir()) or any(
            path.name in (chain.LAST, archived.LIST, register.FOLDER)
            or naming.RUN.fullmatch(path.name) is not None
            or (path / journal.JOURNAL).is_file()
            or (path.is_dir() and _holds_records(path))
            for path in (folder, *folder.iterdir())
        )
    except OSError:  # what cannot be looked at may be one
        return True


def _of_names(
    folder: Path, environment: str, info: Mapping[str, str], entries: Sequence[journal.Entry]
) -> Iterator[str]:
    """Whether all that names the run, and its environment, names the same."""
    opened = journal.opened(entries)
    verdict_file = values.read_object(folder / bag.PAYLOAD / verdict.FILE)
    if not chain.number(folder):
        yield f"{bag.INFO}: it has no number"
    runs = {
        bag.INFO: info.get("Run"),
        verdict.FILE: verdict_file.get("run"),
        journal.JOURNAL: opened and opened.text("run"),
    }
    environments = {
        bag.INFO: info.get("Environment"),
        verdict.FILE: verdict_file.get("environment"),
        journal.JOURNAL: opened and opened.text("environment"),
    }
    for at, run in _others(runs, folder.name):
        again = "" if at else f"; if it was renamed, name it {run} again"
        called = wording.name_of_file(folder.name)
        yield f"{at}it is of run {run or 'unknown'}, the folder is called {called}{again}"
    for at, name in _others(environments, environment):
        yield f"{at}it is of environment {name or 'unknown'}"
    kind = journal.kind(entries)
    if opened and info.get("Kind", kind) != kind:
        yield f"{bag.INFO}: it is a {info['Kind'] or 'run of no kind'}, by the journal a {kind}"


def _others(named: Mapping[str, Any], right: str) -> Iterator[tuple[str, Any]]:
    """What is named that is not right, after the words for its place.

    Once, and without a place, where all places name the same.
    """
    first, *rest = named.values()
    if first and first != right and all(name == first for name in rest):
        yield "", first
        return
    yield from ((f"{place}: ", name) for place, name in named.items() if name != right)


def _of_verdict(
    payload: Path, info: Mapping[str, str], read: journal.Reading, judged: Verdict
) -> Iterator[str]:
    if not read.broken:  # behind a break, which is told already, a line counts for nothing
        yield from _of_seal(journal.only(read.entries, Event.SEALED), judged)
    for place, text in (
        (bag.INFO, info.get("Verdict")),
        (verdict.FILE, values.read_object(payload / verdict.FILE).get("verdict")),
    ):
        if text != judged:
            yield f"{place}: the verdict is {text or 'missing'}, by the journal it is {judged}"


def _of_seal(sealed: Sequence[journal.Entry], judged: Verdict) -> Iterator[str]:
    """Whether the journal says that the record was sealed, and as what."""
    if not sealed:
        yield f"{journal.JOURNAL}: it does not say that the record was sealed"
    elif (text := sealed[-1].text("verdict")) != judged:
        yield f"{journal.JOURNAL}: it was sealed as {text or 'unknown'}, and says {judged}"


def _missing(payload: Path, entries: Sequence[journal.Entry]) -> Iterator[str]:
    """Files that the journal says the run has made."""
    expected = set(_ALWAYS)
    for entry in entries:
        if entry.event is Event.FINISHED:
            expected |= values.files_of_stage(entry.stage)
        elif entry.event is Event.VOID:
            expected -= {f"{name}.json" for name in entry.line.get("of", ())}
        elif entry.event is Event.PAGE:
            expected |= {f"{entry.text('page')}{ending}" for ending in (".html", ".ipynb")}
        elif entry.event is Event.KEPT and Path(entry.text("file")).suffix == ".json":
            expected.add(entry.text("file"))  # a list goes away where a later plan has none
    if verdict.is_committed(entries):
        expected |= values.files_of_committed(journal.kind(entries))
    for name in sorted(expected):
        if not (payload / name).is_file():
            yield f"{bag.PAYLOAD}/{name}: missing, and a run like this must have it"


# ---------------------------------------------------------------- all of an environment


def of_folder(runs: Path, environment: str = "", signers: Path | None = None) -> list[Checked]:
    """Every record of ``runs``, an environment's folder, and all of them together.

    In the order of their numbers, those without one first. The last one is of the folder. Without
    ``environment`` all of them must be of one, whatever the folder is called. A record that is
    being sealed is waited for: half of a seal looks like one that was taken away.
    """
    with private.settled_folder(runs, bag.SEALING):
        return _of_folder(runs, environment, signers)


def _of_folder(runs: Path, environment: str, signers: Path | None) -> list[Checked]:
    links = {folder.name: _link(folder) for folder in chain.records(runs)}
    ordered = sorted(links, key=lambda name: (_number(links[name]), name))
    records = {name: of_record(runs / name, environment, signers) for name in ordered}
    whole = Checked(environment or runs.name, "", "", FOLDER)
    unread = [name for name, record in records.items() if record.kind == UNREAD]
    if unread:  # it would be said of them that they are missing, or others
        why = f"not compared with each other: {wording.some(unread)} could not be read"
        return [*records.values(), whole.not_compared(why)]
    try:
        whole = _with_each_other(runs, whole, links, records, signers)
    except OSError as error:
        if not is_of_system(error):
            raise
        whole = whole.not_compared(_not_read(error))
    return [*records.values(), whole]


def _link(folder: Path) -> Link | None:
    """A record's place; None where it cannot be read, which the record itself tells."""
    try:
        return chain.of(folder)
    except OSError:
        return None


def _with_each_other(
    runs: Path,
    whole: Checked,
    links: Mapping[str, Link | None],
    records: dict[str, Checked],
    signers: Path | None,
) -> Checked:
    if signers:
        _blame_unsigned(runs, records)
    whole = whole.with_problems(*_strays(runs), *_of_chain(runs, links, records))
    whole = whole.with_remarks(*_beside(runs))
    whole = whole.with_problems(*_of_archive(runs, records))
    several = sorted({e for n in records if (e := bag.info(runs / n).get("Environment", ""))})
    if len(several) > 1:
        whole = whole.with_problems(f"records of several environments: {', '.join(several)}")
    if not index.is_as_written(runs):
        whole = whole.with_remarks(
            f"{index.FILE}: it does not say what the records say: a former version made it, or"
            " somebody has changed it; nothing vouches for it, and the next seal makes it again"
        )
    try:
        return _of_register(runs, whole, records)
    except Exception as error:  # as with a record: it must not keep these from being told
        if is_of_system(error):
            raise
        problem = f"{register.FOLDER}: it cannot be read ({type(error).__name__})"
        return whole.with_problems(problem)


def _blame_unsigned(runs: Path, records: dict[str, Checked]) -> None:
    """A record without a signature that does not say why, after one that is signed.

    Made anew without the key, a record is as good as it was otherwise. ``records`` are in order.
    """
    signed = ""
    for name in [name for name, record in records.items() if record.kind == SEALED]:
        if bag.signer(runs / name):
            signed = name
        elif signed and bag.NOT_SIGNED not in bag.info(runs / name):
            problem = f"it is not signed, and does not say why; {signed}, before it, is signed"
            records[name] = records[name].with_problems(problem)


def _of_register(runs: Path, whole: Checked, records: dict[str, Checked]) -> Checked:
    """``whole`` with what is wrong with the register; what it says of a record is added there."""
    sealed = [runs / name for name in records if bag.is_sealed(runs / name)]
    whole = whole.with_problems(*register.problems(runs, sealed))
    whole = whole.with_remarks(*register.remarks(runs, sealed))
    lines = register.lines(runs)
    for name, record in records.items():
        sheet = front.value(SignOff, runs / name / bag.PAYLOAD)
        signed = [line.signed for line in sheet.lines if line.signed] if sheet else []
        records[name] = record.with_problems(*register.not_signed(lines, signed))
    for name, text in register.purged(runs):
        if name in records:
            records[name] = records[name].with_remarks(text)
        else:
            whole = whole.with_remarks(f"{name}: {text}")
    return whole


def _of_archive(runs: Path, records: dict[str, Checked]) -> Iterator[str]:
    """Records that are in the archive, by the list beside them, and not here, or not the same."""
    for one in archived.noted(runs):
        record = records.get(one.run)
        copy = f"the archive has one (bucket {one.bucket}, key {one.key})"
        if record is None:
            yield f"the record of run {one.run} is missing: {copy}"
        elif record.seal != one.seal:
            problem = f"it is not the record that was archived: {copy}"
            records[one.run] = record.with_problems(problem)


def _number(link: Link | None) -> int:
    return link.sequence if link else 0


def _strays(runs: Path) -> Iterator[str]:
    """What lies beside the records and is none: links, and files that are not ours."""
    for path in sorted(runs.iterdir()) if runs.is_dir() else ():
        name = wording.name_of_file(path.name)
        if path.is_symlink():
            yield f"{name}: a symbolic link"
        elif path.name == chain.LAST and private.has_other_name(path):
            yield f"{name}: {bag.LINKED}"
        elif not (path.is_dir() or path.name.startswith(".") or _is_ours(path.name)):
            yield f"{name}: not a record"


def _beside(runs: Path) -> Iterator[str]:
    """What is hidden beside the records, and is none of what we put there: nobody looks at it."""
    for path in sorted(runs.iterdir()) if runs.is_dir() else ():
        if path.name.startswith(".") and not (path.is_symlink() or _is_ours(path.name)):
            yield f"{wording.name_of_file(path.name)}: not looked at; it is no part of the records"


def _is_ours(name: str) -> bool:
    """Whether we put a file, or a draft, of this name beside the records."""
    return name in _BESIDE or bool(_DRAFT.fullmatch(name))


def _of_chain(
    runs: Path, links: Mapping[str, Link | None], records: dict[str, Checked]
) -> Iterator[str]:
    """Records out of sequence, missing, or not those that the others name; some are blamed."""
    by_number: dict[int, list[Link]] = {}
    for link in filter(None, links.values()):
        by_number.setdefault(link.sequence, []).append(link)
    for number, several in sorted(by_number.items()):
        if len(several) > 1:
            yield f"number {number} is taken twice: {', '.join(one.run for one in several)}"
    for name in records:
        if bag.is_sealed(runs / name):
            yield from _of_link(chain.before(runs / name), links[name], records)
    noted = chain.noted_last(runs)
    if noted is None or not chain.is_cut_short(runs / noted.run):  # else it is told already
        yield from _of_last(noted, links, records)


def _of_link(before: Link | None, link: Link | None, records: dict[str, Checked]) -> Iterator[str]:
    """Whether the record before a sealed one is there, and is the one that it names."""
    if link is None:
        return  # its own problem: it has no number that can be read
    if before is None:
        if link.sequence != 1:
            yield f"{link.run} has number {link.sequence}, and names no record before it"
        return
    yield from _is_there(
        before, records, f"{link.run}, number {link.sequence}, was sealed after it"
    )


def _is_there(link: Link, records: dict[str, Checked], says: str) -> Iterator[str]:
    record = records.get(link.run)
    if record is None:
        yield f"the record of run {link.run}, number {link.sequence}, is missing: {says}"
    elif record.seal != link.seal:
        records[link.run] = record.with_problems(f"it is not the record that was sealed: {says}")
    elif record.sequence != link.sequence:
        problem = f"it has number {record.sequence}, and not {link.sequence}: {says}"
        records[link.run] = record.with_problems(problem)


def _of_last(
    noted: Link | None, links: Mapping[str, Link | None], records: dict[str, Checked]
) -> Iterator[str]:
    """Whether the last record is the one that was sealed last."""
    last = max(filter(None, links.values()), key=_number, default=None)
    if noted is None:
        if last:
            yield f"{chain.LAST}, the note of the last seal, is missing or damaged"
        return
    yield from _is_there(noted, records, "it was the last one to be sealed")
    if last and last.sequence > noted.sequence:
        yield f"{last.run}, number {last.sequence}, was never noted as sealed"
    elif last and last.run != noted.run and noted.run in records:
        yield f"{chain.LAST} has number {noted.sequence} for {noted.run}; the last is {last.run}"
