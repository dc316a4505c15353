"""What must hold before a run is approved: its proposal, the sign-off, a dev run before prod."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nexus_reimport import record, saboteur, wording
from nexus_reimport import settings as environments
from nexus_reimport.errors import RecordError, ReimportError, StopError
from nexus_reimport.files import private
from nexus_reimport.model import (
    Gate,
    Plan,
    Proposal,
    Refusal,
    Rehearsal,
    Report,
    Scope,
    SelfTest,
    SignOff,
    Survey,
)
from nexus_reimport.nexus.structure import schema
from nexus_reimport.planning import manual
from nexus_reimport.record import Run, anchor, journal, signatures
from nexus_reimport.runbook.opening import last_complete
from nexus_reimport.runbook.steps import Steps
from nexus_reimport.settings import EnvironmentKind, Settings
from nexus_reimport.stages import approval, sign_off
from nexus_reimport.stages.approval import Preparer


def sheet_without_run(settings: Settings) -> SignOff:
    """The sign-off as it stands where no run has proven anything."""
    return sign_off.sheet(settings, None, signatures.standing(settings))


def dev_of(settings: Settings) -> Settings:
    """The environment on which is tried what comes to this one.

    Raises:
        SettingsError, StopError: its file is not as it must be, or it cannot stand for dev.
    """
    dev = environments.load(settings.dev_environment)
    ours, theirs = settings.postgres, dev.postgres
    other_database = (ours.host, ours.port, ours.database) != (
        theirs.host,
        theirs.port,
        theirs.database,
    )
    if dev.kind is not EnvironmentKind.DEV or dev.sandbox != settings.sandbox or not other_database:
        raise StopError(
            f"{dev.name} cannot stand for dev: it must be of kind dev, with another database,"
            " and a sandbox only if this is a sandbox",
            next="name the right dev_environment in the environment's file",
        )
    return dev


def is_taken_back(dev: Settings, run: Run) -> bool:
    """Whether a sealed run of dev was taken back since, as its database or its records say.

    The folder alone would say nothing where the rollback's record was taken away.

    Raises:
        StopError: dev's database does not hold the seal of this record, or is not dev's own.
        TargetError: it could not be asked.
    """
    known = next((row for row in anchor.rows(dev) if row.run == run.id), None)
    if known is None or known.seal != run.seal_digest():
        raise StopError(
            f"the record {run.id} of {dev.name} is not the one whose seal its database holds",
            next=f"run `nexus-reimport run {dev.name}` again",
        )
    return bool(known.undone_by) or run.id in record.taken_back(record.every(dev))


class Gated(Steps):
    """A run that somebody has to approve."""

    __slots__ = ()

    def sheet(self) -> SignOff:
        """The sign-off before production as it stands now, with what this run has proven."""
        names = ("checks_before", "checks_rehearsal")
        reports = tuple(self.run.load(Report, n) for n in names if self.run.has(Report, n))
        rehearsed = self.run.load(Rehearsal) if self.run.has(Rehearsal) else None
        entries, evidence = self.run.events(), None
        if entries:  # else nothing says when anything was proven
            evidence = sign_off.Evidence(reports, rehearsed, journal.proven_at(entries))
        return sign_off.sheet(self.settings, evidence, signatures.standing(self.settings))

    def refusals(self, name: str | None = None) -> tuple[Refusal, ...]:
        """The reasons for which the gate would refuse an approval now, if ``name`` gave it."""
        by_person = () if name is None else self.second_person(name)
        return tuple(dict.fromkeys(approval.refusals([*self.gates(), *by_person])))

    def second_person(self, name: str) -> tuple[Gate, ...]:
        """That ``name`` is not who began this run, where a second person is asked for."""
        consent = approval.Consent(name=name)
        return tuple(approval.second_person(self.settings, self.begun_by(), consent))

    def gates(self) -> tuple[Gate, ...]:
        """What must hold for an approval of this run to pass, each with whether it does now."""
        return (
            *self._proposed(),
            *sign_off.gates(self.settings, self.sheet(), self.run.again),
            *approval.second_person(self.settings, self.begun_by()),
            *self.by_hand(),
            *self.window(),
        )

    def window(self) -> tuple[Gate, ...]:
        """That it may be executed now, and that there is time enough."""
        return tuple(approval.window(self.settings, self.run.load(Rehearsal)))

    def by_hand(self) -> Iterator[Gate]:
        """That nobody has filled in the by-hand sheet since the plan: its values are not in it."""
        planned, sheet = self.run.load(Plan), self.settings.by_hand_sheet
        if planned.scope is Scope.RELINK or not sheet.is_file():
            return
        if private.sha256_of(sheet) == planned.sheet:
            return
        # The run's own sheet may lie there already, to be filled in for the next one.
        cells = manual.read(sheet, manual.kinds(self.intake())).cells.values()
        if given := sum(not cell.untouched for cell in cells):
            values = wording.amount(given, "value that a person gave", "values that people gave")
            yield Gate(
                f"{sheet.name} is as it was at the preflight",
                Refusal(
                    f"{sheet.name} was changed since the preflight, and holds {values}",
                    f"run 01_preflight again ({self.run.again}), so that they come into its plan;"
                    " or move it out of the environment's private folder until this run is over",
                ),
            )

    def _proposed(self) -> tuple[Gate, ...]:
        """That what was proposed can still be executed, and was tried on dev before prod."""
        proposal = self.run.load(Proposal)
        try:
            dev_run = self._relied_on()
        except ReimportError as error:
            dev = self.settings.dev_environment
            # Of a server that does not answer, the error does not say whose it is.
            what = error.what if dev in error.what else f"{dev}: {error.what}"
            return (Gate(f"{dev} can stand for dev", Refusal(what, error.next)),)
        first, *others = approval.gates(
            self.settings, proposal, self.mapping.digest, dev_run, self.run.again
        )
        is_prod = self.settings.kind is EnvironmentKind.PROD
        return self._on_dev(first) if is_prod else first, *others

    def _on_dev(self, gate: Gate) -> Gate:
        """``gate``; where dev must be run for it, an unfinished run of dev comes first."""
        dev = self.settings.dev_environment
        if gate.refusal is None or not (unfinished := record.unfinished(environments.load(dev))):
            return gate
        finish = f"nexus-reimport finish {dev} ends its run {unfinished.id} first; then: "
        return replace(gate, refusal=replace(gate.refusal, next=finish + gate.refusal.next))

    def begun_by(self) -> Preparer:
        """Who began this run.

        Raises:
            RecordError: its journal has lost its beginning, which says so. Nothing was written.
        """
        opened = journal.opened(self.run.events())
        if opened is None:
            raise RecordError(
                f"the journal of run {self.run.id} does not say who began it",
                where=f"environment {self.run.environment}",
                # Without it the run counts as in doubt, beside which no other one begins.
                next="bring its journal back from a backup; or"
                f" nexus-reimport settle {self.run.environment}, then begin a new run:"
                f" {self.run.again}",
            )
        return Preparer(opened.text("name"), opened.text("who"))

    def _dev_run(self) -> Run | None:
        """The last run of dev that this one could rely on, whatever the gate says of it."""
        if not self.settings.dev_environment:
            return None
        dev = environments.load(self.settings.dev_environment)
        return last_complete(dev, {Scope.REIMPORT, self.scope})

    def _relied_on(self) -> approval.DevRun | None:
        if not self.settings.dev_environment:
            return None
        dev = dev_of(self.settings)
        last = self._dev_run()
        if last is None:
            return None
        taken_back = is_taken_back(dev, last)
        proposal = last.load(Proposal)
        # prod may get only what was tried on the same schema
        before, now = (schema.structure(run.load(Survey).schema) for run in (last, self.run))
        return approval.DevRun(
            last.id,
            proposal.code,
            proposal.mapping,
            schema.differences(before, now),
            _untested(last),
            taken_back,
        )


def _untested(last: Run) -> str:
    """What is missing in the self-test of a dev run; "" where verification found every kind."""
    if not last.has(SelfTest):
        return "its verification was not tested"
    self_test = last.load(SelfTest)
    if self_test.why_not:
        return f"its verification was not tested: {self_test.why_not}"
    declared = saboteur.of_scope(only_links=last.kind == Scope.RELINK)
    if {k.name for k in declared} - {t.kind for t in self_test.trials}:
        return "its verification was not tested with every kind of corruption"
    if not self_test.is_complete:
        missed = wording.some([t.kind for t in self_test.missed])
        return f"its verification missed {missed or 'everything'}"
    return ""
