"""Texts and numbers that are not what they were planned to be, in ways that sums and eyes miss."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import LiteralString

from psycopg import sql

from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import Field, Scene

SORT = "a value of a wiped row"
_CARRIED = "a value that only Nexus knows"
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "double precision", "real")

# name, what it means, the text as it becomes ({0}: as it was), which texts can be changed so
_TEXTS: tuple[tuple[str, str, LiteralString, LiteralString], ...] = (
    (
        "a_text_is_cut_at_its_end",
        "A text lost its last letter.",
        "left({0}, -1)",
        "length({0}) > 3",
    ),
    (
        "a_text_is_cut_at_its_beginning",
        "A text lost its first letter.",
        "right({0}, -1)",
        "length({0}) > 3",
    ),
    (
        "a_text_is_cut_in_half",
        "A long text ends in its middle, as where a column was too short.",
        "left({0}, length({0}) / 2)",
        "length({0}) > 20",
    ),
    (
        "a_text_has_a_blank_at_its_end",
        "A text got a blank at its end.",
        "{0} || ' '",
        "length({0}) > 0",
    ),
    (
        "a_text_has_a_blank_at_its_beginning",
        "A text got a blank at its beginning.",
        "' ' || {0}",
        "length({0}) > 0",
    ),
    (
        "a_text_is_padded",
        "A text is filled up with blanks, as in a column of fixed width.",
        "rpad({0}, length({0}) + 5)",
        "length({0}) > 0",
    ),
    (
        "a_blank_is_two",
        "A blank inside of a text stands twice.",
        "regexp_replace({0}, ' ', '  ')",
        "strpos({0}, ' ') > 0",
    ),
    (
        "a_blank_is_a_tab",
        "A blank inside of a text is a tab.",
        "regexp_replace({0}, ' ', E'\\t')",
        "strpos({0}, ' ') > 0",
    ),
    (
        "a_blank_does_not_break",
        "A blank inside of a text is one that does not break.",
        "regexp_replace({0}, ' ', chr(160))",
        "strpos({0}, ' ') > 0",
    ),
    (
        "a_blank_of_no_width",
        "A text holds a blank of no width, which nobody sees.",
        "left({0}, 1) || chr(8203) || right({0}, -1)",
        "length({0}) > 1",
    ),
    (
        "a_line_ends_as_on_windows",
        "A line ends with two characters instead of one.",
        "replace({0}, E'\\n', E'\\r\\n')",
        "strpos({0}, E'\\n') > 0",
    ),
    (
        "a_line_end_is_lost",
        "Two lines of a text are one.",
        "replace({0}, E'\\n', ' ')",
        "strpos({0}, E'\\n') > 0",
    ),
    ("a_text_is_in_capitals", "A text stands in capitals.", "upper({0})", "length({0}) > 1"),
    (
        "a_text_is_in_small_letters",
        "A text stands in small letters.",
        "lower({0})",
        "length({0}) > 1",
    ),
    (
        "a_letter_is_another",
        "One letter of a text is another one, at the same length.",
        (
            "translate(left({0}, 1), 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ',"
            " 'bcdefghijklmnopqrstuvwxyzaBCDEFGHIJKLMNOPQRSTUVWXYZA') || right({0}, -1)"
        ),
        "{0} ~ '^[A-Za-z]'",
    ),
    (
        "two_letters_are_transposed",
        "Two letters that follow each other changed places.",
        "substr({0}, 2, 1) || left({0}, 1) || substr({0}, 3)",
        "length({0}) > 2",
    ),
    (
        "a_letter_looks_alike",
        "A Latin letter is the Cyrillic one that looks the same.",
        "regexp_replace({0}, 'a', chr(1072))",
        "strpos({0}, 'a') > 0",
    ),
    (
        "a_digit_looks_alike",
        "A digit is the letter that looks the same.",
        "regexp_replace({0}, '0', 'O')",
        "strpos({0}, '0') > 0",
    ),
    (
        "a_digit_is_another",
        "One digit of a number that is kept as text is another one.",
        "left({0}, -1) || translate(right({0}, 1), '0123456789', '1234567890')",
        "{0} ~ '[0-9]$'",
    ),
    (
        "a_text_is_in_the_other_normal_form",
        "An accented letter is in the other normal form of Unicode.",
        "CASE WHEN {0} IS NFC NORMALIZED THEN normalize({0}, NFD) ELSE normalize({0}, NFC) END",
        "{0} ~ '[^ -~]'",
    ),
    (
        "an_accent_is_lost",
        "An accented letter is the plain one.",
        (
            "translate({0}, 'áàâäãåéèêëíìîïóòôöõúùûüñçÁÀÂÄÉÈÊËÍÓÖÚÜÑÇ',"
            " 'aaaaaaeeeeiiiiooooouuuuncAAAAEEEEIOOUUNC')"
        ),
        "{0} ~ '[^ -~]'",
    ),
    (
        "a_text_is_read_in_another_encoding",
        "An accented letter is two strange ones.",
        "convert_from(convert_to({0}, 'UTF8'), 'LATIN1')",
        "{0} ~ '[À-ÿ]'",
    ),
    (
        "a_text_is_replaced_by_a_question_mark",
        "An accented letter is a question mark.",
        "regexp_replace({0}, '[À-ÿ]', '?')",
        "{0} ~ '[À-ÿ]'",
    ),
    (
        "a_quotation_mark_is_another",
        "An apostrophe is the curly one.",
        "replace({0}, '''', chr(8217))",
        "strpos({0}, '''') > 0",
    ),
    (
        "a_dash_is_another",
        "A hyphen is a dash.",
        "replace({0}, '-', chr(8211))",
        "strpos({0}, '-') > 0",
    ),
    (
        "a_text_is_twice_in_itself",
        "A text stands twice in its column.",
        "{0} || {0}",
        "length({0}) > 0",
    ),
    ("a_text_is_empty", "A text is empty; the column is not.", "''", "length({0}) > 0"),
    ("a_text_says_null", "A text holds the word null.", "'null'", "length({0}) > 0"),
    (
        "a_text_is_of_nobody",
        "A text is a different one altogether, of the same length.",
        # MD5 is 32 digits: so often that it is long enough, then cut.
        "left(repeat(md5({0}), 1 + length({0}) / 32), length({0}))",
        "length({0}) > 8",
    ),
)


def _changed(to: LiteralString, condition: LiteralString, scene: Scene) -> int:
    return scene.change_first(scene.texts(), to, condition)


for _name, _meaning, _to, _condition in _TEXTS:
    declare(Kind(_name, _meaning, SORT, partial(_changed, _to, _condition), only_links=False))


def _numbers(scene: Scene) -> Iterator[Field]:
    return (f for f in scene.fields(*scene.by_size()) if f.is_of(*_NUMBERS))


def _carried(scene: Scene) -> Iterator[Field]:
    """Columns of wiped tables that the mapping does not feed."""
    for entity in scene.database.mapping.entities.values():
        fed = entity.fed_columns()
        table = scene.database.catalog.tables[entity.table]
        yield from (f for f in scene.fields(table) if f.column.name not in fed)


def _links_to_protected(scene: Scene, *, carried: bool) -> Iterator[Field]:
    """Columns of wiped tables that point at protected rows: a clinic, a clinician."""
    wiped = {t.name for t in scene.wiped}
    for name, entity in scene.database.mapping.entities.items():
        table = scene.entity(name)
        for key in scene.database.catalog.foreign_keys:
            column = table.column(key.columns[0])
            is_fed = key.columns[0] in entity.fed_columns()
            if key.table == table.name and key.target not in wiped and column and is_fed != carried:
                yield Field(table, column)


def _clinicians(scene: Scene) -> list[Field]:
    """What a row points at and only Nexus knows: first the clinician, where there is one."""
    clinician = (scene.appointments.name, scene.database.mapping.application.calendar.clinician)
    fields = _links_to_protected(scene, carried=True)
    return sorted(fields, key=lambda f: (f.table.name, f.column.name) != clinician)


@kind(SORT, only_links=False)
def two_rows_have_each_others_text(scene: Scene) -> int:
    """Two rows have each other's text."""
    return scene.swap_first(scene.texts())


@kind(SORT, only_links=False)
def two_texts_of_one_length_are_swapped(scene: Scene) -> int:
    """Two rows have each other's text of the same length: every sum is what it was."""

    def attempt(where: Field) -> int:
        lengths = scene.rows(
            sql.SQL(
                "SELECT length({0}) FROM {1} WHERE length({0}) > 0 GROUP BY 1"
                " HAVING count(DISTINCT {0}) > 1 ORDER BY 1 LIMIT 1"
            ).format(where.name, scene.place(where.table))
        )
        of_it = sql.SQL("length({}) = {}")
        return sum(
            scene.swap(where, of_it.format(where.name, sql.Literal(length)))
            for (length,) in lengths
        )

    return scene.first_of(attempt, scene.texts())


def _between_names(scene: Scene, statement: LiteralString) -> int:
    """A change of a person's first two names, which stand in columns beside each other."""
    one, other = scene.database.mapping.application.patient_name[:2]
    return scene.do(
        sql.SQL(statement).format(
            table=scene.place(scene.people),
            one=sql.Identifier(one),
            other=sql.Identifier(other),
            key=sql.Identifier(scene.people.primary_key[0]),
        )
    )


@kind(SORT, only_links=False)
def two_columns_of_a_row_are_swapped(scene: Scene) -> int:
    """Two columns of one row have each other's text, as first and last name."""
    return _between_names(
        scene,
        "UPDATE {table} SET {one} = {other}, {other} = {one} WHERE {key} = (SELECT {key}"
        " FROM {table} WHERE {one} <> {other} ORDER BY {key}::text LIMIT 1)",
    )


@kind(SORT, only_links=False)
def a_text_moved_into_the_next_column(scene: Scene) -> int:
    """A text stands in the column beside its own, which is empty."""
    return _between_names(
        scene,
        "UPDATE {table} SET {one} = concat_ws(' ', {one}, {other}), {other} = ''"
        " WHERE {key} = (SELECT {key} FROM {table} WHERE {other} <> ''"
        " ORDER BY {key}::text LIMIT 1)",
    )


@kind(SORT, only_links=False)
def a_column_is_shifted_by_one_row(scene: Scene) -> int:
    """Every row has the text of the row before it, the first that of the last."""
    return scene.first_of(scene.shift, scene.texts())


@kind(SORT, only_links=False)
def a_column_is_emptied(scene: Scene) -> int:
    """No row of a table has a value in a column that had some."""

    def attempt(where: Field) -> int:
        query = sql.SQL("UPDATE {} SET {column} = NULL WHERE {column} IS NOT NULL")
        return scene.do(query.format(scene.place(where.table), column=where.name))

    fields = scene.fields(*scene.by_size())
    return scene.first(partial(attempt, f) for f in fields if not f.column.not_null)


@kind(SORT, only_links=False)
def a_value_is_lost(scene: Scene) -> int:
    """A column of one row is NULL where it held a value."""
    fields = (f for f in scene.fields(*scene.by_size()) if not f.column.not_null)
    return scene.change_first(fields, "NULL")


@kind(SORT, only_links=False)
def null_is_an_empty_text(scene: Scene) -> int:
    """A text that was NULL is empty."""
    return scene.first(partial(scene.fill, f, "''") for f in scene.texts() if not f.column.not_null)


@kind(SORT, only_links=False)
def a_value_appears_where_there_was_none(scene: Scene) -> int:
    """A text that was NULL holds another row's."""
    return scene.first(
        partial(scene.fill, f, "(SELECT max({0}) FROM {1})")
        for f in scene.texts()
        if not f.column.not_null
    )


@kind(SORT, only_links=False)
def a_number_is_one_more(scene: Scene) -> int:
    """A number is one more than it was."""
    return scene.change_first(_numbers(scene), "{0} + 1")


@kind(SORT, only_links=False)
def two_numbers_cancel(scene: Scene) -> int:
    """One row's number is one more and another one's is one less: the sum is what it was."""

    def attempt(where: Field) -> int:
        keys = scene.keys(where.table, sql.SQL("t.{} IS NOT NULL").format(where.name))
        return scene.cancel(where, keys, "1")

    return scene.first_of(attempt, _numbers(scene))


@kind(SORT, only_links=False)
def a_flag_is_turned(scene: Scene) -> int:
    """A yes is a no."""
    flags = (f for f in scene.fields(*scene.by_size()) if f.is_of("boolean"))
    return scene.change_first(flags, "NOT {0}")


@kind(SORT, only_links=False)
def two_flags_cancel(scene: Scene) -> int:
    """One row's yes is a no and another one's no a yes: there are as many as before."""
    flags = (f for f in scene.fields(*scene.by_size()) if f.is_of("boolean"))
    return scene.swap_first(flags)


@kind(SORT, only_links=False)
def an_archived_patient_reappears(scene: Scene) -> int:
    """A patient is shown that was archived, or the other way round."""
    column = scene.people.column(scene.database.mapping.application.archived)
    return scene.change(Field(scene.people, column), "NOT {0}") if column else 0


@kind(SORT, only_links=False)
def a_choice_is_another_one(scene: Scene) -> int:
    """A row has another one of the values that its column knows."""

    def choices(where: Field) -> int:
        count = scene.value(
            sql.SQL("SELECT count(DISTINCT {}) FROM {}").format(
                where.name, scene.place(where.table)
            )
        )
        return int(str(count))

    few = (f for f in scene.texts() if 1 < choices(f) <= 12)
    return scene.swap_first(few)


@kind(_CARRIED, only_links=False)
def a_carried_value_is_lost(scene: Scene) -> int:
    """A column that FileMaker does not feed lost its value in one row."""
    fields = (f for f in _carried(scene) if not f.column.not_null)
    return scene.change_first(fields, "NULL")


@kind(_CARRIED, only_links=False)
def a_carried_text_is_changed(scene: Scene) -> int:
    """A text that FileMaker does not feed is another one."""
    return scene.change_first(
        (f for f in _carried(scene) if f in set(scene.texts(f.table))), "{0} || '.'"
    )


@kind(_CARRIED, only_links=False)
def two_carried_values_are_swapped(scene: Scene) -> int:
    """Two rows have each other's value of a column that FileMaker does not feed."""
    return scene.swap_first(_carried(scene))


@kind(_CARRIED, only_links=False)
def a_clinician_is_lost(scene: Scene) -> int:
    """A row points at no protected row any more, where it did: an appointment without clinician."""
    fields = _clinicians(scene)
    return scene.change_first((f for f in fields if not f.column.not_null), "NULL")


@kind(_CARRIED, only_links=False)
def two_clinicians_are_swapped(scene: Scene) -> int:
    """Two rows have each other's clinician, appointment type or company."""
    return scene.swap_first(_clinicians(scene))


@kind(SORT, only_links=False)
def a_row_is_of_no_clinic(scene: Scene) -> int:
    """A row lost the protected row that FileMaker names for it: its clinic."""
    fields = _links_to_protected(scene, carried=False)
    return scene.change_first((f for f in fields if not f.column.not_null), "NULL")


@kind(SORT, only_links=False)
def two_rows_have_each_others_clinic(scene: Scene) -> int:
    """Two rows have each other's clinic: there are as many of each as before."""
    return scene.swap_first(_links_to_protected(scene, carried=False))
