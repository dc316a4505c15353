"""Checks before anything is deleted: FileMaker's data, the plan, the backup, the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from nexus_reimport import wording
from nexus_reimport.checks import Finding, bucket, check
from nexus_reimport.filemaker.cleaning import loses
from nexus_reimport.files import rowfile
from nexus_reimport.intake import OfIntake, id_maps
from nexus_reimport.model import (
    KEY,
    OF_NEXUS_ALONE,
    Backup,
    Census,
    Level,
    Outcome,
    Plan,
    Snapshot,
)
from nexus_reimport.planning import attachments
from nexus_reimport.settings import Settings


@dataclass(frozen=True, slots=True)
class Before(OfIntake):
    """What the checks before look at; row files lie in ``folder``."""

    settings: Settings
    census: Census
    backup: Backup
    plan: Plan
    earlier: Snapshot | None = None  # of the last COMPLETE record, if there is one
    earlier_run: str = ""

    def ledger(self) -> Iterator[tuple[str | None, ...]]:
        """The lines of the ledger: source, entity, outcome, why, FileMaker id, Nexus id."""
        return rowfile.read(self.folder, self.plan.ledger)

    def is_new(self, entity: str) -> bool:
        """Whether nothing was ever loaded: the table holds no row, and no run remembers one."""
        table = self.survey.tables[self.mapping.entities[entity].table]
        return not table.fingerprint.rows and not self.intake.ids()[entity]

    def neither_side(self, entity: str) -> str:
        """That FileMaker has no record and Nexus no row of ``entity``; "" where one has."""
        source = self.mapping.entities[entity].source
        if self.snapshot.extracts[source].rows or not self.is_new(entity):
            return ""
        return f"neither FileMaker nor Nexus has any {entity}"

    def planned(self, entity: str) -> Iterator[dict[str, str | None]]:
        """The rows of one entity that will be there."""
        return rowfile.read_dicts(self.folder, self.plan.entities[entity].file)


# ------------------------------------------------------------------ the source


@check(Before, Level.STOP, serves=("B1", "B2", "S1"), links=True)
def filemaker_was_read_completely(before: Before) -> Finding:
    """Every table was read to its end: count at start, rows, distinct keys, count at end."""
    extracts = before.snapshot.extracts
    gaps = [
        name
        for name, e in extracts.items()
        if not e.count_at_start == e.rows == e.distinct_keys == e.count_at_end
    ]
    return Finding(len(extracts), gaps)


@check(Before, Level.REVIEW, serves=("S1", "M3"), links=True)
def exported_files_are_of_the_day(before: Before) -> Finding:
    """No exported file is more than a day older than the reading: tables must show one moment."""
    taken, extracts = before.snapshot.taken_at, before.snapshot.extracts
    files = [e.origin for e in extracts.values() if e.origin]
    old = [
        f"{file.name}: {_days(taken - file.modified_at)} old"
        for file in files
        if taken - file.modified_at > timedelta(days=1)
    ]
    note = f"{len(files):,} of {len(extracts):,} tables come from files"
    return Finding(len(extracts), old, note=note)


def _days(age: timedelta) -> str:
    return wording.amount(age.days, "day")


@check(Before, Level.STOP, serves=("B1", "B2", "M3"), links=True)
def no_source_is_empty(before: Before) -> Finding:
    """Every table that feeds rows which Nexus has holds records in FileMaker."""
    used = {
        e.source: len_before(before, n)
        for n, e in before.mapping.entities.items()
        if n in before.plan.entities
    }
    used |= {
        a.source: before.survey.attachments[n].rows for n, a in before.mapping.attachments.items()
    }
    empty = [s for s, rows in used.items() if rows and not before.snapshot.extracts[s].rows]
    return Finding(len(used), empty)


_FEW_RECORDS = 10  # a table of a few records may change by as many, whatever the band


@check(Before, Level.STOP, serves=("B1", "B2", "M3"))
def filemaker_is_the_file_of_the_record_before(before: Before) -> Finding:
    """FileMaker is the file that the last COMPLETE record was made from, about as large as then."""
    then, now = before.earlier, before.snapshot
    if then is None:
        return Finding(1, note="no COMPLETE record before this one: nothing to compare with")
    off = []
    if then.database != now.database:
        off.append(f"file: {then.database} then, {now.database} now")
    both = [name for name in now.extracts if name in then.extracts]
    for name in both:
        had, has = then.extracts[name].rows, now.extracts[name].rows
        allowed = max(_FEW_RECORDS, int(before.settings.counts_may_differ * had))
        if abs(has - had) > allowed:
            off.append(f"{name}: {had:,} then, {has:,} now; band {allowed:,}")
    return Finding(1 + len(both), off, note=f"compared with {before.earlier_run}")


def len_before(before: Before, entity: str) -> int:
    """How many rows of ``entity`` are there now."""
    return before.survey.rows[entity].rows


def _as_expected(before: Before, entity: str) -> Finding:
    plan = before.plan.entities[entity]
    had = plan.rows_before - sum(
        u.count for u in plan.unmatched if u.cause.value == "no_filemaker_id"
    )
    if before.is_new(entity):
        note = f"the first import of {entity}: Nexus holds none, and no run has loaded any"
        return Finding(plan.source_rows, note=note, empty=before.neither_side(entity))
    off = abs(plan.loaded - had)
    allowed = int(before.settings.counts_may_differ * had)
    note = f"FileMaker brings {plan.loaded:,}, Nexus holds {had:,} from FileMaker; band {allowed:,}"
    return Finding(max(plan.source_rows, had), count=max(0, off - allowed), note=note)


@check(Before, Level.STOP, serves=("B1",))
def patients_are_as_many_as_expected(before: Before) -> Finding:
    """FileMaker brings about as many patients as Nexus has from it."""
    return _as_expected(before, before.mapping.people())


@check(Before, Level.STOP, serves=("B2",))
def appointments_are_as_many_as_expected(before: Before) -> Finding:
    """FileMaker brings about as many appointments as Nexus has from it."""
    return _as_expected(before, before.mapping.application.calendar.entity)


@check(Before, Level.STOP, serves=("M3",))
def links_between_tables_resolve(before: Before) -> Finding:
    """The keys by which FileMaker's tables point at each other find their records."""
    keys = {
        name: {r.id for r in before.intake.records(name)}
        for name in before.mapping.sources
        if any(link.to == name for s in before.mapping.sources.values() for link in s.links)
    }
    linking = [n for n, s in before.mapping.sources.items() if s.links]
    records = sum(before.snapshot.extracts[name].rows for name in linking)
    empty = "" if records else "no table with a link holds a record" if linking else "no links"
    looked, poor = 0, []
    for name, spec in before.mapping.sources.items():
        for link in spec.links:
            held = [r.id_in(link.field) for r in before.intake.records(name)]
            held = [key for key in held if key]
            looked += 2 * bool(held)
            resolved = sum(key in keys[link.to] for key in held)
            covered = len(keys[link.to].intersection(held))
            if resolved < link.resolves_at_least * len(held):
                poor.append(f"{name}.{link.field}: {resolved:,} of {len(held):,} resolve")
            if covered < link.covers_at_least * len(keys[link.to]):
                poor.append(f"{name}: {covered:,} of {len(keys[link.to]):,} {link.to} have one")
    return Finding(looked, poor, empty=empty)


# ------------------------------------------------------------------ the plan


@check(Before, Level.STOP, serves=("T3",), waivable=False)
def everything_is_decided(before: Before) -> Finding:
    """A person has decided about every kind of row and value that FileMaker does not settle."""
    looked = max(len(before.plan.entities), before.plan.questions)
    return Finding(looked, before.plan.undecided())


@check(
    Before,
    Level.STOP,
    serves=("S1", "D1", "D2", "D3", "D4", "D5", "D6"),
    waivable=False,
    links=True,
)
def every_record_is_accounted_for(before: Before) -> Finding:
    """Every record of FileMaker stands in the ledger once, and became one thing; the sums agree."""
    accounts = before.plan.accounts
    off = [f"{a.source}: sums" for a in accounts if not a.adds_up]
    off += [
        f"{name}: not in the ledger"
        for name in before.snapshot.extracts.keys() - {a.source for a in accounts}
    ]
    listed: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for source, entity, outcome, _, filemaker_id, _ in before.ledger():
        if outcome not in OF_NEXUS_ALONE:
            listed[source or "", entity or ""][filemaker_id or ""] += 1
    for account in accounts:
        wanted = Counter(r[KEY] for r in before.intake.records(account.source))
        off += _unequal(account.source, wanted, listed[account.source, account.entity])
    return Finding(sum(a.records for a in accounts), off)


def _unequal(name: str, wanted: Counter[str], found: Counter[str]) -> list[str]:
    """What of two lists of ids is in one alone, or more often."""
    return [f"{name} {one}" for one in sorted({*(wanted - found), *(found - wanted)})]


@check(Before, Level.STOP, serves=("M1", "D1", "D2", "D3", "D4", "D5", "D6"), waivable=False)
def every_row_is_accounted_for(before: Before) -> Finding:
    """Every row of Nexus is replaced, kept or purged; what will be there is what the ledger says.

    A record and its row belong together in the ledger as in what the next run will remember.
    """
    off = []
    lines: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for _, entity, outcome, _, filemaker_id, nexus_id in before.ledger():
        if nexus_id:
            lines[entity or ""].append((outcome or "", filemaker_id or "", nexus_id))
    remembered = {(e, f): n for e, f, n in rowfile.read(before.folder, before.plan.id_map)}
    for name, plan in before.plan.entities.items():
        key = before.survey.keys[name]
        rows = lines[name]
        before_rows = before.intake.rows(name)
        was = Counter(r[key] or "" for r in before_rows)
        stays = Counter(r[key] or "" for r in before.planned(name))
        of_old = Counter(n for o, _, n in rows if o in _OLD)
        off += _unequal(name, was, of_old)
        off += _unequal(name, stays, Counter(n for o, _, n in rows if o in _STAYING))
        off += [
            f"{name} {n}" for o, f, n in rows if o in _LOADED and remembered.get((name, f)) != n
        ]
        if plan.rows_before != plan.replaced + plan.kept + plan.purged:
            off.append(f"{name}: sums")
    looked = sum(e.rows_before + e.rows_after for e in before.plan.entities.values())
    return Finding(looked, off)


_LOADED = frozenset({Outcome.REPLACED, Outcome.NEW})
_STAYING = _LOADED | {Outcome.KEPT}
_OLD = OF_NEXUS_ALONE | {Outcome.REPLACED}


@check(Before, Level.STOP, serves=("S1", "M3"), links=True)
def no_rule_leaves_out_more_than_its_budget(before: Before) -> Finding:
    """Each named rule leaves out no more records than the mapping allows it."""
    over = [
        (
            f"{a.source}, {rule}: {count:,} of {a.records:,}, budget {a.budgets[rule]:,}",
            count - a.budgets[rule],
        )
        for a in before.plan.accounts
        for rule, count in a.left_out.items()
        if count > a.budgets[rule]
    ]
    looked = sum(a.records for a in before.plan.accounts)
    count = sum(n for _, n in over)
    return Finding(looked, [line for line, _ in over], count=count, note=_named_in_vain(before))


def _named_in_vain(before: Before) -> str:
    """The ids that a rule names, and no record has; "" where there are none."""
    named = {
        (entity, one): f"{one.written} ({entity}, {rule.name})"
        for entity, spec in before.mapping.entities.items()
        for rule in spec.left_out
        for one in rule.named_ids
    }
    lines = ((entity, record, row) for _, entity, _, _, record, row in before.ledger())
    there = {(entity, one) for entity, pairs in id_maps(lines).items() for one, _ in pairs}
    lost = [told for key, told in named.items() if key not in there]
    if not lost:
        return ""
    return f"left_out names {wording.amount(len(lost), 'id')} that no record has: " + (
        wording.some(lost)
    )


@check(Before, Level.STOP, serves=("M2",), waivable=False)
def no_two_rows_claim_one_record(before: Before) -> Finding:
    """No two rows of Nexus carry the same FileMaker id: merging them is for a person."""
    entities = before.plan.entities.values()
    is_new = all(before.is_new(e.entity) for e in entities)
    return Finding(
        sum(e.rows_before for e in entities),
        [i for e in entities for i in e.ambiguous],
        empty="the first import: Nexus holds no row of any entity" if is_new else "",
    )


@check(Before, Level.STOP, serves=("M1", "M3"))
def no_more_is_purged_than_expected(before: Before) -> Finding:
    """What is decided to be purged stays within the band for counts, table by table."""
    band = before.settings.counts_may_differ
    entities = before.plan.entities.values()
    over = [
        f"{e.entity}: {e.purged:,} of {e.rows_before:,}"
        for e in entities
        if e.purged > band * e.rows_before
    ]
    return Finding(len(before.plan.entities), over)


@check(Before, Level.STOP, serves=("M2", "M3"))
def rows_are_recognised(before: Before) -> Finding:
    """As many records of FileMaker are recognised in Nexus as the mapping asks for."""
    poor = []
    for name, plan in before.plan.entities.items():
        asked = before.mapping.entities[name].matched_at_least
        matched = sum(plan.matched.values())
        if matched < asked * min(plan.loaded, plan.rows_before):
            known = min(plan.loaded, plan.rows_before)
            poor.append(f"{name}: {wording.part(matched, known)}, {asked:.0%} asked for")
    return Finding(sum(e.loaded for e in before.plan.entities.values()), poor)


@check(Before, Level.REVIEW, serves=("M3",))
def every_value_fits(before: Before) -> Finding:
    """Every value of FileMaker fits the column that it feeds; others count as empty."""
    found = [
        (e.entity, m, m.stays + m.empty) for e in before.plan.entities.values() for m in e.misfits
    ]
    keys = [f"{entity}.{m.column}: {m.reason} ({count:,})" for entity, m, count in found if count]
    extracts = before.snapshot.extracts.values()
    lost = [(e.source, c) for e in extracts for c in e.cleaned if loses(c.what)]
    keys += [f"{source}.{c.field}: {c.what} ({c.records:,})" for source, c in lost]
    derived = sum(m.derived for _, m, _ in found)
    looked = sum(e.loaded for e in before.plan.entities.values())
    note = f"{derived:,} more are derived from another value" if derived else ""
    count = sum(count for *_, count in found) + sum(c.records for _, c in lost)
    return Finding(looked, keys, count=count, note=note)


def _missing(before: Before, entity: str, column: str) -> Finding:
    looked, missing = 0, []
    key = before.survey.keys[entity]
    for row in before.planned(entity):
        looked += 1
        if column and not row[column]:
            missing.append(row[key] or "")
    return Finding(looked, missing, empty=before.neither_side(entity))


@check(Before, Level.STOP, serves=("B3", "X5"))
def every_planned_patient_has_a_clinic(before: Before) -> Finding:
    """Every patient that will be there has a clinic.

    Without one the calendar cannot place the patient; settle it in FileMaker or waive it by name.
    """
    application = before.mapping.application
    return _missing(before, before.mapping.people(), application.patient_clinic)


@check(Before, Level.STOP, serves=("B4",))
def every_planned_appointment_has_a_clinic(before: Before) -> Finding:
    """Every appointment that will be there has a clinic."""
    calendar = before.mapping.application.calendar
    return _missing(before, calendar.entity, calendar.clinic)


@check(Before, Level.STOP, serves=("B4", "X4"))
def every_planned_appointment_has_a_clinician(before: Before) -> Finding:
    """Every appointment that will be there has a clinician; FileMaker holds none."""
    calendar = before.mapping.application.calendar
    return _missing(before, calendar.entity, calendar.clinician)


@check(Before, Level.STOP, serves=("B4", "X4"))
def every_planned_appointment_has_a_type(before: Before) -> Finding:
    """Every appointment that will be there has a type; FileMaker holds none."""
    calendar = before.mapping.application.calendar
    return _missing(before, calendar.entity, calendar.type)


@check(Before, Level.REVIEW, serves=("P5", "F1", "X5"))
def filemaker_names_a_clinic_for_every_patient(before: Before) -> Finding:
    """In FileMaker every patient has a clinic that Nexus knows."""
    return _fed_by(before, before.mapping.people(), before.mapping.application.patient_clinic)


@check(Before, Level.REVIEW, serves=("P6", "F4", "X4"))
def filemaker_names_clinic_clinician_and_type(before: Before) -> Finding:
    """In FileMaker every appointment has clinic, clinician and type."""
    calendar = before.mapping.application.calendar
    fed = before.mapping.entities[calendar.entity].columns
    absent = [c for c in (calendar.clinic, calendar.clinician, calendar.type) if c and c not in fed]
    found = _fed_by(before, calendar.entity, calendar.clinic)
    note = f"FileMaker has no field for {', '.join(absent)}" if absent else ""
    count = found.looked_at if absent else found.count
    return Finding(found.looked_at, found.offending, count=count, note=note, empty=found.empty)


def _fed_by(before: Before, entity: str, column: str) -> Finding:
    """Records whose feed of ``column`` is empty or names nothing that Nexus knows."""
    feed = before.mapping.entities[entity].columns.get(column)
    if feed is None:
        rows = before.plan.entities[entity].source_rows
        return Finding(rows, count=0, note="not fed", empty=before.neither_side(entity))
    source = before.mapping.entities[entity].source
    loaded = {line[4] for line in before.ledger() if line[1] == entity and line[2] in _LOADED}
    fields = feed.fields_used
    empty = [
        record[KEY] or ""
        for record in before.intake.records(source)
        if record[KEY] in loaded and not any((record[f] or "").strip() for f in fields)
    ]
    unknown = sum(
        m.stays + m.empty for m in before.plan.entities[entity].misfits if m.column == column
    )
    note = f"{len(empty):,} empty, {unknown:,} unknown to Nexus"
    return Finding(
        len(loaded), empty, count=len(empty) + unknown, note=note, empty=before.neither_side(entity)
    )


@check(Before, Level.REVIEW, serves=("X1", "X2", "X3", "F2"))
def asked_for_fields_exist(before: Before) -> Finding:
    """Every field that the clinic asks for exists in FileMaker."""
    fields = [(e.table, f) for e in before.snapshot.extracts.values() for f in e.fields]
    absent = [
        f"{table}.{f.name}" + (f" (nearest: {', '.join(f.nearest)})" if f.nearest else "")
        for table, f in fields
        if not f.found_as
    ]
    return Finding(len(fields), absent, note="Nexus keeps what it has" if absent else "")


# ------------------------------------------------------------------ documents and images


def _not_exported(before: Before, name: str) -> Finding:
    spec = before.mapping.attachments.get(name)
    if spec is None or not spec.exported:
        return Finding(1, note="not in this mapping")
    looked, empty = 0, []
    for record in before.intake.records(spec.source):
        looked += 1
        if not (record[spec.exported] or "").strip():
            empty.append(record[KEY] or "")
    none = "" if before.snapshot.extracts[spec.source].rows else f"FileMaker has no {name}"
    return Finding(looked, empty, note="S3 decides whether the file is there", empty=none)


@check(Before, Level.REVIEW, serves=("B5", "P7", "F5"), links=True)
def documents_carry_an_export_date(before: Before) -> Finding:
    """Every document of FileMaker has a NexusExportDate."""
    return _not_exported(before, "documents")


@check(Before, Level.REVIEW, serves=("B6", "P7", "F5"), links=True)
def images_carry_an_export_date(before: Before) -> Finding:
    """Every image of FileMaker has a NexusExportDate."""
    return _not_exported(before, "images")


@check(Before, Level.REVIEW, serves=("K1", "K2"), links=True)
def every_file_is_in_s3(before: Before) -> Finding:
    """Every document and image of Nexus has its file in the bucket."""
    stored = bucket.stored(before.census, before.folder)
    wanted = attachments.kept_files(before.intake)
    looked = sum(map(len, wanted.values()))
    missing = {name: sum(not stored.real(k) for k in keys) for name, keys in wanted.items()}
    notes = [f"{name}: {count:,} missing" for name, count in missing.items() if count]
    spelt = sum(stored.real(k) not in ("", k) for keys in wanted.values() for k in keys)
    if spelt:
        notes.append(f"{spelt:,} under a key in another form of Unicode than Nexus's")
    if stored.twins:
        notes.append(f"{stored.twins:,} keys of the bucket differ from another one in this alone")
    rows = sum(state.rows for state in before.survey.attachments.values())
    empty = "" if rows else "Nexus has no documents and images"
    return Finding(looked, count=sum(missing.values()), note=", ".join(notes), empty=empty)


@check(Before, Level.STOP, serves=("K1", "K2", "K13"), links=True)
def the_bucket_is_the_right_one(before: Before) -> Finding:
    """The bucket holds the files of at least nine in ten rows: it is this installation's."""
    stored = bucket.stored(before.census, before.folder)
    wanted = [k for keys in attachments.kept_files(before.intake).values() for k in keys]
    found = sum(bool(stored.real(key)) for key in wanted)
    off = [] if not wanted or found >= 0.9 * len(wanted) else [before.census.bucket]
    return Finding(max(1, len(wanted)), off, note=f"{found:,} of {len(wanted):,} files are there")


@check(Before, Level.STOP, serves=("K5", "M2"), waivable=False, links=True)
def no_batch_holds_images_of_two_patients(before: Before) -> Finding:
    """No batch holds images that FileMaker gives to different patients."""
    links = before.plan.links.values()
    return Finding(max(1, sum(p.rows for p in links)), [t for p in links for t in p.torn])


@check(Before, Level.STOP, serves=("R4", "R5", "K3", "K4", "K5"), links=True)
def no_attachment_is_lost_by_the_plan(before: Before) -> Finding:
    """As many documents and images hang on a live patient after as before, or more."""
    fewer = [
        f"{name}: {p.reachable_before:,} before, {p.reachable_after:,} after"
        for name, p in before.plan.links.items()
        if p.reachable_after < p.reachable_before
    ]
    return Finding(max(1, sum(p.rows for p in before.plan.links.values())), fewer)


# ------------------------------------------------------------------ the database and the backup


@check(Before, Level.STOP, serves=("M1", "K11"), links=True)
def nothing_unexplained_points_at_the_rows(before: Before) -> Finding:
    """The schema is safe to wipe: keys deferrable, no triggers, no unexplained ids, all rights."""
    problems = before.survey.problems
    return Finding(
        len(before.survey.tables) + before.survey.scanned_columns,
        [p.what for p in problems],
        note=" ".join(p.mend for p in problems),
    )


@check(Before, Level.STOP, serves=("R2", "R3"))
def keys_are_left_for_new_rows(before: Before) -> Finding:
    """Whole-number keys last for the plan's new rows and for the application's next one."""
    off = []
    for name, (first, last) in before.survey.next_keys.items():
        new = before.plan.entities[name].new
        if first + new > last:
            off.append(f"{name}: {new:,} new rows from key {first} on, the last is {last}")
    note = "" if before.survey.next_keys else "no key is a whole number"
    return Finding(max(1, len(before.survey.next_keys)), off, note=note)


@check(Before, Level.REVIEW, serves=("M1",), links=True)
def nothing_acts_beside_the_run(before: Before) -> Finding:
    """Nothing in the database acts when the run writes, or must be renewed when it is over."""
    return Finding(len(before.survey.tables), before.survey.notices)


@check(Before, Level.STOP, serves=("P1", "P2", "P3", "P4", "S4", "M1"), links=True)
def the_backup_is_whole(before: Before) -> Finding:
    """The dump lists every table, and each CSV has the rows that the survey saw."""
    short = [
        f"{entity.table}.csv"
        for name, entity in before.mapping.entities.items()
        if before.backup.csv_rows.get(f"{entity.table}.csv") != before.survey.rows[name].rows
    ]
    if before.backup.tables_in_dump < len(before.backup.contents):
        short.append(before.backup.dump)
    if not before.backup.dump_bytes:
        short.append(before.backup.dump)
    return Finding(len(before.backup.csv_rows) + before.backup.tables_in_dump, short)


@check(Before, Level.INFO, serves=("P8", "T1"), links=True)
def the_state_before_is_written_down(before: Before) -> Finding:
    """Counts of patients, appointments, documents and images before the run are recorded."""
    counts = [f"{n} {len_before(before, n):,}" for n in before.mapping.entities]
    counts += [
        f"{n} {s.linked:,} of {s.rows:,} linked" for n, s in before.survey.attachments.items()
    ]
    return Finding(len(counts), note=", ".join(counts))
