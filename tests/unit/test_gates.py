"""The gate before prod compares dev with what would be executed now, not with an old preflight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nexus_reimport import record, saboteur, settings
from nexus_reimport.errors import StopError
from nexus_reimport.model import Gate, Proposal, Refusal, SelfTest, Trial
from nexus_reimport.runbook import gates
from nexus_reimport.settings import Settings
from nexus_reimport.stages import approval
from nexus_reimport.stages.approval import Consent, DevRun, Preparer

MAPPING, AGAIN = "mapping", "nexus-reimport relink sandbox-prod"


@pytest.fixture
def prod(environment_files: Path) -> Settings:
    return settings.load("sandbox-prod", environment_files)


def refused(prod: Settings, of_preflight: str, of_dev: str) -> tuple[Refusal, ...]:
    """The refusals where the package of prod's preflight, or of dev's run, was an older one."""
    packages = {"old": "0" * 64, "now": approval.code_digest()}
    proposal = Proposal(
        "sandbox-prod", "", MAPPING, packages[of_preflight], "", "", "", {}, {}, digest="1" * 64
    )
    decided = replace(proposal, decisions=approval.decisions_digest(prod))
    dev = DevRun("20260101T000000Z-0000", packages[of_dev], MAPPING, ())
    return approval.refusals(approval.gates(prod, decided, MAPPING, dev, AGAIN))


def test_nothing_is_refused_where_all_three_are_of_one_package(prod: Settings) -> None:
    assert refused(prod, "now", "now") == ()


def test_an_upgrade_after_the_preflight_of_prod_sends_a_person_to_dev_first(
    prod: Settings,
) -> None:
    dev, preflight = refused(prod, "old", "old")
    assert "was run with a different package or library" in dev.what
    assert preflight.what == "the package, with its libraries, was changed since the preflight"
    assert (dev.needs_preflight, preflight.needs_preflight) == (False, True)


def test_a_dev_that_was_run_again_since_the_upgrade_need_not_be_run_again(prod: Settings) -> None:
    (only,) = refused(prod, "old", "now")
    assert only.what == "the package, with its libraries, was changed since the preflight"


def test_the_mapping_of_dev_is_compared_with_the_one_there_is_now(prod: Settings) -> None:
    proposal = Proposal("sandbox-prod", "", "old", approval.code_digest(), "", "", "", {}, {})
    decided = replace(proposal, decisions=approval.decisions_digest(prod))
    dev = DevRun("20260101T000000Z-0000", approval.code_digest(), MAPPING, ())
    reasons = approval.refusals(approval.gates(prod, decided, MAPPING, dev, AGAIN))
    assert [one.what for one in reasons] == ["the mapping was changed since the preflight"]


@pytest.mark.parametrize("taken_back", [True, False])
def test_a_dev_run_that_was_taken_back_stands_for_dev_and_the_gate_says_so(
    prod: Settings, taken_back: bool
) -> None:
    now = approval.code_digest()
    proposal = Proposal("sandbox-prod", "", MAPPING, now, "", "", "", {}, {}, digest="1" * 64)
    dev = DevRun("20260101T000000Z-0000", now, MAPPING, (), taken_back=taken_back)
    gate = approval.gates(prod, proposal, MAPPING, dev, AGAIN)[0]
    assert gate.refusal is None
    assert gate.claim.endswith(f"({dev.run}; taken back since)") is taken_back


@pytest.mark.parametrize(
    ("package", "mapping", "schema", "named"),
    [
        ("old", MAPPING, (), "package or library"),
        ("now", "old", (), "mapping"),
        ("now", MAPPING, ("patients: a column is gone",), "schema"),
        ("old", "old", ("patients: a column is gone",), "package or library, mapping, schema"),
    ],
)
def test_a_dev_run_stands_only_for_its_own_package_mapping_and_schema(
    prod: Settings, package: str, mapping: str, schema: tuple[str, ...], named: str
) -> None:
    now = approval.code_digest()
    proposal = Proposal("sandbox-prod", "", MAPPING, now, "", "", "", {}, {}, digest="1" * 64)
    dev = DevRun("a-run", now if package == "now" else "0" * 64, mapping, schema)
    refusal = approval.gates(prod, proposal, MAPPING, dev, AGAIN)[0].refusal
    assert refusal is not None
    assert f"was run with a different {named} (a-run)" in refusal.what
    assert all(line in refusal.what for line in schema)


def test_what_was_rehearsed_is_not_enough_on_a_real_prod(prod: Settings) -> None:
    proposal = Proposal(prod.name, "", MAPPING, "", "", "", "", {}, {}, digest="1" * 64)
    begun, rehearsed = Preparer("", "somebody"), Consent(rehearsed=True)
    assert approval.require(prod, proposal, rehearsed, (), begun).digest == proposal.digest
    real = prod.model_copy(update={"sandbox": False})
    with pytest.raises(StopError, match="on prod the digest must be typed"):
        approval.require(real, proposal, rehearsed, (), begun)
    for wrong in ("2" * 64, "1" * 11, "1" * 65):
        with pytest.raises(StopError, match="is not the digest of this plan"):
            approval.require(real, proposal, Consent(wrong, rehearsed=True), (), begun)
    typed = Consent("1" * 12, rehearsed=True)
    assert approval.require(real, proposal, typed, (), begun).how == "digest given"
    of_two = replace(typed, name=" Ann\n Lee", reason="ok\n\nVerified by the auditor.")
    given = approval.require(real, proposal, of_two, (), begun)
    assert (given.name, given.reason) == ("Ann Lee", "ok Verified by the auditor.")
    shut = [Gate("It is open.", Refusal("it is shut", "open it"))]
    with pytest.raises(StopError, match="it is shut"):
        approval.require(real, proposal, typed, shut, begun)


TRIALS, OF_LINKS = (
    tuple(
        Trial(kind.name, kind.meaning, kind.corrupts, 1, ("a check",))
        for kind in saboteur.of_scope(only_links=only_links)
    )
    for only_links in (False, True)
)
MISSED = (replace(TRIALS[0], caught_by=()), *TRIALS[1:])
IMPOSSIBLE = tuple(replace(trial, changed=0) for trial in TRIALS)
TOO_FEW = "its verification was not tested with every kind of corruption"


@pytest.mark.parametrize(
    ("kind", "trials", "why_not", "untested"),
    [
        ("reimport", TRIALS, "", ""),
        ("reimport", OF_LINKS, "", TOO_FEW),
        ("relink", OF_LINKS, "", ""),
        ("relink", OF_LINKS[1:], "", TOO_FEW),
        ("reimport", TRIALS, "no right", "its verification was not tested: no right"),
        ("reimport", MISSED, "", f"its verification missed {TRIALS[0].kind}"),
        ("reimport", IMPOSSIBLE, "", "its verification missed everything"),
        ("reimport", None, "", "its verification was not tested"),
    ],
)
def test_a_dev_run_stands_for_dev_only_if_its_verification_has_found_every_kind(
    prod: Settings, kind: str, trials: tuple[Trial, ...] | None, why_not: str, untested: str
) -> None:
    run = record.create(prod, kind)
    if trials is not None:
        run.save(SelfTest(prod.name, run.id, ("a check",), trials, 0.0, why_not))
    assert gates._untested(run) == untested


def test_an_approval_is_bound_to_every_decision_and_waiver_and_to_what_is_read(
    prod: Settings,
) -> None:
    changed: list[dict[str, object]] = [
        {
            "decisions": prod.decisions
            | {name: one.model_copy(update={"when_different": {"x": "y"}})}
        }
        for name, one in prod.decisions.items()
    ]
    changed += [
        {"decisions": {n: d for n, d in prod.decisions.items() if n != name}}
        for name in prod.decisions
    ]
    waivers = list(prod.waivers)
    for number, one in enumerate(waivers):
        more = one.model_copy(update={"at_most": one.at_most + 1})
        changed.append({"waivers": [*waivers[:number], more, *waivers[number + 1 :]]})
        changed.append({"waivers": waivers[:number] + waivers[number + 1 :]})
    changed.append({"filemaker": prod.filemaker.model_copy(update={"database": "another"})})
    changed.append({"s3": prod.s3.model_copy(update={"bucket": "another"})})
    changed.append({"s3": prod.s3.model_copy(update={"endpoint": "https://s3.example.org"})})
    digests = [
        approval.decisions_digest(one)
        for one in (prod, *(prod.model_copy(update=update) for update in changed))
    ]
    assert len(waivers) > 1
    assert len(prod.decisions) > 1
    assert len(set(digests)) == len(digests)
    # In another order they say the same; and a server of the sandbox can get another port.
    same: list[dict[str, object]] = [{"decisions": dict(reversed(prod.decisions.items()))}]
    same.append({"s3": prod.s3.model_copy(update={"endpoint": "http://127.0.0.1:9"})})
    for update in same:
        assert approval.decisions_digest(prod.model_copy(update=update)) == digests[0]
