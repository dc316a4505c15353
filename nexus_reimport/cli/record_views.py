"""What ``nexus-reimport record …`` gives: the runs there were, one of them, how records compare."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from nexus_reimport import record, show, wording
from nexus_reimport import settings as environments
from nexus_reimport.cli.output import give, say_left_out, typed, write
from nexus_reimport.errors import ReimportError, SettingsError, StopError
from nexus_reimport.model import Plan, Report
from nexus_reimport.record import Run, Verdict, anchor, redaction, runs
from nexus_reimport.record.run import no_journal
from nexus_reimport.record.sealed import archive, bag, check, compared
from nexus_reimport.record.sealed.check import Checked
from nexus_reimport.record.search.sweep import Hit
from nexus_reimport.record.verdict import UNFINISHED
from nexus_reimport.runbook import lost_records, restored_database
from nexus_reimport.runner.notebook import last_error
from nexus_reimport.settings import Settings

_SEALED, _NOT_ARCHIVED = "sealed", "sealed, not in the archive"
PLACES = 50  # that are printed where something is found in a record; --json has all of them


def list_runs(environment: str, *, as_json: bool) -> None:
    """Print all runs, oldest first."""
    chosen = list(_chosen(environment))
    listed = [run for settings in chosen for run in record.every(settings)]
    still_open = {run.bag for settings in chosen for run in record.open_runs(settings)}
    undone: dict[str, str] = {}
    for settings in chosen:
        undone |= _taken_back(settings, listed)
    not_archived = {
        folder
        for settings in chosen
        if settings.record.archive
        for folder in archive.missing(settings.records_folder)
    }
    rows = [
        (
            r.environment,
            r.id,
            r.kind,
            str(r.standing()),
            _closed(r, still_open, not_archived),
            f"undone by {undone[r.id]}" if r.id in undone else "",
        )
        for r in listed
    ]
    rows += [
        (settings.name, folder.name, "", "", "of a former version", "")
        for settings in chosen
        for folder, _ in runs.former(settings)
    ]
    rows += [
        (settings.name, folder.name, "", "", "its journal is missing", "")
        for settings in chosen
        for folder in runs.without_journal(settings)
    ]
    rows += [
        (settings.name, folder.name, "", "", "of another run, or environment", "")
        for settings in chosen
        for folder in runs.astray(settings)
    ]
    values = [
        {
            "environment": e,
            "run": run,
            "kind": kind,
            "verdict": verdict,
            "sealed": state in (_SEALED, _NOT_ARCHIVED),
            "taken_back_by": undone.get(run, ""),
        }
        for e, run, kind, verdict, state, _ in rows
    ]
    text = show.table("", "environment | run | kind | verdict | record | since", rows).as_text()
    give({"runs": values}, text if rows else "no runs yet", as_json=as_json)


def _taken_back(settings: Settings, shown: Sequence[Run]) -> dict[str, str]:
    """Run -> the rollback that has taken it back; the database is asked if one was committed."""
    if not any(run.is_committed() for run in shown if run.environment == settings.name):
        return {}
    undone, why = anchor.taken_back(settings)
    if why:
        write(f"{settings.name}: what was undone is told by the records alone: {why}", err=True)
    return undone


def _closed(run: Run, still_open: Collection[Path], not_archived: Collection[Path]) -> str:
    if run.is_sealed:
        return _NOT_ARCHIVED if run.bag in not_archived else _SEALED
    return "open" if run.bag in still_open else "its seal is missing"


def show_run(environment: str, run: str, *, as_json: bool) -> None:
    """Print one run, the latest if ``run`` is empty: summary, plan, reports."""
    settings = environments.load(environment)
    shown = _named_or_latest(settings, run)
    verdict = shown.standing()
    undone_by = _taken_back(settings, [shown]).get(shown.id, "")
    values = {
        "environment": shown.environment,
        "run": shown.id,
        "verdict": verdict,
        "exit_code": None if verdict is Verdict.RUNNING else shown.exit_code(),
        "database": shown.state(),
        "taken_back_by": undone_by,
        "sealed": shown.is_sealed,
        "seal": shown.seal_digest(),
        "record": str(shown.bag),
        "journal": [dict(entry.line) for entry in shown.events()],
    }
    since = f"undone since, by run {undone_by}\n\n" if undone_by else ""
    give(values, since + "\n\n".join(_pages(shown)), as_json=as_json)


def check_runs(
    environment_or_path: str, run: str, allowed_signers: Path | None, *, as_json: bool
) -> None:
    """Compare sealed records, print what was found, and leave with its exit code."""
    if allowed_signers and not allowed_signers.is_file():
        raise SettingsError(
            f"{allowed_signers} is not a file", next="name the file of those who may sign records"
        )
    by_path = _is_path(environment_or_path)
    if by_path:
        checked = _of_path(Path(environment_or_path), run, allowed_signers)
    else:
        checked = _of_environments(environment_or_path, run, allowed_signers)
    sealed = [c for c in checked if c.kind == check.SEALED]
    all_right = bool(sealed) and all(c.is_right for c in checked)
    rows = [
        (c.environment, wording.name_of_file(c.run) or "all", c.verdict, _told(c))
        for c in checked
        if c.run or c.problems or c.remarks
    ]
    text = show.table("", "environment | run | verdict | record", rows).as_text() if rows else ""
    end = "" if sealed else "nothing was checked: there is no sealed record"
    if sealed and by_path:
        end = f"{_not_compared(checked)}: {check.UNSEEN}"
    elif sealed:
        end = "\n".join(_where_it_ends(checked))
    give(
        {"checked": [_plain(c) for c in checked], "as_sealed": all_right},
        "\n".join(filter(None, [text, *map(wording.spelt_out, _below(checked)), end])),
        as_json=as_json,
    )
    raise typer.Exit(0 if all_right else 1)


def _is_path(given: str) -> bool:
    """Whether a folder is meant: an auditor who stands beside it gives its name alone."""
    if "/" in given or given.startswith("."):
        return True
    return bool(given) and given not in environments.names() and Path(given).is_dir()


def archive_runs(environment: str, *, as_json: bool) -> None:
    """Put every sealed record into the archive that it does not have; print what was put there."""
    settings = environments.load(environment)
    if settings.record.archive is None:
        raise SettingsError(
            f"{environment} has no archive",
            next=f"describe it in {environment}.toml: [record.archive]",
        )
    with record.at_work(settings):
        place = settings.records_folder
        done = archive.put_missing(place, settings.record.archive, looks=True)
    lines = [f"{one.run}: {one.bucket}/{one.key}, locked until {one.until}" for one in done]
    text = "\n".join(lines) or "every sealed record is in the archive already"
    give({"archived": [asdict(one) for one in done]}, text, as_json=as_json)


def redact(environment: str, run: str, *, yes: bool, as_json: bool) -> None:
    """Show what is found in an open record; redact it; leave with 1 where something is left."""
    settings = environments.load(environment)
    with record.at_work(settings):
        chosen = record.find(settings, run)
        findings = redaction.look(settings, chosen)
        if findings.redacted and not yes:
            places = list(map(str, findings.redacted))
            listed = wording.lines(places, shown=PLACES, indent="  ", noun="place")
            write(f"This will be redacted in the record of {chosen.id}:\n{listed}", err=True)
            answer = typed(f"Then type {chosen.id}")
            if answer.strip() != chosen.id:
                raise StopError(
                    f"the text that was typed is not {chosen.id}",
                    state="nothing was changed",
                    next="open each place; a word for something else is a label of the environment",
                )
        done = redaction.redact(settings, chosen)
    redacted = [f"redacted: {hit}" for hit in done.redacted]
    left = [f"left, {_what_next(chosen, hit)}: {hit}" for hit in done.left]
    none = "" if redacted or left else f"nothing to redact was found in the record of {chosen.id}"
    following = "" if left else f"next: nexus-reimport seal {environment} --run {chosen.id}"
    parts = [wording.lines(one, shown=PLACES, indent="", noun="place") for one in (redacted, left)]
    text = "\n".join(filter(None, [*parts, none, following]))
    give(asdict(done), text, as_json=as_json)
    raise typer.Exit(1 if done.left else 0)


def _what_next(run: Run, hit: Hit) -> str:
    """What a person does with a file that cannot be redacted, or not yet."""
    if Path(hit.file).suffix == redaction.VALUE and run.verdict() in UNFINISHED:
        return f"finish the run first (nexus-reimport finish {run.environment})"
    return f"look at it, then move it to {run.private}"


def acknowledge_restore(environment: str, why: str, *, yes: bool, as_json: bool) -> None:
    """Show the runs that the database does not know any more; write down that it was restored."""
    runs_now = restored_database.unknown_runs(environment)
    if not yes:
        listed = "\n".join(f"  {one.run}, number {one.sequence}: {one.verdict}" for one in runs_now)
        write(f"The database of {environment} does not know these runs:\n{listed}", err=True)
        find_out = f"find out why the database of {environment} does not know these runs"
        _confirmed("Was it restored?", environment, find_out)
    done = restored_database.acknowledge(environment, runs_now, why)
    runs_covered = wording.amount(len(done.runs), "run")
    text = f"the database was restored from before {runs_covered}; {done.acknowledged}"
    give(asdict(done), text, as_json=as_json)


def acknowledge_loss(environment: str, why: str, *, yes: bool, as_json: bool) -> None:
    """Show the runs of which no record is here; write down that these are lost for good."""
    gone = lost_records.runs(environment)
    place = environments.load(environment).records_folder
    if not yes:
        listed = "\n".join(f"  {run}" for run in gone)
        write(f"The database of {environment} knows these runs:\n{listed}", err=True)
        write(f"No record of them is in {place}.", err=True)
        find_out = lost_records.advice(environment, str(place))
        _confirmed("Are they lost for good?", environment, find_out)
    lost_records.acknowledge(environment, gone, why)
    known = wording.amount(len(gone), "run")
    text = f"the records of {known} are lost for good: the register says so; a run can begin"
    give({"environment": environment, "runs": gone, "why": why}, text, as_json=as_json)


def _confirmed(question: str, environment: str, otherwise: str) -> None:
    """Ask, and stop unless the environment's name is typed."""
    answer = typed(f"{question} Then type {environment}")
    if answer.strip() != environment:
        raise StopError(
            f"the text that was typed is not {environment}",
            state="nothing was written",
            next=otherwise,
        )


def _told(checked: Checked) -> str:
    if checked.problems:
        return wording.amount(len(checked.problems), "problem")
    if checked.kind == check.FOLDER:
        return "see below" if checked.is_compared else "not compared"
    return "as sealed" if checked.kind == check.SEALED else checked.kind


def _below(checked: Sequence[Checked]) -> Iterator[str]:
    """A line for each problem and each remark; one for all of those of which it is said."""
    for one in checked:
        yield from (f"{_name(one)}: {problem}" for problem in one.problems)
    by_remark: dict[str, list[str]] = {}
    for one in checked:
        for remark in one.remarks:
            by_remark.setdefault(remark, []).append(_name(one))
    for remark, names in by_remark.items():
        if not remark.startswith(check.ALONE):  # which is said at the end
            yield f"{wording.some(names)}: {remark}"


def _where_it_ends(checked: Sequence[Checked]) -> Iterator[str]:
    """What the database cannot vouch for: it knows only runs that were committed."""
    for whole in (one for one in checked if one.kind == check.FOLDER and one.is_compared):
        own = (one for one in checked if one.environment == whole.environment)
        last = max((one.sequence for one in own if one.is_in_database), default=0)
        yield (
            f"the database of {whole.environment} knows no run after number {last}. Later runs"
            " wrote nothing; whether the last of them is genuine, only .last_seal tells: if both"
            " were replaced, nobody finds it"
        )


def _name(checked: Checked) -> str:
    return wording.name_of_file(checked.run) or f"all of {checked.environment}"


def _not_compared(checked: Sequence[Checked]) -> str:
    """How records by their path were not compared."""
    return next(r for c in checked for r in c.remarks if r.startswith(check.ALONE))


def _of_path(path: Path, run: str, signers: Path | None) -> list[Checked]:
    """The record in this folder, or all that lie in it: by themselves, and with each other.

    With ``run``, that one of them.
    """
    if not path.is_dir():
        raise SettingsError(
            f"{path} is not a folder", next="name the folder of a record, or the one above"
        )
    here = path.resolve()
    one = (here / bag.PAYLOAD).is_dir() or bag.is_sealed(here)
    if not (one or check.can_be_of_records(here)):
        raise SettingsError(
            f"{path} is no record and no folder of records: nothing in it is one",
            next="name the folder of a record, or the one above",
        )
    if one:
        records = [check.of_record(here, signers=signers)]
    else:
        records = check.of_folder(here, signers=signers)
    named = [c for c in records if run in ("", c.run)]
    if not named:
        raise SettingsError(
            f"{path} has no record of run {run}", next="give the run as its folder there is called"
        )
    return [_alone(c, together=not one) for c in named]


def _alone(checked: Checked, *, together: bool) -> Checked:
    if checked.kind != check.SEALED:
        return checked
    others = "" if together else ", nor with the records before and after it"
    return checked.with_remarks(f"seal {checked.seal}", f"{check.ALONE}{others}")


def _of_environments(environment: str, run: str, signers: Path | None) -> list[Checked]:
    left_out: list[Checked] = []

    def note(name: str, error: SettingsError) -> None:
        say_left_out(name, error)
        whole = Checked(name, "", "", check.FOLDER)
        left_out.append(whole.not_compared("its settings cannot be read"))

    chosen = [environments.load(environment)] if environment else list(environments.every(note))
    records = [c for settings in chosen for c in _of_environment(settings, signers)] + left_out
    if not run:
        return records
    named = [c for c in records if c.run == run]
    if not named:
        raise _no_such_run(environment, run)
    return named


def _of_environment(settings: Settings, signers: Path | None) -> list[Checked]:
    signing = settings.record.signature
    allowed = signers or (signing.allowed_signers if signing else None)

    def look() -> list[Checked]:
        return check.of_folder(settings.records_folder, settings.name, allowed)

    try:
        records, rows = anchor.with_rows(settings, look)
        return compared.with_database(records, rows, *anchor.restores(settings))
    except ReimportError as error:
        why = f"not compared with the database: {error.what.splitlines()[0]}"
        return [checked.not_compared(why) for checked in look()]


def _chosen(environment: str) -> list[Settings]:
    """The named environment, or all that can be loaded; the others are named on stderr."""
    if environment:
        return [environments.load(environment)]
    return list(environments.every(say_left_out))


def _named_or_latest(settings: Settings, run_id: str) -> Run:
    """The run with this id; the latest run if ``run_id`` is empty.

    Raises:
        SettingsError: there is no such run.
    """
    listed = record.every(settings)
    if not run_id and listed:
        return listed[-1]
    run = next((r for r in listed if r.id == run_id), None)
    if run is None:
        lost = next((f for f in runs.without_journal(settings) if run_id in ("", f.name)), None)
        raise no_journal(settings.name, lost) if lost else _no_such_run(settings.name, run_id)
    return run


def _no_such_run(environment: str, run: str) -> SettingsError:
    listing = f"nexus-reimport record list {environment}".rstrip()
    check = f"nexus-reimport record check {environment}".rstrip()
    return SettingsError(
        f"{environment} has no run {run}".rstrip() if environment else f"no environment has {run}",
        next=f"{listing} lists the runs; {check} asks the database which it knows",
    )


def _pages(run: Run) -> Iterator[str]:
    yield show.summary(run)
    if error := last_error(run):
        yield error
    if run.has(Plan):
        yield repr(show.plan(run.load(Plan)))
    for name in ("checks_before", "checks_inside", "checks_after", "checks_rollback"):
        if run.has(Report, name):
            yield repr(show.report(run.load(Report, name)))


def _plain(checked: Checked) -> dict[str, object]:
    shown = ("environment", "run", "verdict", "kind", "sequence", "seal", "problems", "remarks")
    plain = {name: getattr(checked, name) for name in shown}
    return plain | {"sealed": checked.kind == check.SEALED, "is_right": checked.is_right}
