"""The steps of 01_preflight: read, back up, plan, check, rehearse, propose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import checks, progress, saboteur, wording
from nexus_reimport import settings as environments
from nexus_reimport.checks import before, bucket, rehearsed
from nexus_reimport.checks.after import Claim
from nexus_reimport.errors import StopError
from nexus_reimport.intake import Intake
from nexus_reimport.model import (
    Applied,
    Backup,
    Census,
    Ground,
    NewerDecision,
    Outlook,
    Plan,
    Proposal,
    Rehearsal,
    Report,
    Sample,
    Scope,
    SelfTest,
    Snapshot,
    Survey,
    Undone,
)
from nexus_reimport.nexus import activity, waiters
from nexus_reimport.nexus.activity import Activity, Watched
from nexus_reimport.nexus.postgres import connected, exported_snapshot
from nexus_reimport.nexus.scratch import Scratch
from nexus_reimport.nexus.tables import Role
from nexus_reimport.nexus.transaction import ROLLED_BACK
from nexus_reimport.planning import listings, manual, plan
from nexus_reimport.record import Run, statements
from nexus_reimport.runbook.opening import (
    last_complete,
    naming_rights,
    today,
)
from nexus_reimport.runbook.steps import Steps
from nexus_reimport.saboteur import Kind
from nexus_reimport.settings import EnvironmentKind, Postgres, Settings, Waiver, Write
from nexus_reimport.stages import (
    apply,
    approval,
    backup,
    census,
    rehearsal,
    sabotage,
    sample,
    snapshot,
    survey,
    undo,
    verify,
)
from nexus_reimport.stages.verify import Expected, Storage

SWITCHED_OFF = "self_test = false in [rehearsal] of the environment's file"


class Preflight(Steps):
    """A run up to its proposal; it changes no clinic data."""

    __slots__ = ()

    def snapshot(self) -> Snapshot:
        """Read FileMaker; a run that only re-links reads the tables of documents and images."""
        sources = {a.source for a in self.mapping.attachments.values()}

        def work() -> Snapshot:
            with self._channels() as channels:
                taken = snapshot.take(
                    channels,
                    self.mapping,
                    self.folder,
                    sources=sources if self.scope is Scope.RELINK else (),
                )
            listings.cleaned(taken, self.folder, self.run.folder)
            return taken

        return self.step("snapshot", work)

    def census(self) -> Census:
        """List what S3 holds."""
        return self.step(
            "census",
            lambda: census.take(self.settings.s3, self.folder),
        )

    def survey_and_backup(self) -> tuple[Survey, Backup]:
        """Read Nexus and dump it, both from one exported snapshot, so that they show one moment."""

        def work() -> tuple[Survey, Backup]:
            steps = progress.Steps(2)
            with (
                waiters.reading(self.settings.postgres) as connection,
                exported_snapshot(connection) as shared,
            ):
                with steps.step("read"):
                    surveyed = survey.read(connection, self.mapping, self.folder, self.task)
                # the other tables are hashed in part only, and the backup compares whole ones
                known = {
                    f"{self.mapping.schema_name}.{name}": table.fingerprint
                    for name, table in surveyed.tables.items()
                    if table.role is not Role.LINK and not table.left_out
                } | surveyed.elsewhere
                place = self.settings.postgres
                with steps.step("back up"):
                    saved = backup.take(connection, shared, place, self.mapping, self.folder, known)
            return surveyed, saved

        self._begin_step("survey")  # one step with two values, so it cannot use step()
        with (
            self.stage("survey_and_backup"),
            naming_rights(self.settings, self.mapping, self.task),
            self._watched(anew=True),
        ):
            surveyed, saved = self.reading(work)()
            self.run.save(surveyed)
            self.run.save(saved, "backup")
        return surveyed, saved

    def plan(self) -> Plan:
        """Decide about every record and every row; the plan's "now" is the moment of the survey.

        The plan also chooses which of S3's files are read in full; they are read at once.
        """
        intake = self.intake()
        as_of = intake.survey.taken_at

        def work() -> Plan:
            if self.scope is Scope.RELINK:
                return plan.relink(intake, as_of=as_of)
            planned = plan.make(
                intake,
                self.settings,
                as_of=as_of,
                given=manual.read(self.settings.sheet, manual.kinds(intake)),
            )
            listings.ids(planned, self.folder, self.run.folder)
            listings.values(planned, intake)
            if self.mapping.by_hand:
                path = self.folder / environments.SHEET
                listings.sheet(planned, intake, self.settings, path)
            return planned

        planned = self.step("plan", work)
        self.step("sample", self._sample)
        return planned

    def check_before(self) -> Report:
        """The report of every check before; read it, then call ``rehearse``.

        Raises:
            SettingsError: the reason of a waiver identifies a patient of what was read.
        """
        statements.refuse_waivers(self.settings, self.settings.waivers)
        return self.step("checks_before", lambda: self._check(self._before(), "before"))

    def _sample(self) -> Sample:
        """S3's objects that verification reads again."""
        place, counted, intake = self.settings.s3, self.run.load(Census), self.intake()
        # Seeded by the plan's digest: the same plan reads the same objects again.
        named, seed = bucket.named(intake, counted), self.run.load(Plan).digest
        chosen = sample.choose(counted, self.folder, named, seed, place.sample)
        return sample.take(place, chosen, self.folder)

    def _before(self) -> before.Before:
        load, earlier = self.run.load, self._earlier()
        return before.Before(
            intake=self.intake(),
            settings=self.settings,
            census=load(Census),
            backup=load(Backup, "backup"),
            plan=load(Plan),
            earlier=earlier.load(Snapshot) if earlier else None,
            earlier_run=f"{earlier.environment} {earlier.id}" if earlier else "",
        )

    def _earlier(self) -> Run | None:
        """The last COMPLETE record of this environment, else of its dev environment."""
        last = last_complete(self.settings, {Scope.REIMPORT})
        if last is None and self.settings.dev_environment:
            last = last_complete(environments.load(self.settings.dev_environment), {Scope.REIMPORT})
        return last

    def rehearse(self) -> Rehearsal:
        """Run everything on a restored copy, undo it, and run it again; gives the state after.

        If no copy can be made, the whole transaction runs in the real database and is rolled back.
        This proves nothing about the backup, so prod needs a waiver for it.

        Raises:
            StopError: a check before blocks, or the rehearsal failed. The real database is
                unchanged.
        """
        # Again, and not only in its own cell: cells can be run in any order.
        checks.require(self.run.load(Report, "checks_before"), where="01_preflight")
        planned, saved = self.run.load(Plan), self.run.load(Backup, "backup")
        server = self.settings.rehearsal_server

        def work() -> Rehearsal:
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

    def self_test(self) -> SelfTest:
        """Every kind of corruption, one at a time, against the verification, on another copy.

        On prod it is the table of the dev run that prod relies on.

        Raises:
            StopError: verification does not pass on the copy as it is. Nothing was written.
        """
        return self.step("self_test", self._self_test)

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
            order = apply.ApplyRequest(
                name, self.settings.name, intake, planned, scratch=copy, write=write
            )
            return apply.apply(copy.place, order, self._checked_inside, commit=True)

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

    def _rehearse_inside(self, planned: Plan, why: str) -> Rehearsal:
        began = datetime.now(UTC)
        with self._explained(self.settings.postgres, planned, ROLLED_BACK):
            applied = apply.apply(
                self.settings.postgres,
                self._request(planned),
                self._check_inside,
                commit=False,
            )
        return rehearsal.inside(applied, why, (datetime.now(UTC) - began).total_seconds())

    def activity(self) -> Activity:
        """Who else wrote to the plan's tables since the survey, and whether the plan is valid.

        Raises:
            StopError: this run was executed: its own writes would be counted. Nothing was written.
        """
        self._refuse_executed()
        surveyed, watched = self.run.load(Survey), self.run.load(Watched)
        roles = (Role.LINK,) if self.scope is Scope.RELINK else (Role.WIPED, Role.LINK)
        before = surveyed.fingerprints(*roles)
        return self.step(
            "activity",
            self.reading(
                lambda: activity.result(watched, self.settings.postgres, self.mapping, before)
            ),
        )

    def propose(self) -> Proposal:
        """What approval is asked for; the last step of the preflight.

        Raises:
            StopError: NO-GO: others have changed the rows that the plan was made from.
        """
        load = self.run.load

        def work() -> Proposal:
            self._require_unchanged()
            return approval.propose(
                self.settings,
                self.mapping.digest,
                load(Snapshot),
                load(Survey),
                load(Plan),
                load(Rehearsal),
            )

        return self.step("proposal", work)

    def _require_unchanged(self) -> None:
        """Stop if ``activity`` found that the plan is void."""
        others = self.run.load(Activity) if self.run.has(Activity) else None
        if others is not None and others.changed:
            raise StopError(
                "Nexus was changed since the survey, so the plan is void:"
                f" {wording.some(others.changed)}",
                next=f"run the preflight of {self.settings.name} again, in a quieter hour",
            )

    def outlook(self) -> Outlook:
        """Shown with the digest: why its approval would be refused, and what was not proven."""
        rehearsed = self.run.load(Rehearsal)
        value = Outlook(
            refusals=self.refusals(),
            unproven=rehearsed.why_inside if rehearsed.ground is Ground.INSIDE else "",
            ending=tuple(self._ending()),
        )
        self.run.save(value)
        self.run.save(self.sheet())
        return value

    def _ending(self) -> Iterator[str]:
        """Needed waivers that end today: the verification may run after midnight."""
        report = self.run.load(Report, "checks_before")
        needed = {r.check for r in report.results if r.offending and r.waived}
        for waiver in self.settings.waivers:
            ends_today = waiver.until == today(self.settings)
            if ends_today and needed.intersection(checks.twins(waiver.check)):
                yield f"{waiver.check}, until {waiver.until}"
