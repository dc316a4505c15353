"""What to do when a run is committed but unverified, or in doubt.

``runbook/README.md`` has the same texts, word for word; a test compares them.
"""

from __future__ import annotations

import re

from nexus_reimport.record import Run, Verdict

UNVERIFIED = """\
The new data is committed, but not verified. Keep users out of Nexus. Take the first that applies:
  A. the database does not know the run (a standby took over, or a backup was restored)
       name the server that holds the run in ENV.toml, if there is one; then:
       nexus-reimport finish ENV
       if it is lost:
       nexus-reimport seal ENV
       nexus-reimport record restored ENV --why TEXT
       nexus-reimport run ENV
  B. no check has failed: the verification was broken off, or could not read something
       nexus-reimport finish ENV
  C. a check failed, and a person can accept that
       waive the check by name in ENV.toml, then: nexus-reimport finish ENV
  D. only links of documents or images are wrong
       nexus-reimport seal ENV
       nexus-reimport relink ENV
  E. the data is wrong: undo the run; this first shows what would happen, then asks for its digest
       nexus-reimport rollback RUN
       if people have written since, choose --keep-newer or --discard-newer
  F. the rollback is refused: restore the whole database from the dump, under another name
       nexus-reimport restore RUN --into NAME
       it says how it is swapped in; after the swap:
       nexus-reimport adopt ENV --this-is-a-copy
       nexus-reimport seal ENV
       nexus-reimport record restored ENV --why TEXT"""
ROLLBACK_UNVERIFIED = """\
The run was undone, and that is committed, but not verified. Take the first that applies:
  A. the database does not know the rollback (a standby took over, or a backup was restored)
       name the server that holds the rollback in ENV.toml, if there is one; then:
       nexus-reimport finish ENV
       if it is lost:
       nexus-reimport seal ENV
       nexus-reimport record restored ENV --why TEXT
       nexus-reimport run ENV
  B. no check has failed: the verification was broken off, or could not read something
       nexus-reimport finish ENV
  C. a check failed: restore the whole database from the dump of the run that was undone
       nexus-reimport restore RUN --into NAME
       it says how it is swapped in; after the swap:
       nexus-reimport adopt ENV --this-is-a-copy
       nexus-reimport seal ENV
       nexus-reimport record restored ENV --why TEXT"""
CLOSED = """\
The data is committed, was not verified, and the record is closed: it cannot be finished any more.
  A. nobody knows of anything wrong, or only links of documents or images are wrong
       nexus-reimport relink ENV fixes links; nexus-reimport run ENV imports and verifies all
  B. the data is wrong: undo the run; this first shows what would happen, then asks for its digest
       nexus-reimport rollback RUN
  C. the rollback is refused: restore the whole database from the dump, under another name
       nexus-reimport restore RUN --into NAME
       it says how it is swapped in; after the swap:
       nexus-reimport adopt ENV --this-is-a-copy
       nexus-reimport record restored ENV --why TEXT"""
ROLLBACK_CLOSED = """\
The run was undone, that was not verified, and the record is closed: it cannot be finished any more.
  A. nobody knows of anything wrong
       nexus-reimport run ENV imports and verifies all
  B. the data is wrong: restore the whole database from the dump of the run that was undone
       nexus-reimport restore RUN --into NAME
       it says how it is swapped in; after the swap:
       nexus-reimport adopt ENV --this-is-a-copy
       nexus-reimport record restored ENV --why TEXT"""
CHANGED = """\
The record was sealed, and its journal was changed since: it no longer says what became of the run.
Nexus was not changed by that. Take the first that applies:
  A. nobody has looked what was changed, and what the database knows of the run
       nexus-reimport record check ENV
  B. a copy of the record exists, in an archive or a backup
       put it in the place of RECORD, then do as in A
  C. there is no copy
       keep the record as it is; the next run reads what Nexus holds now"""
IN_DOUBT = """\
The run's journal does not say what became of COMMIT: the connection was lost, the run was killed,
or a disk failed. The database is as it was, or holds everything that was approved, never anything
between. No new run starts until this run is settled:
  A. the database can be reached
       nexus-reimport settle ENV
       not committed: everything is as it was; start again
       committed: nexus-reimport finish ENV verifies the run and seals the record
  B. it cannot be reached yet
       fix the server or the network, then do as in A; the answer is kept in the database
  C. the server is lost for good
       restore the dump on another server with pg_restore: PRIVATE/nexus.dump, from before the run
       nexus-reimport seal ENV"""


def advice(verdict: Verdict, run: Run) -> str:
    """The decision that a person must make; "" if there is none."""
    undone = run.kind == "rollback"
    if run.was_changed:
        return _with_names(CHANGED, run)
    if verdict is Verdict.COMMITTED_UNVERIFIED and run.is_sealed:
        return _with_names(ROLLBACK_CLOSED if undone else CLOSED, run)
    if verdict is Verdict.COMMITTED_UNVERIFIED:
        return _with_names(ROLLBACK_UNVERIFIED if undone else UNVERIFIED, run)
    # Once it is closed, the dump was restored elsewhere: nobody can settle it any more.
    return _with_names(IN_DOUBT, run) if verdict is Verdict.IN_DOUBT and not run.is_sealed else ""


def _with_names(text: str, run: Run) -> str:
    """The text with this run's real names, so that each command can be pasted."""
    names = {
        "ENV": run.environment,
        "RUN": run.undoes or run.id,
        "PRIVATE": str(run.private),
        "RECORD": str(run.bag),
    }
    # All at once: a folder's own name may have one of these words in it.
    return re.sub("|".join(names), lambda placeholder: names[placeholder[0]], text)
