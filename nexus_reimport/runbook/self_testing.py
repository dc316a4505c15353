"""The self-test of 01_preflight: what is done with each kind of corruption, on another copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nexus_reimport import checks, saboteur
from nexus_reimport.checks.after import Claim
from nexus_reimport.intake import Intake
from nexus_reimport.model import (
    Applied,
    Backup,
    Census,
    Plan,
    Report,
    Sample,
    Scope,
    SelfTest,
    Survey,
)
from nexus_reimport.nexus.connection.postgres import connected, exported_snapshot
from nexus_reimport.nexus.connection.scratch import Scratch
from nexus_reimport.planning import plan
from nexus_reimport.runbook.gates import Gated
from nexus_reimport.runbook.opening import today
from nexus_reimport.saboteur import Kind
from nexus_reimport.settings import EnvironmentKind, Postgres, Settings, Waiver
from nexus_reimport.stages import apply, backup, rehearsal, sabotage, survey, verify
from nexus_reimport.stages.verify import Expected, Storage

SWITCHED_OFF = "self_test = false in [rehearsal] of the environment's file"


def _not_tested(value: SelfTest) -> str:
    return f"not tested: {value.why_not}" if value.why_not else ""


class SelfTesting(Gated):
    """A run whose verification is tested before anybody relies on it."""

    __slots__ = ()

    def self_test(self) -> SelfTest:
        """Every kind of corruption, one at a time, against the verification, on another copy.

        On prod it is the table of the dev run that prod relies on.

        Raises:
            StopError: verification does not pass on the copy as it is. Nothing was written.
        """
        return self.step("self_test", self._self_test, lacks=_not_tested)

    def _self_test(self) -> SelfTest:
        # Tested once, on dev: the gate asks for a dev run of the same package, mapping and schema.
        if self.settings.kind is EnvironmentKind.PROD:
            return self._tested_on_dev()
        if not self.settings.rehearsal.self_test:
            return SelfTest(self.settings.name, self.run.id, (), (), 0.0, SWITCHED_OFF)
        return self.sabotaged()

    def sabotaged(
        self,
        kinds: Sequence[Kind] = (),
        *,
        spared: bool = True,
        patients: int = sabotage.PATIENTS,
    ) -> SelfTest:
        """The same for ``kinds`` (all of them unless given) on any environment, not kept.

        Without ``spared`` everything is read and asked again for each kind. Of a larger clinic
        ``patients`` are kept.
        """
        saved, server = self.run.load(Backup, "backup"), self.settings.rehearsal_server
        if why := rehearsal.why_not(server, saved):
            return SelfTest(self.settings.name, self.run.id, (), (), 0.0, why)
        given = sabotage.Given(
            environment=self.settings.name,
            run=self.run.id,
            server=server,
            register=self.settings.scratch_register,
            backup=saved,
            intake=self.intake(),
            plan=self.run.load(Plan),
            census=self.run.load(Census),
            sample=self.run.load(Sample),
            spared=spared,
            patients=patients,
        )
        chosen = kinds or saboteur.of_scope(only_links=self.scope is Scope.RELINK)
        return sabotage.run(given, chosen, self._test_acts(given))

    def _tested_on_dev(self) -> SelfTest:
        """What the dev run found that this one relies on."""
        tested = self._dev_run()
        if tested is not None and tested.has(SelfTest):
            return tested.load(SelfTest)
        why = f"{self.settings.dev_environment} has no run with a self-test"
        return SelfTest(self.settings.dev_environment, "", (), (), 0.0, why)

    def _test_acts(self, given: sabotage.Given) -> sabotage.Acts:
        name = f"{self.run.id}-self-test"

        def surveyed(place: Postgres, folder: Path) -> Survey:
            with connected(place) as connection, exported_snapshot(connection):
                return survey.read(connection, self.mapping, folder, self.task)

        def planned(intake: Intake) -> Plan:
            if self.scope is Scope.RELINK:
                return plan.relink(intake, as_of=given.plan.as_of)
            return plan.make(intake, self.settings, as_of=given.plan.as_of)

        def applied(copy: Scratch, intake: Intake, planned: Plan) -> Applied:
            write = self.settings.write
            request = apply.ApplyRequest(
                name, self.settings.name, intake, planned, scratch=copy, write=write
            )
            return apply.apply(copy.place, request, self._checked_inside, commit=True)

        def verified(subject: sabotage.Subject) -> Report:
            claim = Claim(name, self.settings.name, "", "", subject.after)
            return verify.run(
                self._with_waivers_cut(subject.needed),
                Expected(subject.intake, subject.plan, subject.listed_before, given.sample, claim),
                Storage.untouched(subject.census, subject.sample),
                today=today(self.settings),
                copy=verify.Copy(
                    given.server,
                    subject.connection,
                    is_surveyed=True,
                    kept=subject.kept,
                    memo=subject.memo,
                ),
            )

        return sabotage.Acts(
            restore=lambda place: backup.restore(given.backup, self.folder, place, to_look_at=True),
            survey=surveyed,
            plan=planned,
            apply=applied,
            verify=verified,
        )

    def _with_waivers_cut(self, needed: Mapping[str, int]) -> Settings:
        """The settings; a waiver is worth as much as is needed, so that its rest hides nothing."""

        def worth(waiver: Waiver) -> int:
            of = [needed[name] for name in checks.twins(waiver.check) if name in needed]
            return min(waiver.at_most, max(of, default=waiver.at_most))

        waivers = [w.model_copy(update={"at_most": worth(w)}) for w in self.settings.waivers]
        return self.settings.model_copy(update={"waivers": tuple(waivers)})
