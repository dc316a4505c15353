"""What to do where the database and the record is unverified or in doubt.

The texts stand in ``runbook/README.md`` too, word for word: a test holds them together.
"""

from __future__ import annotations

from nexus_reimport.record import Run, Verdict

UNVERIFIED = """\
The new data is committed; verification has not said yes. Keep people out. Decide, in this order:
  A. it was not verified, or something could not be read
       nexus-reimport finish ENV
  B. a check failed, and a person can accept it
       waive it by name in ENV.toml, then: nexus-reimport finish ENV
  C. only links of documents or images are wrong
       nexus-reimport seal ENV
       nexus-reimport relink ENV
  D. the data is wrong: take the run back; it shows what would happen and asks for its digest
       nexus-reimport rollback RUN
       where people have written since, choose --keep-newer or --discard-newer
  E. the rollback is refused: the whole database, from the dump, under another name
       nexus-reimport restore RUN --into NAME
       it prints, statement by statement, how to swap it in
       nexus-reimport adopt ENV --this-is-a-copy
       nexus-reimport seal ENV"""
ROLLBACK_UNVERIFIED = """\
The run was taken back and that is committed; it has not been verified. Decide, in this order:
  A. it was not verified, or something could not be read
       nexus-reimport finish ENV
  B. a check failed: the whole database, from the dump of the run that was taken back
       nexus-reimport restore RUN --into NAME
       nexus-reimport adopt ENV --this-is-a-copy, once it has been swapped in
       nexus-reimport seal ENV"""
IN_DOUBT = """\
The connection was lost at COMMIT: the database is as it was, or holds everything that was approved;
never anything between. Nothing new starts until it is settled:
  A. the database can be reached
       nexus-reimport settle ENV
       not committed: all is as it was; begin again
       committed: nexus-reimport finish ENV verifies it, and seals the record
  B. it cannot be reached yet
       fix the server or the network, then as A; the answer is kept in the database
  C. the server is lost for good
       the dump is PRIVATE/nexus.dump: pg_restore puts it on another server, as before the run
       nexus-reimport seal ENV"""


def advice(verdict: Verdict, run: Run) -> str:
    """The decision that a person must take; "" where there is none."""
    if verdict is Verdict.COMMITTED_UNVERIFIED:
        return _said(ROLLBACK_UNVERIFIED if run.kind == "rollback" else UNVERIFIED, run)
    return _said(IN_DOUBT, run) if verdict is Verdict.IN_DOUBT else ""


def _said(text: str, run: Run) -> str:
    names = {"ENV": run.environment, "RUN": run.undoes or run.id, "PRIVATE": str(run.private)}
    for placeholder, name in names.items():
        text = text.replace(placeholder, name)
    return text
