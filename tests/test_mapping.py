"""A mapping is checked when it is loaded; all that is wrong comes at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_reimport import mapping
from nexus_reimport.errors import MappingError

SHIPPED = Path(mapping.__file__).parent / "mappings" / "nexus.toml"


def broken(tmp_path: Path, *changes: tuple[str, str]) -> str:
    text = SHIPPED.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(MappingError) as told:
        mapping.load("own.toml", tmp_path)
    return str(told.value)


def test_the_shipped_mapping_covers_what_is_deleted() -> None:
    shipped = mapping.load("nexus")
    served = {e.serves for e in shipped.entities.values()}
    assert served == {"D1", "D2", "D3", "D4", "D5", "D6"}
    assert shipped.people() == "patients"


def test_a_field_that_no_source_declares_is_told(tmp_path: Path) -> None:
    told = broken(tmp_path, ('first_name = { from = "nameFirst" }', 'first_name = { from = "x" }'))
    assert "patients.first_name: contacts has no field x" in told


def test_all_problems_come_in_one_message(tmp_path: Path) -> None:
    told = broken(
        tmp_path,
        ('last_name = { from = "nameLast" }', 'last_name = { from = "y" }'),
        ('convert = "entity", entity = "patients" }', 'convert = "entity", entity = "people" }'),
    )
    assert "has no field y" in told
    assert "people must be an entity listed before" in told


def test_a_mistyped_key_is_told(tmp_path: Path) -> None:
    assert "matched_at_lest" in broken(tmp_path, ("matched_at_least", "matched_at_lest"))


def test_a_converter_that_lacks_its_parts_is_told(tmp_path: Path) -> None:
    told = broken(tmp_path, (', with = { time = "startTime" } }', " }"))
    assert "`with` lacks time" in told


def test_a_mapping_that_is_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="neither shipped nor a file"):
        mapping.load("none.toml", tmp_path)


def test_another_text_has_another_digest(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(SHIPPED.read_text() + "\n")
    assert mapping.load("own.toml", tmp_path).digest != mapping.load("nexus").digest
