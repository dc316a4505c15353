"""The rehearsal of 01_preflight: what is done on a copy, by the functions that execute the run."""

from __future__ import annotations

import time
from dataclasses import replace

from nexus_reimport import checks
from nexus_reimport.checks import rehearsed
from nexus_reimport.checks.after import Claim
from nexus_reimport.errors import ROLLED_BACK
from nexus_reimport.model import (
    Applied,
    Backup,
    Census,
    NewerDecision,
    Plan,
    Rehearsal,
    Report,
    Sample,
    Undone,
)
from nexus_reimport.nexus.connection.scratch import Scratch
from nexus_reimport.runbook.opening import today
from nexus_reimport.runbook.steps import Steps
from nexus_reimport.settings import Write
from nexus_reimport.stages import apply, backup, rehearsal, undo, verify
from nexus_reimport.stages.verify import Expected, Storage


class Rehearsing(Steps):
    """A run that is tried before anybody is asked to approve it."""

    __slots__ = ()

    def rehearse(self) -> Rehearsal:
        """Run everything on a restored copy, undo it, and run it again; gives the state after.

        If no copy can be made, the whole transaction runs in the real database and is rolled back.
        This proves nothing about the backup, so prod needs a waiver for it.

        Raises:
            StopError: a check before blocks, or the rehearsal failed. The real database is
                unchanged.
        """
        before = self.run.load(Report, "checks_before")
        planned, saved = self.run.load(Plan), self.run.load(Backup, "backup")
        server = self.settings.rehearsal_server

        def work() -> Rehearsal:
            # Again, and not only in its own cell: cells can be run in any order.
            checks.require(before, where="01_preflight")
            why = rehearsal.why_not(server, saved)
            possible = self._check(rehearsed.Rehearsing(self.settings, why), "rehearsal")
            self.run.save(possible, "checks_rehearsal")
            checks.require(possible, where="01_preflight")
            with self._watched(own_writes=bool(why)):
                if why:
                    return self._rehearse_inside(planned, why)
                return rehearsal.on_a_copy(
                    server,
                    saved,
                    self.settings.scratch_register,
                    self._acts(planned, saved),
                    journal=self.run.journal,
                )

        return self.step("rehearsal", work)

    def _acts(self, planned: Plan, saved: Backup) -> rehearsal.Acts:
        """What is rehearsed on a copy, under run ids that exist only there."""
        name = f"{self.run.id}-rehearsal"

        def verified(copy: Scratch, done: Applied) -> Report:
            counted, read = self.run.load(Census), self.run.load(Sample)
            claim = Claim(f"{name}-1", self.settings.name, "", "", done.after)
            return verify.run(
                self.settings,
                Expected(self.intake(), planned, counted, read, claim),
                Storage.untouched(counted, read),
                today=today(self.settings),
                copy=verify.Copy(copy.place),
            )

        def undone(copy: Scratch, number: int) -> Undone:
            request = undo.RollbackRequest(
                f"{name}-undo-{number}",
                self.settings.name,
                f"{name}-{number}",
                NewerDecision.UNDECIDED,
                scratch=copy,
            )
            return undo.run(copy.place, self.mapping, request, self.check_undoing)

        def applied(copy: Scratch, number: int) -> Applied:
            # at first as the run itself will do it; then everything is deleted and inserted
            write = self.settings.write if number == 1 else Write.ALL
            request = replace(
                self._request(planned), run=f"{name}-{number}", scratch=copy, write=write
            )
            with self._explained(copy.place, planned, rehearsal.COPY_DROPPED):
                return apply.apply(copy.place, request, self._check_inside, commit=True)

        return rehearsal.Acts(
            restore=lambda place: backup.restore(saved, self.folder, place, to_look_at=True),
            apply=applied,
            verify=verified,
            undo=undone,
            left_out=backup.left_out(saved),
        )

    def _rehearse_inside(self, planned: Plan, why: str) -> Rehearsal:
        began = time.monotonic()
        with self._explained(self.settings.postgres, planned, ROLLED_BACK):
            applied = apply.apply(
                self.settings.postgres,
                self._request(planned),
                self._check_inside,
                commit=False,
            )
        return rehearsal.inside(applied, why, time.monotonic() - began)
