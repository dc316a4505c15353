"""The steps of 03_verify: read everything again, and sign off."""

from __future__ import annotations

from nexus_reimport import checks
from nexus_reimport.errors import COMMITTED_BEFORE, StopError
from nexus_reimport.events import Event
from nexus_reimport.model import Census, Report, Sample
from nexus_reimport.nexus.rights import Task
from nexus_reimport.record import anchor
from nexus_reimport.runbook import maintenance
from nexus_reimport.runbook.opening import (
    require_ready,
    today,
)
from nexus_reimport.runbook.steps import Steps
from nexus_reimport.stages import approval, census, sample, verify
from nexus_reimport.stages.verify import Storage


class Verification(Steps):
    """A run from COMMIT to the sign-off."""

    __slots__ = ()

    def verify(self) -> Report:
        """The report of every check after, on a new connection.

        Raises:
            StopError: this run has committed nothing, or nobody knows whether it has, or the
                database is older than it. Nothing was written.
        """
        self.require_committed(todo="run 02_execute first")
        self.require_as_read()
        require_ready(self.settings, self.mapping, Task.FINISH, COMMITTED_BEFORE)
        anchor.require_held(self.settings, self.run)
        return self.step(
            "checks_after",
            self.reading(
                lambda: verify.run(
                    self.settings,
                    self.expected(),
                    self._storage(),
                    today=today(self.settings),
                )
            ),
        )

    def _storage(self) -> Storage:
        """S3, to be listed and read again.

        Raises:
            StopError: the environment's file names another bucket than the one that was listed.
        """
        place, folder, before = self.settings.s3, self.folder, self.run.load(Sample)
        if place.bucket != (listed := self.run.load(Census).bucket):
            raise StopError(
                "the environment's file names another bucket than the one that was listed before"
                " the run",
                where=f"{listed} then, {place.bucket} now",
                state=COMMITTED_BEFORE,
                next=f"correct bucket of [s3] in {self.settings.name}.toml; then:"
                f" nexus-reimport finish {self.settings.name}",
            )
        return Storage(
            lambda: census.take(place, folder, "census_after"),
            lambda: sample.take(place, sample.keys_of(before, folder), folder, "sample_after"),
        )

    def sign_off(self) -> Report:
        """End the run: it is journalled as verified if no check after blocks.

        Raises:
            StopError: a check blocks. The data is committed, and a person must decide about it.
        """
        self.require_as_read()  # a waiver that was written since counts
        report = self.run.load(Report, "checks_after")
        with maintenance.left_on_error(self.settings):
            with self.stage("sign_off"):
                checks.require(
                    report,
                    where="03_verify",
                    state="committed, but not as it should be",
                    next=f"nexus-reimport finish {self.settings.name} prints what a person can"
                    " decide",
                )
            self.run.journal(
                Event.VERIFIED, code=approval.code_digest(), mapping=self.mapping.digest
            )
        maintenance.leave(self.settings)
        return report
