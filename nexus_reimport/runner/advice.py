"""What to do where the database and the record do not tell one finished story."""

from __future__ import annotations

from nexus_reimport.record import Run, Verdict

_UNVERIFIED = """\
The new data is committed; verification has not said yes. Decide, in this order:
  1. 03_verify was not run, or could not read something: nexus-reimport finish {environment}
  2. a check says no, and a person can accept it: waive it by name in {environment}.toml, then
     nexus-reimport finish {environment}
  3. a check says no, and the data is wrong: keep people out. The rows as they were are in the
     schema nexus_reimport_undo, and in the dump {private}/nexus.dump (pg_restore).
     When it is settled: nexus-reimport seal {environment}"""
_IN_DOUBT = """\
The connection was lost at COMMIT: the database is as it was, or holds the whole new data; never
anything between. As soon as it can be reached:
  1. nexus-reimport settle {environment}    asks it which of the two
  2. nexus-reimport finish {environment}    verifies if it was committed, and seals the record
Start nothing new until then: the next run refuses."""
_TEXTS = {Verdict.COMMITTED_UNVERIFIED: _UNVERIFIED, Verdict.IN_DOUBT: _IN_DOUBT}


def advice(verdict: Verdict, run: Run) -> str:
    """The decision that a person must take; "" where there is none."""
    text = _TEXTS.get(verdict, "")
    return text.format(environment=run.environment, private=run.private)
