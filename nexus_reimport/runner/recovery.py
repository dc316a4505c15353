"""Undoing a run, and restoring its dump: the commands for the worst night."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nexus_reimport import mapping as mappings
from nexus_reimport import record, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import NotNow, RecordError, SettingsError, StopError
from nexus_reimport.files import private
from nexus_reimport.model import Backup, NewerDecision, RollbackPreview, RollbackProposal
from nexus_reimport.model.approval import short
from nexus_reimport.nexus import deployment, rights
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.nexus.rights import Task
from nexus_reimport.record import Verdict, statements
from nexus_reimport.record.verdict import EXIT_CODES
from nexus_reimport.runbook import rollback as rollbacks
from nexus_reimport.runner import ending, finishing, notebook, sequence
from nexus_reimport.runner.notebook import ROLLBACK
from nexus_reimport.runner.outcome import CommandOutcome
from nexus_reimport.runner.watch import Say, watching
from nexus_reimport.settings import Settings
from nexus_reimport.stages import backup, restore
from nexus_reimport.stages.approval import is_meant, require_choice, too_short

AskRollback = Callable[[RollbackPreview, RollbackProposal], str]


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """What a person asks for: which run, what to do with newer rows, and the consent."""

    run: str
    environment: str = ""  # needed only if the run's record is not on this machine
    newer: NewerDecision = NewerDecision.UNDECIDED
    digest: str = ""
    rehearsed: bool = False
    ask: AskRollback | None = None
    name: str = ""  # of the person who approves, and why, for the record
    reason: str = ""


def rollback(options: RollbackOptions, say: Say | None = None) -> CommandOutcome:
    """Preview the rollback; with consent, execute 90_rollback with its own record, and seal it.

    Without consent nothing is written, not even a record; the outcome says what would happen.

    Raises:
        ReimportError: the run cannot be undone, or the decision about newer rows is missing.
            Nothing was written.
    """
    settings = (
        environments.load(options.environment) if options.environment else locate(options.run)
    )
    notebook.check(ROLLBACK, _parameters(settings, options, ""))
    return ending.of_new(settings, lambda: _rolled_back(settings, options, say))


def _rolled_back(settings: Settings, options: RollbackOptions, say: Say | None) -> CommandOutcome:
    preview, proposal = rollbacks.preview(settings, options.run, options.newer)
    require_choice(preview.since, options.newer, options.run)
    _refuse_wrong(options.digest, proposal)
    statements.refuse_unfit(settings, options.name, options.reason, sequence.NOTHING_STARTED)
    digest = options.digest or _asked(options, preview, proposal, say)
    if not digest and not options.rehearsed:
        return _waiting(settings, options, preview, proposal)
    new = rollbacks.begin(settings.name, "", options.run, options.newer).run
    if say:
        say(f"{settings.name}: {ROLLBACK}, run {new.id}")
    with new.at_work(), watching(new, say):
        notebook.execute(new, ROLLBACK, _parameters(settings, options, digest, new.id))
    finishing.settle_doubt(settings, new)
    rollbacks.finish(new)
    return finishing.close(new, say)


def restore_into(run: str, name: str, say: Say | None = None) -> restore.Restored:
    """The dump of ``run``, restored as a database called ``name``; the live one is not touched.

    Raises:
        ReimportError: a right is missing, the name is taken, the dump is missing or was changed, or
            the restored tables differ from it. The live database is unchanged.
    """
    settings = locate(run)
    source = record.find(settings, run)
    # A changed record could hold the wrong digest of the dump: then nothing would prove the dump.
    if source.is_sealed and (problems := source.problems()):
        raise RecordError(
            f"the record of run {run} was changed after it was sealed: {problems[0]}",
            next="restore the dump of another run, whose record is unchanged: nexus-reimport record"
            " check",
        )
    kept = next((n for n in ("backup", "rollback_backup") if source.has(Backup, n)), "")
    if not kept:
        raise NotNow(
            f"run {run} has no dump: it stopped before it had made one",
            where=f"environment {settings.name}",
            next=f"restore that of another run: nexus-reimport record list {settings.name}",
        )
    mapping = mappings.load(settings.mapping, environments.folder())
    with connected(settings.postgres) as connection:
        if lacking := rights.missing(rights.read(connection, mapping), Task.RESTORE):
            raise rights.refusal(lacking, deployment.place(connection))
    saved = source.load(Backup, kept)
    if say:
        say(f"{settings.name}: restoring the dump of {run} into {name}")
    folder = source.private
    script = folder / f"swap_{name}.sql"

    def keep(steps: tuple[restore.Step, ...]) -> str:
        try:
            private.replace(script, restore.script(steps).encode())
        except OSError:  # hours of restoring stand, and the statements are shown too
            return ""
        return str(script)

    acts = restore.Acts(
        restore=lambda place: backup.restore(saved, folder, place, to_look_at=False),
        left_to_do=lambda place, without: backup.left_to_do(saved, folder, place, without),
        keep=keep,
    )
    done = restore.run(settings.postgres, saved, run, name, settings.scratch_register, acts)
    return replace(done, environment=settings.name)


def locate(run: str) -> Settings:
    """The environment that has the record of ``run``.

    Raises:
        SettingsError: no environment that can be loaded has it.
    """
    if settings := environments.of_run(run):
        return settings
    if run in environments.names():
        raise SettingsError(
            f"{run!r} is an environment, and no run",
            next=f"nexus-reimport record list {run} shows its runs; give the full id of one",
        )
    raise SettingsError(
        f"no environment has a record of run {run!r}",
        where=f"known: {', '.join(s.name for s in environments.every()) or 'none'}",
        next="nexus-reimport record list shows every run; give the full id",
    )


def _refuse_wrong(typed: str, proposal: RollbackProposal) -> None:
    """Stop, before there is a record, if a digest was given and is not the one of this rollback.

    Raises:
        StopError: it is not. Nothing was started.
    """
    if typed and not is_meant(typed, proposal.digest):
        raise StopError(
            f"the digest is wrong: {too_short(typed)}the rollback of {proposal.undoes} has"
            f" {short(proposal.digest)}",
            where=f"environment {proposal.environment}",
            state=sequence.NOTHING_STARTED,
            next="run the command without --approve and read what it would do: the digest changes"
            " when the database does",
        )


def _parameters(
    settings: Settings, options: RollbackOptions, digest: str, run_id: str = ""
) -> notebook.Parameters:
    return {
        "environment": settings.name,
        "run_id": run_id,
        "undo_run": options.run,
        "newer": str(options.newer),
        "approve": digest,
        "approve_rehearsed": options.rehearsed and not digest,
        "approved_by": options.name,
        "reason": options.reason,
    }


def _asked(
    options: RollbackOptions,
    preview: RollbackPreview,
    proposal: RollbackProposal,
    say: Say | None,
) -> str:
    if options.rehearsed or (ask := options.ask) is None:
        return ""
    return sequence.typed_digest(lambda: ask(preview, proposal), proposal, say)


def _waiting(
    settings: Settings,
    options: RollbackOptions,
    preview: RollbackPreview,
    proposal: RollbackProposal,
) -> CommandOutcome:
    """The outcome without an approval: what would be done, and how to approve it."""
    place = f" --environment {options.environment}" if options.environment else ""
    command = " ".join(["nexus-reimport rollback", options.run, *options.newer.options]) + place
    waits = Verdict.WAITING
    return CommandOutcome(
        settings.name,
        "",
        waits,
        EXIT_CODES[waits],
        sealed=False,
        record="",
        error="",
        advice=f"to undo it: {command} --approve {short(proposal.digest)}",
        summary=repr(show.rollback(preview)),
    )
