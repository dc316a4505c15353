"""Executed pages on their way into a record: only what our own display functions made comes in.

A page is executed in the run's private folder. What comes into the record is a clean copy and its
HTML, each put there whole: a kill, a full disk or an error here leaves a page out, and never a part
of one that was not looked at.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from nexus_reimport import CHECKOUT, wording
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import journal
from nexus_reimport.record.notebooks import first_screen, marks, rendering

FOLDER = CHECKOUT / "runbook"
ALL = ("01_preflight", "02_execute", "03_verify", "90_rollback")
EXECUTED = "pages"  # in a run's private folder: pages as they were executed
SET_ASIDE = "set_aside"  # in a run's private folder: pages that were not as they were put there
# In the order in which they are taken away: HTML without its page could not be made anew.
_SUFFIXES = ("html", "ipynb")
_KINDS = {"error": "error", "execute_result": "result", "display_data": "display"}
_REDACTED = "redacted"
_STREAMS = frozenset({"stdout", "stderr"})
_BAR = "application/vnd.jupyter.widget-view+json"  # what a progress bar leaves
_NOTEBOOK = {
    "kernelspec": ("display_name", "language", "name"),
    "language_info": ("name", "version"),
    "papermill": ("duration", "end_time", "exception", "parameters", "start_time", "version"),
    marks.NAME: ("by_hand", "changed", "added", "left_out", "executed"),
}
_CELL = {
    "papermill": ("duration", "end_time", "exception", "start_time", "status", "tags"),
    "execution": (
        "iopub.execute_input",
        "iopub.status.busy",
        "iopub.status.idle",
        "shell.execute_reply",
        "shell.execute_reply.started",
    ),
}
_LISTS = frozenset({"tags", "serves"})
_OF_SHIPPED = re.compile(r"The outputs stored here are those of a made-up clinic[^.]*\.\n*")
_LINK = re.compile(r"\[([^\]]+)\]\((?:\.\./)+[^)]*\)")  # to a file beside the runbook
_MADE_HERE = (
    "# Where the run stood when this page came into the record; no cell of the page made it"
)
Notebook = Any  # nbformat's node


def free_name(folder: Path, apart: Path, page: str) -> str:
    """A name for ``page`` that no file has, in the record or apart: one run again gets its own."""
    names = (page, *(f"{page}-{number}" for number in range(2, 1000)))
    places = [folder / "{}.ipynb", folder / "{}.html", apart / EXECUTED / "{}.ipynb"]
    return next(
        name for name in names if not any(Path(str(p).format(name)).exists() for p in places)
    )


def move_in(folder: Path, apart: Path, name: str) -> None:
    """Put the page that was executed as ``name`` into the record, clean, with its HTML.

    ``apart`` is the run's private folder, where it lies as it was executed, and stays.

    Raises:
        OSError, ValueError: the page cannot be read, or not be written; it is not in the record.
    """
    page = read(apart / EXECUTED / f"{name}.ipynb")
    put(folder, apart, name, page, clean(apart, page))


def is_in(folder: Path, page: str) -> bool:
    """Whether the record has something of this page."""
    return any(path.exists() for path in _files(folder, Path(page)).values())


def put(
    folder: Path, apart: Path, name: str, page: Notebook, withheld: Counter[str], **facts: object
) -> None:
    """Put a clean page and its HTML into the record, and say so in the journal.

    Its first screen is made anew, from what the record says now, and stands above all other cells.
    ``facts`` of it are for the journal: ``by_hand``, where a page lies that was stepped through
    (the lab's folder, its name there); ``found_changed``, that it was not as it was put there.
    """
    import nbformat

    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = outside(cell.source)
    page.cells = [_first_screen(folder, apart), *_without_first_screen(page)]
    text = nbformat.writes(page).encode()  # type: ignore[no-untyped-call]
    shown = rendering.html(page, name).encode()
    private.place_new(folder / f"{name}.ipynb", text)
    private.place_new(folder / f"{name}.html", shown)
    journal.append(
        folder,
        Event.PAGE,
        page=name,
        sha256={"ipynb": private.sha256(text), "html": private.sha256(shown)},
        withheld=dict(withheld),
        **facts,
    )


def _first_screen(folder: Path, apart: Path) -> Any:
    """A cell that shows where the run stands now, whatever the page itself came to show."""
    import nbformat

    screen = first_screen.read(folder)
    data = {"text/html": rendering.STYLE + screen.as_html(), "text/plain": screen.as_text()}
    shown = nbformat.v4.new_output(  # type: ignore[no-untyped-call]
        "display_data", data=data, metadata=marks.marked(apart, data)
    )
    return nbformat.v4.new_code_cell(  # type: ignore[no-untyped-call]
        _MADE_HERE,
        id=rendering.FIRST_SCREEN,
        outputs=[shown],
        metadata={"tags": [rendering.FIRST_SCREEN], "jupyter": {"source_hidden": True}},
    )


def _without_first_screen(page: Notebook) -> Iterator[Any]:
    """The cells of a page but the one that an earlier ``put`` has made."""
    return (cell for cell in page.cells if not rendering.is_first_screen(cell))


def before_seal(folder: Path, apart: Path) -> None:
    """Look at every page of the record again, and bring in those that a kill has kept out.

    A page, or its HTML, that is not as it was put there is made clean anew. What cannot be read is
    set aside, into the run's private folder.
    """
    for draft in folder.glob(".*.new"):
        draft.unlink()
    for path in sorted((apart / EXECUTED).glob("*.ipynb")):
        if not (folder / path.name).exists():
            _or_untidy(folder, path.stem, partial(move_in, folder, apart, path.stem))
    known = _known(folder)
    pages = {path.relative_to(folder).with_suffix("") for path in _pages_in(folder)}
    for page in sorted(pages):
        files = _files(folder, page)
        now = {kind: private.sha256_of(p) if p.is_file() else "" for kind, p in files.items()}
        if known.get(str(page)) != now:
            _again(folder, apart, page, found_changed=str(page) in known)


def _again(folder: Path, apart: Path, page: Path, *, found_changed: bool) -> None:
    """Make one page of the record clean anew; set it aside where that cannot be done."""
    facts = {"found_changed": True} if found_changed else {}
    aside = private.make_folder(apart / SET_ASIDE)
    for kind, path in _files(folder, page).items():
        if path.exists():
            shutil.move(path, aside / f"{page.name}.{kind}")

    def work() -> None:
        notebook = read(aside / f"{page.name}.ipynb")
        put(folder, apart, str(page), notebook, clean(apart, notebook), **facts)

    _or_untidy(folder, str(page), work)


def _or_untidy(folder: Path, name: str, work: Callable[[], None]) -> None:
    """``work``, or a line in the journal: a page is a picture of the run, and bars no seal."""
    try:
        work()
    except (OSError, ValueError) as error:
        journal.append(folder, Event.UNTIDY, page=name, kind=type(error).__name__)


def _known(folder: Path) -> dict[str, Any]:
    """Each page that the journal knows -> the digests of its two files."""
    lines = journal.only(journal.read(folder), Event.PAGE)
    return {entry.text("page"): entry.line["sha256"] for entry in lines}


def _files(folder: Path, page: Path) -> dict[str, Path]:
    """The two files of a page, by kind, however their names end: ``.HTML`` is one too."""
    by_kind = {p.suffix[1:].lower(): p for p in _pages_in((folder / page).parent, f"{page.name}.*")}
    return {kind: by_kind.get(kind, folder / f"{page}.{kind}") for kind in _SUFFIXES}


def _pages_in(folder: Path, names: str = "**/*") -> Iterator[Path]:
    return (path for path in folder.glob(names) if path.suffix[1:].lower() in _SUFFIXES)


def read(path: Path) -> Notebook:
    """A notebook as nbformat has it.

    Raises:
        ValueError: it is none, or not a whole one.
        OSError: it cannot be read.
    """
    import nbformat

    unreadable = (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError)
    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except unreadable:
        raise ValueError("no notebook that can be read") from None


def outside(text: str) -> str:
    """A text of a shipped page as it holds for a copy, in a lab or in a record.

    The outputs of a copy are its own, and links to files beside the runbook lead nowhere there.
    """
    return _LINK.sub(r"\1 of `nexus_reimport`", _OF_SHIPPED.sub("", text))


def shipped(page: str) -> list[dict[str, Any]]:
    """The cells of a page of the runbook; none where it has no page of that name."""
    path = FOLDER / f"{page}.ipynb"
    return list(json.loads(path.read_bytes())["cells"]) if path.is_file() else []


@cache
def empty() -> str:
    """The HTML of a page with nothing on it: what every page holds, whatever it shows."""
    import nbformat

    return rendering.html(nbformat.v4.new_notebook(), "page")  # type: ignore[no-untyped-call]


# ---------------------------------------------------------------- what stays


def clean(apart: Path, page: Notebook) -> Counter[str]:
    """Take out of ``page`` what our display functions have not made for this run; what that was."""
    withheld: Counter[str] = Counter()
    page.metadata = _allowed(page.metadata, _NOTEBOOK)
    for cell in page.cells:
        cell.metadata = _allowed(cell.metadata, _CELL)
        cell.pop("attachments", None)
        if cell.cell_type == "code":
            cell.outputs, gone = _ours(apart, cell.outputs)
            withheld += gone
    return withheld


def redact(apart: Path, page: Notebook, is_bad: Callable[[str], bool]) -> Counter[str]:
    """Take out of a clean ``page`` each output, and each text, that ``is_bad``; what that was."""
    withheld: Counter[str] = Counter()
    for held in (page, *page.cells):
        for name in [name for name, fact in held.metadata.items() if is_bad(json.dumps(fact))]:
            del held.metadata[name]
            withheld["metadata"] += 1
    for cell in page.cells:
        if is_bad(cell.source):
            cell.source = "[redacted]"
            withheld["source"] += 1
        if bad := [o for o in cell.get("outputs", ()) if is_bad(json.dumps(o))]:
            kept = [output for output in cell.outputs if output not in bad]
            gone = Counter({_REDACTED: len(bad)})
            cell.outputs = [*kept, *_note(apart, gone)]
            withheld += gone
    return withheld


def stop_of(apart: Path, page: Notebook) -> dict[str, Any]:
    """What the last error of ours in a page says, in the words of a journal; empty if none."""
    last: dict[str, Any] = {}
    for cell in page.cells:
        for output in cell.get("outputs", ()):
            if marks.is_ours(apart, output) and "kind" in (facts := marks.facts(output)):
                last = facts
    return last


def _ours(apart: Path, outputs: list[Any]) -> tuple[list[Any], Counter[str]]:
    """The outputs that stay, and what is withheld, which a note tells at the end."""
    kept: list[Any] = []
    gone: Counter[str] = Counter()
    error_shown = False  # whether an error's own page stands before its traceback
    for output in outputs:
        if marks.is_ours(apart, output):
            kept.append(output)
            error_shown = "kind" in marks.facts(output)
        elif output.output_type == "error" and error_shown:
            error_shown = False
        elif not _is_bar(output):
            gone[_kind(output)] += 1
    return [*kept, *_note(apart, gone)], gone


def _is_bar(output: Any) -> bool:
    """Whether it is the place of a widget, as a progress bar leaves one: a file cannot show it."""
    return _BAR in output.get("data", {})


def _kind(output: Any) -> str:
    """What was withheld, in a word of ours: never in one of the output's own."""
    name = output.get("name")
    return name if name in _STREAMS else _KINDS.get(output.output_type, "output")


def _note(apart: Path, gone: Counter[str]) -> Iterator[Any]:
    if not gone:
        return
    import nbformat

    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(gone.items()))
    text = f"{wording.amount(gone.total(), 'output')} withheld ({kinds}): a record holds only what"
    text += " nexus_reimport displays, and nothing of a person"
    data = {"text/html": f"<p><i>{text}</i></p>", "text/plain": text}
    facts = {"withheld": dict(gone)}
    yield nbformat.v4.new_output(  # type: ignore[no-untyped-call]
        "display_data", data=data, metadata=marks.marked(apart, data, facts)
    )


def _allowed(metadata: Mapping[str, Any], wanted: Mapping[str, tuple[str, ...]]) -> Any:
    """The metadata that stays: what is known, and nothing that an extension has put there."""
    import nbformat

    kept: dict[str, Any] = {
        name: {key: metadata[name][key] for key in keys if key in metadata[name]}
        for name, keys in wanted.items()
        if isinstance(metadata.get(name), Mapping)
    }
    kept |= {name: list(metadata[name]) for name in _LISTS if isinstance(metadata.get(name), list)}
    return nbformat.from_dict(kept)  # type: ignore[no-untyped-call]
