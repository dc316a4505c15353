"""The steps of 02_execute: compare with FileMaker once more, approve, apply."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from nexus_reimport.model import (
    Applied,
    Approval,
    Drift,
    Gate,
    Plan,
    Proposal,
    Snapshot,
)
from nexus_reimport.planning import overtaken
from nexus_reimport.record import statements
from nexus_reimport.runbook.gates import Gated
from nexus_reimport.runbook.opening import require_verifiable
from nexus_reimport.stages import apply, approval, drift, sign_off


class Execution(Gated):
    """A run from its approval to COMMIT."""

    __slots__ = ()

    def approved_plan(self) -> Plan:
        """The plan in this run's proposal, which ``apply`` executes."""
        return self.run.load(Plan)

    def drift(self) -> Drift:
        """What was done in FileMaker since the snapshot, and what is over since the plan."""
        self.require_as_read()
        snapshot = self.run.load(Snapshot)
        with self.stage("drift"), self._channels() as channels:
            value = drift.since(snapshot, self.folder, channels, self.mapping)
            if plan := self.run.loaded(Plan):
                now = datetime.now(UTC)
                over = overtaken.rows(plan, self.intake(), self.settings, now)
                value = replace(value, overtaken=over)
        self.run.save(value)
        return value

    def approve(
        self, typed: str = "", *, rehearsed: bool = False, name: str = "", reason: str = ""
    ) -> Approval:
        """Approve the proposal, if ``typed`` is its digest.

        ``name`` and ``reason`` are of the person who approves, for the record.

        Raises:
            StopError: it is not, or a gate is closed: prod has no dev run for it, a line of the
                sign-off is open, it is outside of the window, FileMaker was edited and must not be.
                Nothing was written.
            SettingsError: name or reason cannot stand in a record. Nothing was written.
            StorageError, ApplicationError: verification could not read. Nothing was written.
        """
        self.require_as_read()
        statements.refuse_unfit(self.settings, name, reason)
        require_verifiable(self.settings)
        proposal = self.run.load(Proposal)

        def work() -> Approval:
            consent, again = approval.Consent(typed, rehearsed, name, reason), self.run.again
            edited = approval.unedited(self.settings, self.run.loaded(Drift), again)
            gates = (*self.gates(), *edited)
            earlier, begun_by = self.run.loaded(Approval), self.begun_by()
            given = approval.require(self.settings, proposal, consent, gates, begun_by, earlier)
            self.run.save(self.sheet())  # as it stood when the approval was given
            return given

        return self.step("approval", work)

    def apply(self) -> Applied:
        """Wipe, load, re-link, check, COMMIT: the only step that writes clinic data.

        The maintenance window stays up from here to the sign-off, unless nothing was committed.

        Raises:
            StopError, Busy, TargetError: the database is as it was. Also where something that was
                approved, as the package, was changed since, or a signature was taken back.
            StorageError, ApplicationError: verification could not read. Nothing was written.
            InDoubt: the connection was lost at COMMIT, and the database cannot be asked now.
        """
        load = self.run.load
        proposal, again = load(Proposal), self.run.again

        def gates() -> tuple[Gate, ...]:
            require_verifiable(self.settings)
            return (
                *approval.unchanged(self.settings, proposal, self.mapping.digest, again),
                *sign_off.gates(self.settings, self.sheet(), again),  # one may be taken back
                *self.by_hand(),
                *self.window(),
            )

        def work() -> Applied:
            request = self._request(load(Plan), proposal, load(Approval))
            return apply.apply(
                self.settings.postgres,
                request,
                self._check_inside,
                commit=True,
                journal=self.run.journal,
            )

        return self.execute("applied", "apply", gates, work)
