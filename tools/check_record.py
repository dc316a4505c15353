#!/usr/bin/env python3
"""Checks records of nexus_reimport, for an auditor who has none of its software.

    python3 check_record.py FOLDER [--seals FILE] [--allowed-signers FILE]

FOLDER is one record, or a folder of records (of one environment). It needs Python 3.9 or newer and
nothing else; it reads, and writes nothing. Exit code 0: a sealed record was there, and all that was
looked at is as it was sealed. Exit code 1: something is not, or could not be read by the fault of a
disk or of this account's rights, or nothing was there to check. Exit code 2: FOLDER is no folder,
or FILE cannot be read; nothing was checked.

What the database holds is compared if it is given, as lines ``run,number,verdict,seal``:

    psql -At -F, -c "SELECT run, sequence, verdict, seal FROM nexus_reimport.runs
                     WHERE environment = 'prod'" > seals.txt

A record is a BagIt bag (RFC 8493). ``tagmanifest-sha256.txt`` vouches for the files at the top, of
which ``manifest-sha256.txt`` vouches for those under ``data/``. The SHA-256 of the former is the
record's seal. ``bag-info.txt`` has the record's number, and the seal of the record before it.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

PAYLOAD, TAGS, MANIFEST = "data", "tagmanifest-sha256.txt", "manifest-sha256.txt"
TOP = {"bagit.txt", "bag-info.txt", "README.txt", MANIFEST}
DECLARED = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
SIGNATURE = TAGS + ".sig"
SIGNED = "Signed-By"  # in bag-info.txt: who has signed the record
NOT_SIGNED = "Not-Signed"  # in bag-info.txt: why it is not signed, though it should be
NAMESPACE = "nexus-reimport-record"  # of the signature, which is of nothing else
REGISTER, NOTE = ".register", "last_line"  # beside the records: what people did to them since
FOUND_CHANGED = "found changed"  # in the register: it counts from such a line on
LAST_SEAL = ".last_seal"  # beside the records: which one was sealed last
ARCHIVED = ".archived.jsonl"  # beside the records: what is in the archive
INDEX = "index.html"  # may lie beside the records: the list of them, which nothing vouches for
LINKED = "it has another name elsewhere (a hard link), by which it can be changed"
UNSEEN = "records cut off at the end, or all made anew with their seals, would not be found"
OPEN = "open: nothing but its own journal vouches for it before its seal"
BESIDE = {LAST_SEAL, ARCHIVED, REGISTER, ".at_work", ".window", ".window_lock", INDEX}
DRAFT = re.compile(r"[\w.-]+\.new", re.ASCII)  # what a kill may have left
LARGEST = 1 << 24  # bytes of a journal
SEALING = 60  # seconds that a seal may take
MEMBERS = {
    "settled": {"committed"},
    "void": {"of"},
    "redacted": {"places"},
    "kept": {"file", "sha256"},
}
PAGES = (".html", ".ipynb")  # which are written anew where something is taken out of one
CHECKED = {"checks_after", "checks_rollback", "sign_off"}  # stages after COMMIT
COMMITTED = ("COMPLETE", "COMMITTED_UNVERIFIED", "UNDONE")
NOT_COMMITTED = ("STOPPED", "FAILED", "KILLED", "PARTIAL", "IN_DOUBT")


class TooLarge(Exception):
    """A journal that no run can have written."""


def sha256(path):
    """The SHA-256 of a file, read in pieces."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            found.update(piece)
    return found.hexdigest()


def is_file(path):
    """Whether it is a file itself: a link to one is none."""
    return path.is_file() and not path.is_symlink()


def not_read(error):
    """Why something could not be read, by the fault of a disk, a limit or this account's rights."""
    return f"not read ({error.strerror or type(error).__name__}): look as who may read it"


def seal_of(bag):
    """The seal of a record; "" while it is open."""
    return sha256(bag / TAGS) if is_file(bag / TAGS) else ""


def check_links(folder, problems):
    """Whether a file in a folder, not below it, has another name elsewhere."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_file(path) and path.stat().st_nlink > 1:
            problems.append(f"{path.name}: {LINKED}")


def facts_of(bag):
    """What bag-info.txt says: labels and facts, in its order."""
    path = bag / "bag-info.txt"
    text = path.read_bytes().decode("utf-8", "replace") if is_file(path) else ""
    parts = [line.partition(":") for line in re.sub(r"\n[ \t]+", " ", text).splitlines()]
    return [(label.strip(), fact.strip()) for label, colon, fact in parts if colon]


def info_of(bag):
    """What bag-info.txt says, by its labels."""
    return dict(facts_of(bag))


def number_of(bag):
    """The record's number; 0 where it has none."""
    text = info_of(bag).get("Sequence", "")
    return int(text) if re.fullmatch("[1-9][0-9]{0,17}", text) else 0


# ---------------------------------------------------------------- one record


def read_manifest(path, problems):
    """Path -> hash."""
    found = {}
    if not is_file(path):
        problems.append(f"{path.name}: missing")
        return found
    text = path.read_bytes().decode("utf-8", "replace")
    lines = (text[:-1] if text.endswith("\n") else text).split("\n")
    for number, line in enumerate(lines, 1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if not match:
            problems.append(f"{path.name}: line {number} cannot be read")
            continue
        name = match[2].replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
        if name in found:
            problems.append(f"{path.name}: {spelt(name)} is named twice")
        found[name] = match[1]
    return found


def everything_below(folder, bag, problems):
    """The files below a folder; links, empty folders and the like are problems."""
    found = set()
    if folder.is_symlink():
        problems.append(f"{folder.name}: a symbolic link")
    for at, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(at, name)
            inside = path.relative_to(bag).as_posix()
            told = spelt(inside)
            if path.is_symlink():
                problems.append(f"{told}: a symbolic link")
            elif path.is_file():
                found.add(inside)
                if path.stat().st_nlink > 1:
                    problems.append(f"{told}: {LINKED}")
            elif not path.is_dir():
                problems.append(f"{told}: not a file")
            elif not any(path.iterdir()):
                problems.append(f"{told}: an empty folder")
    return found


def compare(bag, expected, there, problems):
    """Files against the hashes of a manifest."""
    for name in sorted(set(expected) | there):
        if name not in expected:
            problems.append(f"{spelt(name)}: added after the seal")
        elif name not in there or not is_file(bag / name):
            problems.append(f"{spelt(name)}: missing")
        elif sha256(bag / name) != expected[name]:
            problems.append(f"{spelt(name)}: changed after the seal")


def lines_of(path):
    """The lines of a journal; none where there is none."""
    if is_file(path) and path.stat().st_size > LARGEST:
        raise TooLarge(
            f"{path.name}: it has more than {LARGEST / 1e6:.0f} MB: no run writes so much"
        )
    lines = path.read_bytes().split(b"\n") if is_file(path) else [b""]
    return lines[:-1] if lines[-1] == b"" else lines


def parsed(raw):
    """What a line of a journal says; None where it was cut. What is said twice has no number."""
    twice = []

    def once(pairs):
        made = dict(pairs)
        twice.extend(made if len(made) != len(pairs) else ())
        return made

    try:
        line = json.loads(raw, object_pairs_hook=once)
        if not isinstance(line["event"], str):
            return None
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    lacks = MEMBERS.get(line["event"], set()) - set(line) or not has_time(line)
    is_odd = twice or lacks or not isinstance(line.get("stage", ""), str)
    return dict(line, n=None) if is_odd else line


def has_time(line):
    """Whether a line of a journal says when it was written, and in which zone."""
    try:
        return datetime.fromisoformat(line["at"]).tzinfo is not None
    except (KeyError, TypeError, ValueError):
        return False


def check_journal(path, problems, remarks, first=1):
    """Whether each line follows on the one before; the events of those that do."""
    lines = lines_of(path)
    told = path.name if path.parent.name == PAYLOAD else f"{path.parent.name}/{path.name}"
    events, before = [], hashlib.sha256(lines[first - 2]).hexdigest() if first > 1 else ""
    for number, raw in enumerate(lines[first - 1 :], first):
        line = parsed(raw)
        if line is None:
            remarks.append(f"{told}: line {number} was cut while it was written")
        elif (line.get("n"), line.get("before")) != (number, before):
            problems.append(f"{told}: line {number} does not follow on the one before")
            return events
        else:
            events.append((line["event"], line))
        before = hashlib.sha256(raw).hexdigest()
    return events


def check_names(bag, events, problems):
    """Whether all that names the run and its verdict names the same."""
    told = info_of(bag)
    path = bag / PAYLOAD / "verdict.json"
    try:
        verdict = json.loads(path.read_bytes() if is_file(path) else b"")
        written = (verdict["run"], verdict["environment"], verdict["verdict"])
    except (ValueError, KeyError, TypeError, RecursionError):
        problems.append("data/verdict.json: missing or damaged")
        return
    if (told.get("Run"), told.get("Environment"), told.get("Verdict")) != written:
        problems.append("bag-info.txt and data/verdict.json differ")
    if written[0] != bag.name:
        problems.append(f"it is of run {written[0]}, the folder is called {spelt(bag.name)}")
    opened = next((line for event, line in events if event == "opened"), {})
    if (opened.get("run"), opened.get("environment")) != written[:2]:
        problems.append("data/journal.jsonl: it is of another run")
    kind = str(opened.get("kind", "") or "reimport")
    if opened and told.get("Kind", kind) != kind:
        problems.append("bag-info.txt: its kind is not the one that the journal says")
    # A seal is the last that happens: one with other lines behind it was given up.
    sealed = [line.get("verdict") for event, line in events[-1:] if event == "sealed"]
    if sealed != [written[2]]:
        problems.append("data/journal.jsonl: it was sealed with another verdict, or not at all")
    else:
        check_verdict(written[2], events, problems)


def check_verdict(verdict, events, problems):
    """Whether the journal says what the verdict says: that the run was committed, and verified."""
    if verdict not in COMMITTED + NOT_COMMITTED:
        problems.append("data/verdict.json: it is none of the verdicts that there are")
        return
    happened = {event for event, _ in events}
    committed = is_committed(events)
    if committed != (verdict in COMMITTED):
        is_not = "" if committed else " not"
        problems.append(
            f"data/verdict.json: it is {verdict}, and by the journal the run was{is_not} committed"
        )
    elif verdict == "COMPLETE" and "verified" not in happened:
        problems.append("data/verdict.json: it is COMPLETE, and the journal has no verification")
    elif verdict == "COMPLETE" and failed_since(events):
        problems.append("data/verdict.json: it is COMPLETE, and a check has failed since")
    elif verdict == "UNDONE" and "undone" not in happened:
        problems.append("data/verdict.json: it is UNDONE, and by the journal nobody has undone it")


def is_committed(events):
    """Whether a journal says that its run was committed."""
    return any(e == "committed" or (e == "settled" and line["committed"]) for e, line in events)


def failed_since(events):
    """Whether a check after COMMIT has failed since the run was verified."""
    order = [e for e, line in events if e == "verified" or is_of_checks(e, line)]
    return order[-1:] == ["failed"]


def is_of_checks(event, line):
    """Whether it says that a check after COMMIT failed."""
    return event == "failed" and line.get("stage") in CHECKED


def digest_of(value):
    """The digest of what a value holds."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def own_digest(value):
    """The digest of a value that says its own; nothing where it says another one."""
    digest = digest_of(dict(value, digest=""))
    return digest if value.get("digest") == digest else ""


def value_of(path):
    """What a value's file holds; nothing where it is missing or damaged."""
    try:
        value = json.loads(path.read_bytes() if is_file(path) else b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def is_approved(events):
    """Whether what was proposed last was approved, and nothing has made that void since."""
    approved = False
    for event, line in events:
        stage = line.get("stage") if event == "finished" else ""
        if stage in ("approval", "proposal", "rollback_proposal"):
            approved = stage == "approval"
        elif event == "void" and "approval" in line["of"]:
            approved = False
    return approved


def redacted_of(events):
    """The files of a record from which something was taken out."""
    places = (place for event, line in events if event == "redacted" for place in line["places"])
    return {Path(str(file)).name for file, _, _ in places}


def check_kept(bag, events, problems):
    """Whether values, lists and pages are as they were written, if no kill has ended the run."""
    kept, running = {}, set()
    for event, line in events:
        if event == "kept":
            kept[str(line.get("file"))] = line["sha256"]
        elif event == "page" and isinstance(line.get("sha256"), dict):
            kept.update((f"{line.get('page')}.{kind}", d) for kind, d in line["sha256"].items())
        elif event == "started":
            running.add(line.get("stage"))
        elif event in ("finished", "failed"):
            running.discard(line.get("stage"))
    running -= CHECKED
    redacted = {file for file in redacted_of(events) if Path(file).suffix not in PAGES}
    for file in sorted(set(kept) - redacted) if not running else ():
        path = bag / PAYLOAD / file
        if path.parent == bag / PAYLOAD and is_file(path) and sha256(path) != kept[file]:
            problems.append(f"{file}: it is not what its stage has written")


def check_missing(bag, events, problems):
    """Whether the files are there that the journal says the run has made."""
    expected = {"environment.json"}
    for event, line in events:
        if event == "page":
            expected.update(f"{line.get('page')}{ending}" for ending in PAGES)
        elif event == "kept" and Path(str(line["file"])).suffix == ".json":
            expected.add(str(line["file"]))  # a list goes away where a later plan has none
        elif event == "void":
            expected -= {f"{name}.json" for name in line["of"]}
    for name in sorted(expected):
        if not is_file(bag / PAYLOAD / name):
            problems.append(f"data/{name}: missing, and the journal says that the run has made it")


def check_approved(bag, events, problems):
    """Whether plan, snapshot and schema are those of the digest that a person has approved."""
    check_kept(bag, events, problems)
    redacted = redacted_of(events)
    payload = bag / PAYLOAD
    back = is_file(payload / "rollback_proposal.json")
    name = "rollback_proposal.json" if back else "proposal.json"
    if not is_file(payload / "approval.json") or "approval.json" in redacted:
        return
    if any(event == "opened" for event, _ in events) and not is_approved(events):
        problems.append(
            "approval.json: the journal does not say that what was proposed last was approved"
        )
    if name in redacted:
        return
    proposal = value_of(payload / name)
    digest = own_digest(proposal)
    if not digest or digest != value_of(payload / "approval.json").get("digest"):
        problems.append(f"{name}: it is not what was approved")
        return
    bound = {"plan.json": "plan", "snapshot.json": "snapshot", "survey.json": "schema"}
    for file, member in () if back else bound.items():
        value = value_of(payload / file)
        try:
            if member == "plan":
                found = own_digest(value)
            elif member == "snapshot":
                found = digest_of({n: e["file"]["sha256"] for n, e in value["extracts"].items()})
            else:
                found = digest_of([[f["place"], f["shown"], f["digest"]] for f in value["schema"]])
        except (KeyError, TypeError, AttributeError):
            found = ""
        if file not in redacted and found != proposal.get(member):
            problems.append(f"{file}: its {member} is not the one that was approved")


def check_signature(bag, signers, problems, remarks):
    """The signature of the tag manifest, by ssh-keygen, if the record says that it is signed."""
    told = info_of(bag)
    who = told.get(SIGNED, "none")
    if who in ("none", ""):
        if signers:
            remarks.append(f"not signed: {told.get(NOT_SIGNED, 'it does not say why')}")
        return
    if not is_file(bag / SIGNATURE):
        problems.append(f"{SIGNATURE}: missing, and the record says that {who} has signed it")
    elif not signers:
        remarks.append(f"the signature of {who} was not checked: --allowed-signers FILE does it")
    else:
        command = [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            str(signers),
            "-I",
            who,
            "-n",
            NAMESPACE,
            "-s",
            str(bag / SIGNATURE),
        ]
        try:
            with (bag / TAGS).open("rb") as file:
                done = subprocess.run(command, stdin=file, capture_output=True, check=False)
        except OSError:
            problems.append(f"{SIGNATURE}: not checked: ssh-keygen cannot be run on this machine")
            return
        if done.returncode != 0:
            problems.append(
                f"{SIGNATURE}: it is no signature of {who} that {signers.name} allows now"
            )


def check_files(bag, problems):
    """The files of a bag against its manifests."""
    if is_file(bag / "bagit.txt") and (bag / "bagit.txt").read_bytes() != DECLARED:
        problems.append("bagit.txt: it does not declare a bag of this form")
    labels = [label.casefold() for label, _ in facts_of(bag)]  # a bag reads both as one
    for label in sorted(set(labels)):
        if labels.count(label) > 1:
            problems.append(f"bag-info.txt: {label} is told twice")
    if not number_of(bag):
        problems.append("bag-info.txt: it has no number")
    tags = read_manifest(bag / TAGS, problems)
    if set(tags) != TOP:
        problems.append(f"{TAGS}: it does not name the files that it must")
    beside = {PAYLOAD, TAGS}
    if info_of(bag).get(SIGNED, "none") not in ("none", ""):
        beside.add(SIGNATURE)
    compare(bag, tags, {path.name for path in bag.iterdir()} - beside, problems)
    check_links(bag, problems)
    there = everything_below(bag / PAYLOAD, bag, problems)
    manifest = read_manifest(bag / MANIFEST, problems)
    compare(bag, manifest, there, problems)
    size = sum((bag / name).stat().st_size for name in there)
    if info_of(bag).get("Payload-Oxum") != f"{size}.{len(there)}":
        problems.append("bag-info.txt: Payload-Oxum is not the size of the files")


def check_record(bag, signers=None):
    """One record: whether it is sealed, what is wrong with it, and what is good to know."""
    problems, remarks = [], []
    if bag.is_symlink():
        return False, ["a symbolic link"], remarks
    if (bag / "journal.jsonl").is_file() and not (bag / PAYLOAD).exists():
        return False, ["a record of a former version, which is no bag"], remarks
    if not is_file(bag / PAYLOAD / "journal.jsonl"):
        names = (f"{PAYLOAD}/journal.jsonl", TAGS)
        if any(is_file(one / name) for one in bag.iterdir() for name in names):
            return False, ["a folder of records: check it by itself"], remarks
        return False, ["a folder without a journal"], remarks
    events = check_journal(bag / PAYLOAD / "journal.jsonl", problems, remarks)
    for event, line in events:
        if event == "redacted":
            places = "; ".join(f"{file}, line {n}: {kind}" for file, n, kind in line["places"])
            remarks.append(f"redacted by {line.get('who')}, {line.get('at')}: {places}")
    if not os.path.lexists(bag / TAGS):
        check_approved(bag, events, problems)
        if any(event == "sealed" for event, _ in events):
            problems.append("its seal was cut short, or taken away")
        if not problems and not any(event in ("opened", "settled") for event, _ in events):
            problems.append("journal.jsonl: its beginning is missing: bring it back from a backup")
        return False, problems, remarks
    check_files(bag, problems)
    if not problems:  # what was changed after the seal is named already
        check_approved(bag, events, problems)
        check_missing(bag, events, problems)
    check_names(bag, events, problems)
    check_signature(bag, signers, problems, remarks)
    return True, problems, remarks


# ---------------------------------------------------------------- several records


def check_chain(runs, names, problems):
    """Whether the records of a folder are numbered without a gap and name each other's seals."""
    numbers = {}
    for name in names:
        if number_of(runs / name) and seal_of(runs / name):
            numbers.setdefault(number_of(runs / name), []).append(name)
    for number, several in sorted(numbers.items()):
        if len(several) > 1:
            problems.append(f"number {number} is taken twice: {', '.join(several)}")
        for name in several:
            told = info_of(runs / name)
            before, seal = told.get("Record-Before", "none"), told.get("Seal-Before", "none")
            if before == "none":
                if number != 1:
                    problems.append(f"{name}: number {number}, and no record before it is named")
            elif before not in names:
                problems.append(f"{before}: missing, and {name} was sealed after it")
            elif seal_of(runs / before) != seal:
                problems.append(f"{before}: not the record that {name} was sealed after")
            elif number_of(runs / before) != number - 1:
                problems.append(f"{before}: its number is not the one before {number}, of {name}")
    several = sorted({info_of(runs / name).get("Environment", "") for name in names} - {""})
    if len(several) > 1:
        problems.append(f"records of several environments: {', '.join(several)}")
    check_last(runs, numbers, problems)


def check_last(runs, numbers, problems):
    """Whether the last record is the one that was sealed last."""
    last = numbers[max(numbers)][-1] if numbers else ""
    try:
        path = runs / LAST_SEAL
        noted = json.loads(path.read_bytes() if is_file(path) else b"")
        expected = (noted["run"], noted["sequence"], noted["seal"])
    except (ValueError, KeyError, TypeError, RecursionError):
        if last:
            problems.append(".last_seal, the note of the last seal, is missing or damaged")
        return
    if not last or (last, max(numbers), seal_of(runs / last)) != expected:
        problems.append(f".last_seal: {expected[0]} was sealed last, and it is not the last here")


def check_archived(runs, names, problems):
    """Whether each record that the archive has, by the list beside the records, is here."""
    for raw in lines_of(runs / ARCHIVED):
        try:
            line = json.loads(raw)
            run, seal, place = str(line["run"]), line["seal"], f"{line['bucket']}/{line['key']}"
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # cut while it was written
        if run not in names:
            problems.append(f"{run}: missing, and the archive has it: {place}")
        elif seal_of(runs / run) != seal:
            problems.append(f"{run}: not the record that was archived: {place}")


def check_unsigned(runs, names, problems):
    """Whether a record without a signature, that does not say why, comes after one that has one."""
    signed = ""
    sealed = [name for name in names if seal_of(runs / name)]
    for name in sorted(sealed, key=lambda name: number_of(runs / name)):
        told = info_of(runs / name)
        if told.get(SIGNED, "none") not in ("none", ""):
            signed = name
        elif signed and NOT_SIGNED not in told:
            problems.append(
                f"{name}: it is not signed, and does not say why; {signed}, before it, is"
            )


def check_register(runs, names, problems, remarks):
    """The register beside the records: its lines, the note of the last one, what the seals hold."""
    folder = runs / REGISTER
    path = folder / "journal.jsonl"
    if any(part.is_symlink() for part in (folder, path, folder / NOTE)):
        problems.append(f"{REGISTER}: a part of it is a symbolic link")
    elif folder.exists() and not folder.is_dir():
        problems.append(f"{REGISTER}: it is not a folder")
    elif any(part.exists() and not is_file(part) for part in (path, folder / NOTE)):
        problems.append(f"{REGISTER}: a part of it is not a file")
    check_links(folder, problems)
    lines = lines_of(path)
    hashes = [hashlib.sha256(raw).hexdigest() for raw in lines]
    check_note(folder / NOTE, lines, hashes, problems)
    changed = [
        n for n, raw in enumerate(lines, 1) if (parsed(raw) or {}).get("event") == FOUND_CHANGED
    ]
    for number in changed:
        line = parsed(lines[number - 1])
        told = (
            f"line {number}, by {line.get('who')}, {line.get('at')}: the register was found changed"
        )
        remarks.append(f"{REGISTER}: {told}: {line.get('why')}")
    check_journal(path, problems, remarks, changed[-1] if changed else 1)
    held = 0
    for name in names:
        told = info_of(runs / name).get("Register", "none") if seal_of(runs / name) else "none"
        number, _, digest = told.partition(" ")
        if told != "none" and not re.fullmatch("[1-9][0-9]{0,8} [0-9a-f]{64}", told):
            problems.append(f"{REGISTER}: {name} does not say which line it was sealed with")
        elif told != "none":
            held = max(held, int(number))
            if hashes[int(number) - 1 : int(number)] != [digest]:
                problems.append(
                    f"{REGISTER}: line {number} is not the one that {name} was sealed with"
                )
    if since := max(0, len(lines) - held):
        counted = "1 line" if since == 1 else f"{since} lines"
        remarks.append(f"{REGISTER}: {counted} since the last seal; no record holds them")


def check_note(path, lines, hashes, problems):
    """Whether the register ends with the line that was noted, or the one that was written then."""
    try:
        noted = json.loads(path.read_bytes() if is_file(path) else b"")
        number, digest, writing = noted["n"], noted["sha256"], noted["writing"]
        if type(number) is not int or number < 0:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        if lines:
            problems.append(f"{REGISTER}: {NOTE}, the note of its last line, is missing or damaged")
        return
    if number > len(lines):
        problems.append(f"{REGISTER}: {number - len(lines)} lines missing at its end")
    elif number > 0 and hashes[number - 1] != digest:
        problems.append(f"{REGISTER}: line {number} is not the one that was written last")
    for later in range(number, len(lines)):
        if parsed(lines[later]) is not None and hashes[later] != writing:
            problems.append(f"{REGISTER}: line {later + 1} was never noted")


def read_seals(path):
    """Run -> (number, verdict, seal), as the database holds them; ValueError for another form."""
    found = {}
    text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        values = line.strip().split(",")
        if values[0] in found:
            raise ValueError(f"line {number}: run {values[0]} is named twice")
        if len(values) == 4 and values != ["run", "sequence", "verdict", "seal"]:
            found[values[0]] = tuple(values[1:])
        elif line.strip() and len(values) != 4:
            raise ValueError(f"line {number} is not run,number,verdict,seal")
    return found


def compare_seals(place, names, seals, problems):
    """The records against what the database holds, both ways."""
    for run, held in sorted(seals.items()):
        if run in names:
            problems.extend(f"{run}: {text}" for text in differences(place / run, held))
        else:
            problems.append(f"{run}: missing, and the database says that it was committed")
    for name in names:
        if name not in seals and says_committed(place / name):
            problems.append(f"{name}: the database does not know it, and it says it was committed")


def differences(bag, held):
    """What the database holds of a record that is here, and the record does not say."""
    told, seal = info_of(bag), seal_of(bag)
    if not seal:
        return ["the database has its seal, and the record is not sealed"] if held[2] else []
    if not held[2]:
        return ["the database has no seal of it yet: it could not be compared"]
    here = (told.get("Sequence"), told.get("Verdict"), seal)
    what = ("number", "verdict", "seal")
    other = [what[n] for n in range(3) if here[n] != held[n]]
    return [f"the database holds another {' and another '.join(other)} of it"] if other else []


def says_committed(bag):
    """Whether a record says that its run was committed: its journal, or what was made of it."""
    if info_of(bag).get("Verdict") in COMMITTED:
        return True
    path = bag / PAYLOAD / "journal.jsonl"
    return is_file(path) and is_committed(check_journal(path, [], []))


def where_it_ends(place, names, seals):
    """What the database cannot vouch for, since it knows only runs that were committed."""
    last = max((number_of(place / name) for name in names if name in seals), default=0)
    return (
        f"the database knows no run after number {last}. Later runs wrote nothing; whether the last"
        f" of them is genuine, only {LAST_SEAL} tells: if both were replaced, nobody finds it"
    )


def check_together(place, inside, names, signers, problems, remarks):
    """What lies beside the records, and the records with each other."""
    for path in inside:
        if path.is_symlink():
            problems.append(f"{path.name}: a symbolic link")
        elif path.name == INDEX and path.is_file():
            remarks.append(f"{INDEX}: not looked at; nothing vouches for what it says")
        elif path.name in BESIDE or DRAFT.fullmatch(path.name):
            if path.name == LAST_SEAL and path.is_file() and path.stat().st_nlink > 1:
                problems.append(f"{path.name}: {LINKED}")
        elif path.name.startswith("."):
            remarks.append(f"{spelt(path.name)}: not looked at; it is no part of the records")
        elif not path.is_dir():
            problems.append(f"{spelt(path.name)}: not a record")
    check_chain(place, names, problems)
    check_archived(place, names, problems)
    if signers:
        check_unsigned(place, names, problems)
    try:
        check_register(place, names, problems, remarks)
    except OSError:
        raise
    except Exception as error:  # nor must the register keep the records from being told
        problems.append(f"{REGISTER}: cannot be read ({type(error).__name__})")


def wait_for_seals(place):
    """Wait while a record is being sealed here; the folder's lock, to be closed, if it has one."""
    try:
        import fcntl

        handle = os.open(place, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    for _ in range(SEALING * 10):
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(0.1)
        except OSError:
            break
    return handle


def spelt(name):
    """The name of a file: ours are ASCII, and one that only looks like one of them is not."""
    return "".join(c if c.isascii() else ascii(c)[1:-1] for c in name)


def visible(text):
    """One line: what has no look of its own is spelt out, so that a name cannot pass for lines."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def check(folder, seals=None, signers=None, say=print):
    """Whether all in ``folder`` is as it was sealed."""
    folder = Path(folder).resolve()
    single = (folder / PAYLOAD).is_dir() or os.path.lexists(folder / TAGS)
    place = folder.parent if single else folder
    handle = wait_for_seals(place)
    try:
        return check_all(folder, place, single, seals, signers, lambda text: say(visible(text)))
    finally:
        if handle is not None:
            os.close(handle)


def say_of_record(bag, signers, say):
    """What is said of one record; whether it is sealed, and whether something is wrong with it."""
    state, name = OPEN, spelt(bag.name)
    try:
        is_sealed, problems, remarks = check_record(bag, signers)
        if is_sealed:
            facts = info_of(bag)
            of, verdict = (facts.get(label, "unknown") for label in ("Environment", "Verdict"))
            state = f"as sealed, of {of}, {verdict}, seal {seal_of(bag)}"
    except TooLarge as error:
        is_sealed, problems, remarks = False, [str(error)], []
    except OSError:
        raise
    except Exception as error:  # one record must not keep the others from being checked
        is_sealed, problems, remarks = False, [f"cannot be read ({type(error).__name__})"], []
    say(f"{name}: {'; '.join(problems) or state}")
    for remark in remarks:
        say(f"  {remark}")
    return is_sealed, bool(problems)


def check_all(folder, place, single, seals, signers, say):
    """What ``check`` says, while nothing is being sealed."""
    inside = [folder] if single else sorted(place.iterdir())
    names = [p.name for p in inside if p.is_dir() and not p.is_symlink() and p.name[0] != "."]
    sealed, wrong, unread = 0, False, []
    for name in names:
        try:
            is_sealed, is_wrong = say_of_record(place / name, signers, say)
        except OSError as error:  # of a disk, a limit or an account: nothing is said against it
            unread.append(spelt(name))
            say(f"{spelt(name)}: {not_read(error)}")
        else:
            sealed, wrong = sealed + is_sealed, wrong or is_wrong
    if unread:  # it would be said of them that they are missing, or others
        say(f"not compared with each other, nor with what the database holds: {', '.join(unread)}")
        return False
    problems, remarks = [], []
    try:
        if not single:
            check_together(place, inside, names, signers, problems, remarks)
    except OSError as error:
        say(f"not compared with each other: {not_read(error)}")
        return False
    if seals is None:
        beside = ", nor with the records before and after it" if single else ""
        say(f"not compared with what the database holds (--seals){beside}: {UNSEEN}")
    else:
        chosen = {n: s for n, s in seals.items() if not single or n == folder.name}
        compare_seals(place, names, chosen, problems)
        if not single:
            remarks.append(where_it_ends(place, names, seals))
    for told in problems + remarks:
        say(told)
    if not sealed:
        say("nothing was checked: there is no sealed record")
    return bool(sealed) and not wrong and not problems


def main():
    """The command."""
    parser = argparse.ArgumentParser(description="Checks records of nexus_reimport.")
    parser.add_argument("folder", type=Path, help="one record, or a folder of records")
    parser.add_argument("--seals", type=Path, help="what the database holds; - for standard input")
    parser.add_argument("--allowed-signers", type=Path, help="as ssh-keygen -Y verify takes it")
    given = parser.parse_args()
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is not a folder")
    try:
        seals = read_seals(given.seals) if given.seals else None
    except (OSError, ValueError) as error:
        parser.error(f"{given.seals}: {error}")
    if given.allowed_signers and not given.allowed_signers.is_file():
        parser.error(f"{given.allowed_signers} is not a file")
    sys.exit(0 if check(given.folder, seals, given.allowed_signers) else 1)


if __name__ == "__main__":
    main()
