"""An approved run, executed as a test wants it."""

from __future__ import annotations

from collections.abc import Callable

from nexus_reimport import runbook
from nexus_reimport.model import (
    Applied,
    Approval,
    Plan,
    Proposal,
)
from nexus_reimport.progress import heard_by
from nexus_reimport.stages import apply


def order_of(book: runbook.Runbook) -> apply.ApplyRequest:
    load = book.run.load
    return book._request(load(Plan), load(Proposal), load(Approval))


def apply_with(
    book: runbook.Runbook,
    before_commit: apply.BeforeCommit | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Applied:
    """``progress`` is called as each step ends."""

    def hear(done: int, total: int, begun: str) -> None:
        if progress and not begun:
            progress(done, total)

    with heard_by(hear):
        return apply.apply(
            book.settings.postgres,
            order_of(book),
            before_commit or book._check_inside,
            commit=True,
        )
