"""The steps of 01_preflight: read, back up, plan, check, rehearse, propose."""

from __future__ import annotations

from collections.abc import Iterator

from nexus_reimport import checks, progress, wording
from nexus_reimport import settings as environments
from nexus_reimport.checks import before, bucket
from nexus_reimport.errors import StopError
from nexus_reimport.intake import Intake
from nexus_reimport.model import (
    Backup,
    Census,
    Ground,
    Outlook,
    Plan,
    Proposal,
    Rehearsal,
    Report,
    Sample,
    Scope,
    Snapshot,
    Survey,
)
from nexus_reimport.nexus import activity
from nexus_reimport.nexus.activity import Activity, Watched
from nexus_reimport.nexus.connection import waiters
from nexus_reimport.nexus.connection.postgres import connected, exported_snapshot
from nexus_reimport.nexus.structure.tables import Role
from nexus_reimport.planning import listings, manual, plan
from nexus_reimport.planning.manual import asking
from nexus_reimport.record import Run, anchor, statements
from nexus_reimport.runbook.gates import Gated
from nexus_reimport.runbook.opening import (
    last_complete,
    naming_rights,
    require_package_as_loaded,
    today,
)
from nexus_reimport.stages import (
    approval,
    backup,
    census,
    sample,
    snapshot,
    survey,
)


class Preflight(Gated):
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
            self.run.list_written(listings.CLEANED)
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

        with (
            self._one_step("survey"),  # it gives two values, so it cannot use step()
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
            only_links = self.scope is Scope.RELINK
            planned = plan.relink(intake, as_of=as_of) if only_links else self._decided(intake)
            listings.ids(planned, self.folder, self.run.folder)
            for name in (listings.LEDGER, listings.MISFITS, listings.OVERRIDES):
                self.run.list_written(name)
            listings.values(planned, intake, self.settings.zone)
            if self.mapping.by_hand and not only_links:
                path = self.folder / environments.BY_HAND_SHEET
                asking.write(planned, intake, self.settings, path)
            return planned

        planned = self.step("plan", work)
        self.step("sample", self._sample)
        return planned

    def _decided(self, intake: Intake) -> Plan:
        """The plan of a whole reimport, with what people have given by hand."""
        given = manual.read(self.settings.by_hand_sheet, manual.kinds(intake))
        return plan.make(intake, self.settings, as_of=intake.survey.taken_at, given=given)

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
        taken = sample.take(place, chosen, self.folder)
        sample.require_read(place, taken, self.folder)
        return taken

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
            earlier_folder=earlier.private if earlier else None,
            forgotten=self._forgotten(),
        )

    def _forgotten(self) -> str:
        """The last committed run, if the database lacks it and nobody has acknowledged that."""
        with connected(self.settings.postgres) as connection:
            last = anchor.forgotten(connection, self.settings)
        return last.run if last and not last.restore else ""

    def _earlier(self) -> Run | None:
        """The last COMPLETE record of this environment, else of its dev environment."""
        last = last_complete(self.settings, {Scope.REIMPORT})
        if last is None and self.settings.dev_environment:
            last = last_complete(environments.load(self.settings.dev_environment), {Scope.REIMPORT})
        return last

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
        """Stop if ``activity`` found that the plan is void, or another package is there by now."""
        require_package_as_loaded()
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
            with_name=approval.with_name(self.settings),
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
