"""Pages that were stepped through by hand: copies in a folder of their own, and their way back.

``nexus-reimport lab`` opens copies of the pages in ``private/ENV/lab/TIME``. A kernel that is
started there notes in the run's journal that the run is stepped through, and in the folder which
outputs it has displayed. At the seal the saved copies are cleaned as papermill's pages are.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nexus_reimport.errors import SettingsError, is_of_system
from nexus_reimport.events import Event
from nexus_reimport.record import journal
from nexus_reimport.record.notebooks import marks, pages
from nexus_reimport.record.run import Run
from nexus_reimport.settings import Settings

FOLDER = "lab"  # in the environment's private folder: one folder for each time that it was opened
_TAG = "stepped-through-by-hand"


def opened(settings: Settings, run: Run) -> None:
    """What this process displays is of ``run``; from a lab, the run's journal says so once.

    Raises:
        SettingsError: pages are open that would be written to, or those of another environment.
    """
    require_own(settings)
    marks.opened(run.private)
    lab = _lab()
    if lab and not run.is_sealed and lab.name not in labs(run):
        run.journal(Event.BY_HAND, lab=lab.name)


def require_own(settings: Settings) -> None:
    """Stop where a page would show one environment's outputs below another one's cells.

    Raises:
        SettingsError: the lab is another environment's, or a real one is opened without a lab.
            Nothing was read or written.
    """
    lab = _lab()
    if lab and lab.parent.parent != settings.private_folder:
        raise SettingsError(
            f"these pages were opened for another environment than {settings.name}",
            where=str(lab),
            next=f"nexus-reimport lab {settings.name} opens pages of its own",
        )
    if not lab and not settings.sandbox and _in_session():
        raise SettingsError(
            f"{settings.name} is stepped through in copies of the pages, and this is none",
            where="a kernel that neither the runner nor nexus-reimport lab has started",
            next=f"close it without saving; nexus-reimport lab {settings.name} opens copies",
        )


def is_stepped_through() -> bool:
    """Whether a person steps through a page here: in a lab, or in a kernel of their own."""
    return _lab() is not None or _in_session()


def _lab() -> Path | None:
    named = os.environ.get(marks.LAB_VARIABLE)
    return Path(named) if named else None


def _in_session() -> bool:
    """Whether this is a kernel of somebody's own, and not one of the runner's."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel") and marks.PAGE_VARIABLE not in os.environ


def labs(run: Run) -> tuple[str, ...]:
    """The folders in which the run was stepped through, by their names."""
    return tuple(e.text("lab") for e in journal.only(run.events(), Event.BY_HAND))


def _saved(run: Run) -> Iterator[tuple[Path, Any]]:
    """Every page that was saved in those folders, as it lies there; what cannot be read is not."""
    for lab in labs(run):
        for path in sorted((run.private.parent / FOLDER / Path(lab).name).glob("*.ipynb")):
            try:
                yield path, pages.read(path)
            except (OSError, ValueError) as error:
                if is_of_system(error):
                    raise
                continue


# ---------------------------------------------------------------- what is not saved


def unsaved(run: Run) -> tuple[str, ...]:
    """The pages whose last output of this run is in no saved copy; ``a page`` if it has no name."""
    held = {
        output["metadata"][marks.NAME]["mark"]
        for _, page in _saved(run)
        for cell in page.cells
        for output in cell.get("outputs", ())
        if marks.is_ours(run.private, output)
    }
    last: dict[str, str] = {}
    for lab in labs(run):
        for line in marks.displayed(run.private.parent / FOLDER / Path(lab).name):
            if line["run"] == run.id:
                last[line["page"] or "a page"] = line["mark"]
    return tuple(sorted(page for page, mark in last.items() if mark not in held))


# ---------------------------------------------------------------- into the record


def collect(run: Run) -> None:
    """Put the saved pages that show something of this run into its record, clean, with HTML.

    One that was in it, and that a kill kept from coming back, comes in under its own name.
    """
    known = {e.text("by_hand"): e.text("page") for e in journal.only(run.events(), Event.PAGE)}
    for path, page in _saved(run):
        source = f"{path.parent.name}/{path.stem}"
        name = known.get(source) or pages.free_name(run.folder, run.private, path.stem)
        if not pages.is_in(run.folder, name) and _shows(run, page):
            withheld = pages.clean(run.private, page)
            _describe(page, path.stem)
            pages.put(run.folder, run.private, name, page, withheld, by_hand=source)


def _shows(run: Run, page: Any) -> bool:
    outputs = (output for cell in page.cells for output in cell.get("outputs", ()))
    return any(marks.is_ours(run.private, output) for output in outputs)


def _describe(page: Any, name: str) -> None:
    """Say at the page's head that it was stepped through, and in which order."""
    import nbformat

    # The last cell, run as all others, leaves an empty one below it.
    page.cells = [c for c in page.cells if c.source.strip() or c.get("outputs")]
    code = [cell for cell in page.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in code if cell.execution_count]
    changed = _changed(page, name)
    page.metadata[marks.NAME] = {"by_hand": True, "executed": counts, **changed}
    numbers = ", ".join(map(str, counts)) or "none"
    differs = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in changed.items())
    text = (
        "**Stepped through by hand** in JupyterLab, and taken as it was saved.\n\n"
        f"Cells that were executed: {len(counts)} of {len(code)}; their numbers, from the top:"
        f" {numbers}{_order(counts)}.\n\n"
        f"Compared with the page as it is shipped: {differs}."
    )
    tags = {"tags": [_TAG]}
    note = nbformat.v4.new_markdown_cell(text, metadata=tags)  # type: ignore[no-untyped-call]
    page.cells.insert(0, note)


def _order(counts: list[int]) -> str:
    if counts == list(range(1, len(counts) + 1)):
        return " (once each, from the top)"
    return " (run again, or in another order)" if counts else ""


def _changed(page: Any, name: str) -> dict[str, int]:
    """How many cells are not as shipped; the one with the parameters is a person's to fill in."""
    shipped = {cell["id"]: cell for cell in pages.shipped(name)}
    counts: Counter[str] = Counter(changed=0, added=0, left_out=0)
    ids = set()
    for cell in page.cells:
        ids.add(cell.get("id"))
        known = shipped.get(cell.get("id"))
        if known is None:
            counts["added"] += 1
        elif "parameters" not in cell.metadata.get("tags", ()):
            same = pages.outside("".join(known["source"])) == pages.outside(cell.source)
            counts["changed"] += not same
    counts["left_out"] = len(shipped.keys() - ids)
    return dict(counts)
