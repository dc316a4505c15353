"""Fields that the account may not view: known by FileMaker's text, or by its sameness."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from nexus_reimport.errors import SourceRefused
from nexus_reimport.filemaker.no_access import NO_ACCESS, alike, refuse_known
from nexus_reimport.files import rowfile

Page = list[list[str]]
NAMES = ("Given", "Note")


def told(folder: Path, *pages: Page) -> tuple[str, ...]:
    """The fields that the check names; each page is a batch of its own."""
    written = [
        rowfile.write(folder / f"{n}.parquet", NAMES, zip(*page, strict=True))
        for n, page in enumerate(pages)
    ]
    return alike(batch for file in written for batch in rowfile.batches(folder, file))


@pytest.mark.parametrize("text", sorted(NO_ACCESS))
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_each_language_is_known_in_either_form_of_unicode(text: str, form: str) -> None:
    held = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    with pytest.raises(SourceRefused, match="FileMaker gives") as stopped:
        refuse_known("people", NAMES, [["Cy", "Di"], ["z", held]], "table=People")
    assert f"gives {text} in the place of a value, in Note" in str(stopped.value)


def test_a_text_that_only_every_record_has_is_told_on_several_pages(tmp_path: Path) -> None:
    assert told(tmp_path, [["Ada", "Bo"], ["<?>", "<?>"]], [["Cy"], ["<?>"]]) == ("Note",)


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
def test_what_people_write_in_angle_brackets_is_a_text(
    tmp_path: Path, pages: tuple[Page, ...]
) -> None:
    for page in pages:
        refuse_known("people", NAMES, page, "table=People")
    assert told(tmp_path, *pages) == ()
