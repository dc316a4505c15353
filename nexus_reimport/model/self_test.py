"""What verification found of each kind of corruption that was put into a copy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trial:
    """One kind of corruption, put into a copy, and what verification made of it.

    ``caught_by`` are the checks that failed for it at the level it must be found at; ``noted_by``
    those that failed and would not have stopped the run. It was not possible where the copy holds
    nothing of its sort, or where PostgreSQL itself kept it out.
    """

    kind: str
    meaning: str
    corrupts: str
    changed: int  # rows, objects or definitions; 0 where it was not possible
    caught_by: tuple[str, ...] = ()
    noted_by: tuple[str, ...] = ()
    crashed: str = ""  # the kind of error where verification itself failed
    refused: str = ""  # the SQLSTATE where PostgreSQL kept it out

    @property
    def was_possible(self) -> bool:
        """Whether anything was corrupted."""
        return self.changed > 0

    @property
    def is_missed(self) -> bool:
        """Whether verification would have let it pass."""
        return self.was_possible and not self.caught_by


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Every kind of corruption, one at a time, against the verification; or why there was none.

    ``run`` is the one whose state was corrupted: for prod that of the dev run it relies on.
    """

    environment: str
    run: str
    checks: tuple[str, ...]  # of the verification
    trials: tuple[Trial, ...]
    seconds: float
    why_not: str = ""
    part: str = ""  # of the clinic, on which it was made; "" where that was all of it

    @property
    def caught(self) -> tuple[Trial, ...]:
        """Those that verification has found."""
        return tuple(t for t in self.trials if t.was_possible and not t.is_missed)

    @property
    def missed(self) -> tuple[Trial, ...]:
        """Those that verification has let pass."""
        return tuple(t for t in self.trials if t.is_missed)

    @property
    def not_possible(self) -> tuple[Trial, ...]:
        """Those for which there was nothing to corrupt."""
        return tuple(t for t in self.trials if not t.was_possible)

    @property
    def is_complete(self) -> bool:
        """Whether it was made, and nothing was missed."""
        return bool(self.caught) and not self.missed and not self.why_not
