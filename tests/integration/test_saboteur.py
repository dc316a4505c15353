"""Kinds of corruption are put into a copy, one at a time, and the verification is asked."""

from __future__ import annotations

import json
import re

import pytest

from nexus_reimport import saboteur, show
from nexus_reimport.cli import main
from nexus_reimport.model import SelfTest
from nexus_reimport.saboteur import Kind
from nexus_reimport.saboteur.scene import Scene
from support.clinic import Clinic

# One or two of each sort.
SOME = (
    "a_text_has_a_blank_at_its_end",
    "a_time_is_off_by_an_hour",
    "a_json_number_got_a_fraction",
    "a_patient_is_lost",
    "a_note_is_fabricated",
    "two_patients_have_each_others_document",
    "an_image_is_under_another_patient",
    "a_patient_was_never_planned",
    "a_file_is_overwritten_with_the_same_size",
    "a_file_is_hidden",
)


def nothing(scene: Scene) -> int:
    assert scene.people.primary_key
    return 0


def unseen(scene: Scene) -> int:
    return scene.count(scene.people)


@pytest.fixture
def some(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all kinds, a few of each sort, one that finds nothing, and one that nobody can see."""
    chosen = [saboteur.KINDS[name] for name in SOME]
    chosen += [
        Kind("nothing_here", "Nothing is there.", "nothing", nothing),
        Kind("unseen", "Nothing is changed.", "nothing", unseen),
    ]
    monkeypatch.setattr(saboteur, "of_scope", lambda *, only_links: tuple(chosen))


def test_what_is_put_in_is_found_by_name_and_taken_out_again(clinic: Clinic, some: None) -> None:
    before = clinic.state()
    found: SelfTest = clinic.planned().self_test()
    fates = {t.kind: t for t in found.trials}
    assert list(fates) == [*SOME, "nothing_here", "unseen"]
    assert [t.kind for t in found.caught] == list(SOME)
    assert [t.kind for t in found.missed] == ["unseen"]
    assert [t.kind for t in found.not_possible] == ["nothing_here"]
    assert not found.is_complete
    assert "every_patient_of_filemaker_is_there" in fates["a_patient_is_lost"].caught_by
    assert "every_row_is_as_planned" not in fates["a_patient_was_never_planned"].caught_by
    assert fates["a_file_is_hidden"].caught_by == ("no_file_was_lost",)
    assert clinic.state() == before
    assert not clinic.rows("SELECT FROM pg_database WHERE datname LIKE 'nexus_reimport_scratch%'")


def test_the_page_shows_missed_kinds_first_and_what_each_check_is_worth(
    clinic: Clinic, some: None
) -> None:
    book = clinic.planned()
    book.self_test()
    page = repr(show.self_test(book.run.load(SelfTest)))
    assert "10 caught, 1 missed, 1 not possible here" in page
    assert re.search(r"no_file_was_lost +2 +2", page)
    rows = page[page.index("By kind") :]
    words = re.findall(r"^(MISSED|caught|not possible here)", rows, re.M)
    assert words == ["MISSED", *["caught"] * len(SOME), "not possible here"]


def test_the_command_leaves_with_1_where_a_kind_is_missed(
    clinic: Clinic, some: None, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic.planned()
    with pytest.raises(SystemExit) as left:
        main(["verify", "--self-test", "sandbox-dev", "--json"])
    assert left.value.code == 1
    value = json.loads(capsys.readouterr().out)
    assert value["complete"] is False
    assert [t["kind"] for t in value["trials"] if t["changed"] and not t["caught_by"]] == ["unseen"]


def test_each_kind_has_a_name_of_its_own_and_a_sentence() -> None:
    assert len(saboteur.KINDS) > 300
    for kind in saboteur.KINDS.values():
        assert re.fullmatch(r"[a-z0-9_]+", kind.name)
        assert re.fullmatch(r"[A-Z].*\.", kind.meaning), kind.name
