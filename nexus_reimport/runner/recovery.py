"""Taking a run back, restoring its dump, dropping undo data: what the worst night needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nexus_reimport import mapping as mappings
from nexus_reimport import record, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import RecordError, SettingsError
from nexus_reimport.files import private
from nexus_reimport.model import Backup, NewerDecision, RollbackPreview, RollbackProposal
from nexus_reimport.nexus import deployment, registry, rights
from nexus_reimport.nexus.postgres import connected
from nexus_reimport.nexus.registry import UndoSize
from nexus_reimport.nexus.rights import Task
from nexus_reimport.record import Verdict
from nexus_reimport.record.verdict import EXIT_CODES
from nexus_reimport.runbook import rollback as rollbacks
from nexus_reimport.runner import notebook, sequence
from nexus_reimport.runner.notebook import ROLLBACK
from nexus_reimport.runner.sequence import Outcome
from nexus_reimport.runner.watch import Say, watching
from nexus_reimport.settings import Settings
from nexus_reimport.stages import backup, restore
from nexus_reimport.stages.approval import is_meant, short, undecided

AskRollback = Callable[[RollbackPreview, RollbackProposal], str]


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """What a person asks for: which run, what becomes of newer rows, and with which consent."""

    run: str
    environment: str = ""  # where the run's own record is not here any more
    newer: NewerDecision = NewerDecision.UNDECIDED
    digest: str = ""
    rehearsed: bool = False
    ask: AskRollback | None = None


def rollback(options: RollbackOptions, say: Say | None = None) -> Outcome:
    """Look; with consent, execute 90_rollback into a record of its own, and seal it.

    Without consent nothing is written, a record included: what would happen is in the outcome.

    Raises:
        ReimportError: it cannot be taken back, or nobody has decided about newer rows.
    """
    settings = (
        environments.load(options.environment) if options.environment else locate(options.run)
    )
    notebook.check(ROLLBACK, _parameters(settings, options, ""))
    with record.at_work(settings):
        seen, proposal = rollbacks.preview(settings, options.run, options.newer)
        undecided(seen.since, options.newer, options.run)
        digest = options.digest or ("" if options.rehearsed else _asked(options, seen, proposal))
        if not digest and not options.rehearsed:
            return _waiting(settings, options, seen, proposal)
        made = rollbacks.begin(settings.name, "", options.run, options.newer).run
        if say:
            say(f"{settings.name}: {ROLLBACK}, run {made.id}")
        with made.at_work(), watching(made, say):
            notebook.execute(made, ROLLBACK, _parameters(settings, options, digest, made.id))
        sequence.settle_doubt(made)
        rollbacks.finish(made)
        return sequence.close(made)


def restore_into(run: str, name: str, say: Say | None = None) -> restore.Restored:
    """The dump of ``run`` as a database called ``name``; the live one is not touched.

    Raises:
        ReimportError: a right is missing, the name is taken, the dump is gone or was changed, or it
            differs.
    """
    settings = locate(run)
    found = record.find(settings, run)
    if found.is_sealed and (problems := found.problems()):
        raise RecordError(
            f"the record of run {run} is not as it was sealed: {problems[0]}",
            next="a dump is only restored by a record that can be trusted: take another run's",
        )
    mapping = mappings.load(settings.mapping, environments.folder())
    with connected(settings.postgres) as connection:
        if lacking := rights.missing(rights.read(connection, mapping), Task.RESTORE):
            raise rights.refusal(lacking, deployment.place(connection))
    kept = "backup" if found.has(Backup, "backup") else "rollback_backup"
    saved = found.load(Backup, kept)
    if say:
        say(f"{settings.name}: restoring the dump of {run} into {name}")
    folder = found.private
    acts = restore.Acts(
        restore=lambda place: backup.restore(saved, folder, place, to_look_at=False),
        left_to_do=lambda place, without: backup.left_to_do(saved, folder, place, without),
    )
    done = restore.run(settings.postgres, saved, run, name, settings.scratch_register, acts)
    script = folder / f"swap_{name}.sql"
    private.replace(script, restore.script(done.swap).encode())
    return replace(done, script=str(script), environment=settings.name)


def purge_undo(environment: str, keep: int) -> tuple[UndoSize, ...]:
    """Drop the undo data of all runs but the ``keep`` latest; what was dropped.

    Raises:
        StopError: another database than this environment's, or a right is missing. Nothing was
            dropped.
    """
    settings = environments.load(environment)
    mapping = mappings.load(settings.mapping, environments.folder())
    state = "undo data of older runs may have been dropped; nothing else was written"
    with record.at_work(settings), connected(settings.postgres, state) as connection:
        deployment.require(connection, settings.name)
        gone = tuple(registry.undo_sizes(connection)[keep:])
        dropped = {one.schema for one in gone}
        lacking = [
            right
            for right in rights.missing(rights.read(connection, mapping), Task.PURGE)
            if right.rule is not rights.RULES["undo_drop"] or right.object in dropped
        ]
        if lacking:
            raise rights.refusal(lacking, deployment.place(connection))
        for one in gone:
            registry.drop_undo(connection, one.schema)
    return gone


def locate(run: str) -> Settings:
    """The environment in whose records ``run`` is.

    Raises:
        SettingsError: none that can be loaded has it.
    """
    for settings in environments.every():
        if (settings.folders.runs / settings.name / run).is_dir() and run:
            return settings
    raise SettingsError(
        f"no environment has a record of run {run!r}",
        where=f"known: {', '.join(s.name for s in environments.every()) or 'none'}",
        next="nexus-reimport record list shows every run; give its name in full",
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
    }


def _asked(options: RollbackOptions, seen: RollbackPreview, proposal: RollbackProposal) -> str:
    if options.ask is None:
        return ""
    for _ in range(3):
        typed = options.ask(seen, proposal).strip().lower()
        if not typed or is_meant(typed, proposal.digest):
            return typed
    return ""


def _waiting(
    settings: Settings, options: RollbackOptions, seen: RollbackPreview, proposal: RollbackProposal
) -> Outcome:
    """Nobody has approved: what would be done, and how to say yes."""
    option = {NewerDecision.KEEP: " --keep-newer", NewerDecision.DISCARD: " --discard-newer"}.get(
        options.newer, ""
    )
    place = f" --environment {options.environment}" if options.environment else ""
    command = f"nexus-reimport rollback {options.run}{option}{place}"
    waits = Verdict.WAITING
    return Outcome(
        settings.name,
        "",
        waits,
        EXIT_CODES[waits],
        sealed=False,
        record="",
        error="",
        advice=f"to take it back: {command} --approve {short(proposal.digest)}",
        summary=show.rollback_text(seen),
    )
