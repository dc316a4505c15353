"""``index.html`` over all records of an environment, made anew at each seal, from the disk.

After a kill between the two, the next command that works on a run makes it. It is a view, not a
record: nothing vouches for it, and that it says something else is a remark of ``record check``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

from nexus_reimport import wording
from nexus_reimport.errors import OnlySealed, is_of_system, refused
from nexus_reimport.files import private
from nexus_reimport.record.sealed import archived, bag, chain, front
from nexus_reimport.record.sealed.archived import Archived
from nexus_reimport.record.sealed.front import Front
from nexus_reimport.record.verdict import Verdict

FILE = "index.html"
_MARKS = {  # verdict -> shape and class: the word, the shape and the colour say the same
    "COMPLETE": ("●", "good"),
    "STOPPED": ("■", "plain"),
    "PARTIAL": ("■", "plain"),
    "UNDONE": ("■", "plain"),
}
_ELSE = ("▲", "bad")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2328; margin: 0 auto; padding: 1rem;
  max-width: 46rem }
h1 { font-size: 1.3rem; margin: 0 0 .25rem }
article { border: 1px solid #d0d7de; border-radius: 6px; padding: .75rem 1rem; margin: 1rem 0 }
h2 { font-size: 1rem; margin: 0 }
p { margin: .25rem 0 }
.good { color: #1a7f37 } .bad { color: #b42318 } .plain { color: #57606a }
.faint { color: #57606a }
code { font-size: .85rem; overflow-wrap: anywhere }
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def write(runs: Path) -> None:
    """Make the index of the records in ``runs``. Where that fails, it says so in its place.

    The record that was sealed is whole by then: nothing here may spoil it.

    Raises:
        OnlySealed: there is no room for it, or no right to write it.
    """
    try:
        private.replace(runs / FILE, _page(runs, runs.name))
    except OSError as error:
        why, fix = refused(error)
        raise OnlySealed(
            f"{FILE}, the list of records, could not be written ({why})",
            where=str(runs / FILE),
            state="the record is sealed and whole",
            next=f"{fix}; the next seal writes the list again",
        ) from None


def is_as_written(runs: Path) -> bool:
    """Whether the index says what it would say if it were made now; or there is none.

    A copy of the records may lie in a folder of another name.
    """
    try:
        written = (runs / FILE).read_bytes()
    except FileNotFoundError:
        return True
    except OSError as error:
        if is_of_system(error):
            raise
        return False
    of = {bag.info(folder).get("Environment", "") for folder in chain.records(runs)}
    return any(written == _page(runs, name) for name in {runs.name, *of})


def _page(runs: Path, name: str) -> bytes:
    title = f"Records of {name}"
    try:
        body = "\n".join(_body(runs, name))
    # The list is for convenience: the records that it lists are sealed, whatever becomes of it.
    except Exception as error:
        body = (
            f"<p>This page could not be made ({type(error).__name__}). The records are whole.</p>"
        )
    return _PAGE.format(title=escape(title), style=_STYLE, body=body).encode()


def lists(folder: Path) -> bool:
    """Whether the record in ``folder`` is sealed, and in the list as it is."""
    seal = bag.digest(folder)
    try:
        return bool(seal) and seal.encode() in (folder.parent / FILE).read_bytes()
    except OSError:
        return False


def _body(runs: Path, name: str) -> Iterator[str]:
    sealed = sorted(filter(bag.is_sealed, chain.records(runs)), key=_number, reverse=True)
    yield (
        f"<p>{len(sealed):,} sealed, the newest first. {_as_of(sealed)}Nothing vouches"
        " for this page. To check all records:</p>"
        f"<p><code>nexus-reimport record check {escape(name)}</code></p>"
    )
    fronts = [(folder, front.read(folder)) for folder in sealed]
    undone = {seen.undid: seen.run for _, seen in fronts if seen.undid}
    archived_as = {one.seal: one for one in reversed(archived.noted(runs))}
    for folder, seen in fronts:
        yield _article(folder, seen, undone.get(seen.run, ""), archived_as)


def _as_of(sealed: Sequence[Path]) -> str:
    """By the newest record, and by no clock: the page may be made again later."""
    at = bag.info(sealed[0]).get("Sealed-At", "") if sealed else ""
    then = f"{escape(_moment(at))}; a record that is not here was not sealed then"
    return f"The newest one was sealed {then}. " if at else ""


def _moment(written: str) -> str:
    """As every other time of the list; as it was written where that is no time."""
    try:
        return wording.minute(datetime.fromisoformat(written))
    except ValueError:
        return written


def _number(folder: Path) -> tuple[int, str]:
    link = chain.of(folder)
    return (link.sequence if link else 0, folder.name)


def _article(folder: Path, seen: Front, undone_by: str, archived_as: Mapping[str, Archived]) -> str:
    lines = [
        _heading(seen, ", taken back since" if undone_by else ""),
        _faint(f"{front.when(seen)} · {seen.kind} · run {seen.run}"),
        _line(f"It was taken back since, by run {undone_by}." if undone_by else ""),
        _line(_became(seen)),
        _line(f"It ended with: {seen.failure}" if seen.failure else ""),
        _line(seen.waived),
        _line(front.approved(seen)),
        _line(front.writers(seen.waited) if seen.waited is not None else ""),
        _line(_archived(archived_as.get(bag.digest(folder)))),
        f"<p>{' · '.join(_links(folder, seen))}</p>",
        _check(folder, seen),
    ]
    return f"<article>\n{chr(10).join(filter(None, lines))}\n</article>"


def _became(seen: Front) -> str:
    """The verdict's meaning, and what was done to the database; each of the two is said once."""
    if seen.verdict == Verdict.COMPLETE and seen.waited is not None:
        return f"Verified. {seen.changed}"  # which names what was done, with its counts
    meaning = f"{seen.meaning[:1].upper()}{seen.meaning[1:]}."
    is_told = seen.changed.startswith("Nothing was") and meaning.endswith("othing was written.")
    return meaning if is_told else f"{meaning} {seen.changed}"


def _archived(kept: Archived | None) -> str:
    return f"In the archive, locked until {kept.until[:10]}: {kept.key}" if kept else ""


def _heading(seen: Front, since: str) -> str:
    shape, tone = _MARKS.get(seen.verdict, _ELSE)
    verdict = escape(seen.verdict or "CANNOT BE READ")
    where = escape(f"{seen.environment or 'unknown environment'} · number {seen.sequence or '?'}")
    more = f"{since}{seen.of_pages}"
    return f'<h2><span class="{tone}">{shape} {verdict}</span>{more} · {where}</h2>'


def _line(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _faint(text: str) -> str:
    return f'<p class="faint">{escape(text)}</p>'


def _links(folder: Path, seen: Front) -> Iterator[str]:
    for path in (*seen.pages, bag.README):
        place = quote(f"{folder.name}/{path}")
        yield f'<a href="{place}">{escape(Path(path).stem)}</a>'


def _check(folder: Path, seen: Front) -> str:
    command = f"nexus-reimport record check {seen.environment} --run {seen.run}"
    return (
        f'<p class="faint">To check it: <code>{escape(command)}</code><br>'
        f"seal <code>{bag.digest(folder)}</code></p>"
    )
