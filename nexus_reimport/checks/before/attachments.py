"""Checks before: documents and images, their links, and their files in S3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nexus_reimport import naming, wording
from nexus_reimport.checks import Finding, bucket, check, one_by_one
from nexus_reimport.checks.before.subject import Before
from nexus_reimport.files import columns
from nexus_reimport.model import KEY, Level
from nexus_reimport.planning import attachments

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column


def _single(before: Before) -> Iterable[str]:
    return _dated(before, by_batch=False)


def _in_batches(before: Before) -> Iterable[str]:
    return _dated(before, by_batch=True)


def _dated(before: Before, *, by_batch: bool) -> Iterable[str]:
    """Those for which the mapping names a field with the day of the export."""
    attachments_of = before.mapping.attachments
    return (n for n in before.mapping.attached(by_batch=by_batch) if attachments_of[n].exported)


def _not_exported(before: Before, name: str) -> Finding:
    spec = before.mapping.attachments[name]
    looked, empty = 0, []
    for record in before.intake.records(spec.source):
        looked += 1
        if not (record[spec.exported] or "").strip():
            empty.append(record[KEY] or "")
    has_some = before.snapshot.extracts[spec.source].rows
    none = "" if has_some else f"FileMaker has no {naming.rows(name)}"
    return Finding(looked, empty, note="S3 decides whether the file is there", empty=none)


@check(Before, Level.REVIEW, serves=("B5", "P7", "F5"), links=True)
@one_by_one(_single)
def documents_carry_an_export_date(before: Before, name: str) -> Finding:
    """Every FileMaker document has a NexusExportDate."""
    return _not_exported(before, name)


@check(Before, Level.REVIEW, serves=("B6", "P7", "F5"), links=True)
@one_by_one(_in_batches)
def images_carry_an_export_date(before: Before, name: str) -> Finding:
    """Every FileMaker image has a NexusExportDate."""
    return _not_exported(before, name)


@check(Before, Level.REVIEW, serves=("K1", "K2"), links=True)
def every_file_is_in_s3(before: Before) -> Finding:
    """Every document and image of Nexus has its file in the bucket.

    macOS writes names decomposed: a key may differ from Nexus's in its Unicode form alone.
    """
    stored = bucket.stored(before.census, before.folder)
    wanted = attachments.kept_files(before.intake)
    looked = sum(map(len, wanted.values()))
    real = {name: stored.reals(keys) for name, keys in wanted.items()}
    missing = {name: keys.null_count for name, keys in real.items()}
    notes = [f"{name}: {count:,} missing" for name, count in missing.items() if count]
    respelt = sum(columns.differing(real[name], keys) for name, keys in wanted.items())
    if respelt:
        notes.append(f"{respelt:,} under a key that differs from Nexus's only in its Unicode form")
    if stored.twins:
        twins = wording.amount(
            stored.twins, "key of the bucket differs", "keys of the bucket differ"
        )
        notes.append(f"{twins} from another only in that form")
    rows = sum(state.rows for state in before.survey.attachments.values())
    empty = "" if rows else "Nexus has no documents and images"
    return Finding(looked, count=sum(missing.values()), note=", ".join(notes), empty=empty)


@check(Before, Level.STOP, serves=("K1", "K2", "K13"), links=True)
def the_bucket_is_the_right_one(before: Before) -> Finding:
    """The bucket is this installation's: it holds the files of at least nine in ten rows."""
    stored = bucket.stored(before.census, before.folder)
    wanted = attachments.kept_files(before.intake).values()
    looked = sum(map(len, wanted))
    present = looked - sum(stored.reals(keys).null_count for keys in wanted)
    # earlier imports left a few rows without a file; another bucket would have hardly any
    off = [] if present >= 0.9 * looked else [before.census.bucket]
    note = f"{wording.part(present, looked)} {'file is' if looked == 1 else 'files are'} there"
    return Finding(max(1, looked), off, note=note + (_outside(before, wanted) if off else ""))


def _outside(before: Before, wanted: Iterable[Column]) -> str:
    """That keys were not listed, as no prefix covers them: the bucket may be the right one."""
    listed = before.settings.s3.prefixes
    outside = sum(not str(key).startswith(listed) for keys in wanted for key in keys.to_pylist())
    if not outside:
        return ""
    return (
        f"; {wording.amount(outside, 'key begins', 'keys begin')} with no prefix of [s3]"
        " prefixes, so they were not looked for: name there how the keys begin"
    )


@check(Before, Level.STOP, serves=("K5", "M2"), waivable=False, links=True)
def no_batch_holds_images_of_two_patients(before: Before) -> Finding:
    """FileMaker gives all images of one batch to one patient: a batch has only one link."""
    links = before.plan.links.values()
    return Finding(max(1, sum(p.rows for p in links)), [t for p in links for t in p.split_groups])


@check(Before, Level.STOP, serves=("R4", "R5", "K3", "K4", "K5"), links=True)
def no_attachment_is_lost_by_the_plan(before: Before) -> Finding:
    """At least as many documents and images belong to an existing patient after as before."""
    fewer = [
        f"{name}: {p.reachable_before:,} before, {p.reachable_after:,} after"
        for name, p in before.plan.links.items()
        if p.reachable_after < p.reachable_before
    ]
    # By their ids too: as many others may belong to a patient for the first time.
    lost = [f"{name} {key}" for name, p in before.plan.links.items() for key in p.lost]
    looked = sum(p.rows for p in before.plan.links.values())
    return Finding(max(1, looked), [*fewer, *lost])
