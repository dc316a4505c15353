"""Fields that the account may not view: known by FileMaker's text, or by its sameness."""

from __future__ import annotations

import unicodedata

import pytest

from nexus_reimport.errors import SourceRefused
from nexus_reimport.filemaker.no_access import NO_ACCESS, ClosedFields


def looked_at(*pages: list[list[str]]) -> None:
    closed = ClosedFields("people", ("Given", "Note"), "table=People")
    for page in pages:
        closed.refuse_known(page)
    closed.refuse_alike()


@pytest.mark.parametrize("text", sorted(NO_ACCESS))
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_each_language_is_known_in_either_form_of_unicode(text: str, form: str) -> None:
    held = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    with pytest.raises(SourceRefused, match="FileMaker gives") as stopped:
        looked_at([["Ada", "Bo"], ["x", "y"]], [["Cy", "Di"], ["z", held]])
    assert f"gives {text} in the place of a value, in Note" in str(stopped.value)


def test_a_text_that_only_every_record_has_is_told_on_several_pages() -> None:
    with pytest.raises(SourceRefused, match="every record has one and the same text"):
        looked_at([["Ada", "Bo"], ["<?>", "<?>"]], [["Cy"], ["<?>"]])


@pytest.mark.parametrize(
    "pages",
    [
        ([["Ada"], ["<none>"]],),  # of one record nothing can be said
        ([["Ada", "Bo"], ["<none>", ""]],),
        ([["Ada", "Bo"], ["<a>", "<b>"]],),
        ([["Ada", "Bo"], ["<a>", "<a>"]], [["Cy"], ["<b>"]]),
        ([["Ada", "Bo"], ["<a>", "<a>"]], [["Cy"], [""]], [["Di"], ["<a>"]]),
        ([["Ada"], [""]], [["Bo", "Cy"], ["<a>", "<a>"]]),
        ([["Ada", "Bo"], ["", ""]],),
        ([["Ada", "Bo"], ["No Access", "see <No Access> above"]],),
        ([[], []],),
        (),
    ],
)
def test_what_people_write_in_angle_brackets_is_a_text(pages: tuple[list[list[str]], ...]) -> None:
    looked_at(*pages)
