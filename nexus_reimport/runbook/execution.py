"""What 02_execute calls: look at FileMaker once more, approve, apply."""

from __future__ import annotations

from nexus_reimport import forms
from nexus_reimport.filemaker import Source
from nexus_reimport.model import (
    Applied,
    Approval,
    Extract,
    Plan,
    Proposal,
    Snapshot,
)
from nexus_reimport.runbook.steps import Steps
from nexus_reimport.stages import apply, approval


class Execution(Steps):
    """A run from its approval to COMMIT."""

    __slots__ = ()

    def approved_plan(self) -> Plan:
        """The plan that this run's proposal was made of, and that ``apply`` executes."""
        return self.run.load(Plan)

    def drift(self) -> dict[str, str]:
        """What FileMaker changed since the snapshot, table by table; empty where nothing did."""
        read = self.run.load(Snapshot)
        changed = {}
        with self.run.stage("drift"), self._channels() as channels:
            for name, extract in read.extracts.items():
                said = self._drifted(extract, channels.of(name).source)
                if said:
                    changed[name] = said
        return changed

    def _drifted(self, extract: Extract, source: Source) -> str:
        """What was changed in one table since it was read; "" where nothing was."""
        origin = source.origin(extract.table)
        if origin and extract.origin and origin.sha256 != extract.origin.sha256:
            return "the file is another one"
        now = source.count(extract.table)
        if now != extract.rows:
            return f"{extract.rows:,} records then, {now:,} now"
        modified = self.mapping.sources[extract.source].modified
        found = next((f.found_as for f in extract.fields if f.name == modified), "")
        newest = source.newest(extract.table, found) if found else ""
        return "" if forms.stamp(newest) == extract.newest else "a record was edited"

    def approve(self, typed: str = "", *, rehearsed: bool = False) -> Approval:
        """Let the plan pass, if what was typed is its digest.

        Raises:
            StopError: it is not, or prod has no dev run before it. Nothing was written.
        """
        proposal = self.run.load(Proposal)
        return self.step(
            "approval",
            lambda: approval.require(
                self.settings,
                proposal,
                approval.Consent(typed, rehearsed),
                mapping_digest=self.mapping.digest,
                forerunner=self._forerunner(),
            ),
        )

    def apply(self) -> Applied:
        """Wipe, load, re-link, check, COMMIT: the only step that writes clinic data.

        Raises:
            StopError, Busy, TargetError: the database is as it was.
            InDoubt: the connection was lost at COMMIT and the database cannot be asked.

        The maintenance window stays up from here to the sign-off, unless nothing was committed.
        """
        load = self.run.load
        order = self._order(load(Plan), load(Proposal), load(Approval))
        return self.execute(
            "applied",
            "apply",
            "02_execute",
            lambda: apply.apply(
                self.settings.postgres,
                order,
                self._check_inside,
                commit=True,
                journal=self.run.journal,
                progress=self.bar("steps"),
            ),
        )
