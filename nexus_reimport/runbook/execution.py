"""The steps of 02_execute: compare with FileMaker once more, approve, apply."""

from __future__ import annotations

from nexus_reimport import forms, naming, progress, wording
from nexus_reimport.filemaker import Source
from nexus_reimport.model import (
    Applied,
    Approval,
    Extract,
    Plan,
    Proposal,
    Snapshot,
)
from nexus_reimport.record import statements
from nexus_reimport.runbook.gates import Gated
from nexus_reimport.stages import apply, approval


class Execution(Gated):
    """A run from its approval to COMMIT."""

    __slots__ = ()

    def approved_plan(self) -> Plan:
        """The plan in this run's proposal, which ``apply`` executes."""
        return self.run.load(Plan)

    def drift(self) -> dict[str, str]:
        """Table -> what changed in FileMaker since the snapshot; empty if nothing changed."""
        snapshot = self.run.load(Snapshot)
        changed = {}
        with self.stage("drift"), self._channels() as channels:
            steps = progress.Steps(len(snapshot.extracts))
            for name, extract in snapshot.extracts.items():
                steps.begin(naming.rows(name))
                change = self._drifted(extract, channels.of(name).source)
                if change:
                    changed[name] = change
        return changed

    def _drifted(self, extract: Extract, source: Source) -> str:
        """What changed in one table since it was read; "" if nothing changed."""
        origin = source.origin(extract.table)  # an exported file: its hash shows every edit
        if origin and extract.origin and origin.sha256 != extract.origin.sha256:
            return "the file was replaced or edited"
        now = source.count(extract.table)
        if now != extract.rows:
            return f"{wording.amount(extract.rows, 'record')} then, {now:,} now"
        modified = self.mapping.sources[extract.source].modified
        field = next((f.found_as for f in extract.fields if f.name == modified), "")
        newest = source.newest(extract.table, field) if field else ""
        return "" if forms.stamp(newest) == extract.newest else "a record was edited"

    def approve(
        self, typed: str = "", *, rehearsed: bool = False, name: str = "", reason: str = ""
    ) -> Approval:
        """Approve the proposal, if ``typed`` is its digest.

        ``name`` and ``reason`` are of the person who approves, for the record.

        Raises:
            StopError: it is not, or a gate is closed: prod has no dev run for it, a line of the
                sign-off is open, it is outside of the window. Nothing was written.
            SettingsError: name or reason cannot stand in a record. Nothing was written.
        """
        statements.refuse_unfit(self.settings, name, reason)
        proposal = self.run.load(Proposal)

        def work() -> Approval:
            consent = approval.Consent(typed, rehearsed, name, reason)
            given = approval.require(
                self.settings, proposal, consent, self.gates(), self.begun_by()
            )
            self.run.save(self.sheet())  # as it stood when the approval was given
            return given

        return self.step("approval", work)

    def apply(self) -> Applied:
        """Wipe, load, re-link, check, COMMIT: the only step that writes clinic data.

        The maintenance window stays up from here to the sign-off, unless nothing was committed.

        Raises:
            StopError, Busy, TargetError: the database is as it was.
            InDoubt: the connection was lost at COMMIT, and the database cannot be asked now.
        """
        # In JupyterLab hours may pass between the approval and this cell.
        approval.refuse(approval.refusals(self.window()))
        load = self.run.load
        request = self._request(load(Plan), load(Proposal), load(Approval))
        return self.execute(
            "applied",
            "apply",
            lambda: apply.apply(
                self.settings.postgres,
                request,
                self._check_inside,
                commit=True,
                journal=self.run.journal,
            ),
        )
