"""The sweep: every identifier of the made-up clinic is found in every kind of artefact."""

from __future__ import annotations

import cProfile
import html
import json
import tracemalloc
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from time import process_time
from urllib.parse import quote

import pytest
from psycopg.types.json import Jsonb
from pydantic import BaseModel, SecretStr

from nexus_reimport import mapping as mappings
from nexus_reimport import record
from nexus_reimport.files import private
from nexus_reimport.model import Backup
from nexus_reimport.nexus.connection.scratch import Shape
from nexus_reimport.planning import cards
from nexus_reimport.record.search import identifiers, personal, words
from nexus_reimport.record.search.identifiers import Identifiers, Kind
from nexus_reimport.record.search.sweep import PIECE, UNSEARCHABLE, Hit, Sweep
from nexus_reimport.settings import Settings
from nexus_sandbox.clinic import Clinic, generate

TODAY = date(2026, 11, 26)
SECRET = 'tell "nobody" & be/quiet'


class Login(BaseModel):
    """Settings with a login in them."""

    user: str = "anna"
    password: SecretStr


class Held(BaseModel):
    """Settings that hold others."""

    login: Login


# The made-up clinic's kinds of canaries -> what they are called. Its single words are no
# identifiers: of texts six words in a row are searched for.
KINDS = {
    "name": Kind.NAME,
    "email": Kind.EMAIL,
    "phone": Kind.PHONE,
    "address": Kind.ADDRESS,
    "company": Kind.NAME,
    "health_number": Kind.NUMBER,
    "birth_date": Kind.BIRTH_DATE,
    "message": Kind.TEXT,
    "record_number": Kind.NUMBER,
}


@pytest.fixture(scope="module")
def made_up() -> Clinic:
    return generate(0.03)


@pytest.fixture(scope="module")
def wanted(made_up: Clinic) -> Identifiers:
    return wanted_of(made_up)


def wanted_of(clinic: Clinic) -> Identifiers:
    """What would be looked for: FileMaker's tables, and Nexus's as they are before."""
    mapping = mappings.load("nexus")
    found = Identifiers()
    identifiers.add_secrets(found, Login(password=SecretStr(SECRET)))
    tables = {table.name: table for table in clinic.filemaker}
    for name, spec in mapping.sources.items():
        records = tables[spec.table].records
        values = {f: [text(r.values.get(f)) for r in records] for f in spec.fields}
        personal.take(found, values, personal.of_source(mapping, name), TODAY)
    for table, entity in mapping.wiped_tables().items():
        columns, rows = clinic.nexus("dev")[table]
        values = {c: [text(row[n]) for row in rows] for n, c in enumerate(columns)}
        personal.take(found, values, personal.of_entity(mapping, entity), TODAY)
    return found


def text(value: object) -> str | None:
    """A value as a row file has it."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value.obj) if isinstance(value, Jsonb) else str(value)


def read_by_the_run(clinic: Clinic) -> str:
    """Everything that a run reads of people, in one text."""
    mapping = mappings.load("nexus")
    tables = {table.name: table for table in clinic.filemaker}
    held = [
        text(record.values.get(name)) or ""
        for spec in mapping.sources.values()
        for record in tables[spec.table].records
        for name in spec.fields
    ]
    held += [
        text(value) or ""
        for table in mapping.wiped_tables()
        for row in clinic.nexus("dev")[table][1]
        for value in row
    ]
    return "\n".join(held)


@pytest.fixture(scope="module")
def canaries(made_up: Clinic) -> dict[Kind, list[str]]:
    """Kind -> every value that identifies somebody in what a run reads, in every spelling."""
    held = read_by_the_run(made_up)
    spelt_otherwise = ("birth_date", "health_number")  # one of several spellings is stored
    found: dict[Kind, list[str]] = {Kind.SECRET: [SECRET]}
    for name, values in made_up.canaries().items():
        if name in KINDS:
            known = [v for v in values if v in held or name in spelt_otherwise]
            found.setdefault(KINDS[name], []).extend(known)
    return found


def as_json(value: str) -> str:
    return json.dumps({"event": "failed", "what": f"a value: {value}"})


def as_cell(value: str) -> str:
    page = f"<td>{html.escape(value)}</td>"
    return json.dumps({"output_type": "execute_result", "data": {"text/html": [page]}})


def as_csv(value: str) -> str:
    return '1,"' + value.replace('"', '""').replace("\n", " ").replace("\r", " ") + '",3'


# A kind of artefact -> one line of it, with a value in it.
ARTEFACTS: dict[str, Callable[[str], str]] = {
    "journal.jsonl": as_json,
    "page.ipynb": as_cell,
    "repr_in.ipynb": lambda v: json.dumps({"text/plain": [repr(f"\n{v}\n"), repr([v])]}),
    "page.html": lambda v: f"<p>{html.escape(v)}</p>",
    "entities.html": lambda v: "".join(f"&#{ord(c)};" if not c.isalnum() else c for c in v),
    "list.csv": as_csv,
    "trace.log": lambda v: f'  File "x.py", line 3, in y: KeyError: {" ".join(v.split())!r}',
    "bytes.log": lambda v: f"invalid: {v.encode()!r}",
    "address.log": lambda v: f"GET /find?name={quote(v)}&page=1",
    "frame.txt": lambda v: f"0   {' '.join(v.split())}   None",
    "loud.txt": lambda v: " ".join(v.split()).upper(),
}


@pytest.mark.parametrize("artefact", ARTEFACTS)
def test_every_identifier_is_found_in_every_kind_of_artefact(
    wanted: Identifiers, canaries: dict[Kind, list[str]], tmp_path: Path, artefact: str
) -> None:
    assert sum(map(len, canaries.values())) > 1_000
    planted = [(kind, value) for kind, values in canaries.items() for value in values]
    lines = [ARTEFACTS[artefact](value) for _, value in planted]
    assert not any("\n" in line for line in lines)
    (tmp_path / artefact).write_text("\n".join(lines), encoding="utf-8")
    found = {(hit.line, hit.kind) for hit in Sweep(wanted).files(tmp_path)}
    missed = [
        (kind, value)
        for number, (kind, value) in enumerate(planted, 1)
        if (number, kind) not in found and not (artefact == "loud.txt" and kind is Kind.SECRET)
    ]
    assert missed == []


def found_in(wanted: Identifiers, text: str, labels: str = "") -> list[str]:
    """The kinds that are found in one text."""
    return [
        hit.kind for hit in Sweep(wanted, lambda: (labels.encode(),)).text(text.encode(), "a file")
    ]


def of(*names: str, birth: str = "", phone: str = "", text: str = "") -> Identifiers:
    """What is looked for of one person."""
    found = Identifiers()
    identifiers.add_name(found, *names)
    if birth:
        identifiers.add_birth_date(found, birth, TODAY)
    if phone:
        identifiers.add_number(found, phone, Kind.PHONE)
    if text:
        identifiers.add_text(found, text)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "Jörg Müller",
        "MÜLLER, JÖRG",
        "müller",
        "Mu\u0308ller",
        "M\\u00fcller",
        "M\\\\u00fcller",
        "M&uuml;ller",
        "M&amp;uuml;ller",
        "M%C3%BCller",
        "M%25C3%25BCller",
        "M%FCller",
        r"b'M\xc3\xbcller'",
        "Muller",
        "MÃ¼ller",
        "a\\nM\\u00fcller",
        "from müller_jörg.pdf",
        "{müller}",
    ],
)
def test_a_name_is_found_however_it_is_written(text: str) -> None:
    assert found_in(of("Jörg", "Müller"), text) == [Kind.NAME]


@pytest.mark.parametrize(
    "text",
    [
        "1984-03-07",
        "1984-3-7",
        "07.03.1984",
        "7.3.1984",
        "7/3/1984",
        "03/07/1984",
        "07-03-1984",
        "19840307",
        "07031984",
        "7 March 1984",
        "7. März 1984",
        "March 7, 1984",
        "7th Mar 1984",
        "Mar 7th 1984",
        "07-Mar-84",
        "7/3/84",
        "07.03.84",
        "1984-03-07T00:00:00Z",
        "1984-03-07 00:00:00",
        "datetime.date(1984, 3, 7)",
    ],
)
def test_a_birth_date_is_found_however_it_is_written(text: str) -> None:
    assert found_in(of(birth="1984-03-07"), f"born {text}, it says") == [Kind.BIRTH_DATE]


@pytest.mark.parametrize(
    "text",
    [
        "1984-03-07 10:11:12",
        "1984-03-07T10:11",
        "at 07:03:84",
        "version 7.3.84",
        "1984-03-08",
        "11984-03-07",
        "7 3",
        "7.3.84.1",
        "3.7.1.1984.5",
    ],
)
def test_what_is_no_birth_date_is_passed_over(text: str) -> None:
    assert found_in(of(birth="1984-03-07"), text) == []


@pytest.mark.parametrize(
    "text",
    [
        "0412345678",
        "0412 345 678",
        "04 1234 5678",
        "(0412) 345-678",
        "0412.345.678",
        "+61412345678",
        "+61 412 345 678",
        "+61 (0)412 345 678",
        "0061 412 345 678",
        "0011 61 412 345 678",
        "412 345 678",
        "0061412345678",
        "001161412345678",
        "+610412345678",
        "2041-02-03 04:12 0412345678",
        "0412/345/678",
        "0412\u00a0345\u00a0678",
        "0412_345_678",
        "tel:0412-345-678;",
        "0412\u2013345\u2013678",
    ],
)
def test_a_phone_is_found_with_any_separators(text: str) -> None:
    assert found_in(of(phone="0412 345 678"), f"call {text} now") == [Kind.PHONE]


@pytest.mark.parametrize(
    "text",
    [
        "10412345678",
        "a0412345678",
        "0412345678f",
        "0.412345678",
        "412.345678",
        "412,345,678",
        "2041-23-45 04:12:34.5678",
        "0412  345  678",
        "0412\n345\n678",
    ],
)
def test_what_is_no_phone_is_passed_over(text: str) -> None:
    assert found_in(of(phone="0412 345 678"), f"{text} rows") == []


def test_a_number_that_is_an_id_of_a_record_is_an_id() -> None:
    wanted = of(phone="55 501 661")
    assert found_in(wanted, "55501661") == [Kind.PHONE]
    wanted.ids.add("55501661")
    assert found_in(wanted, "55501661") == []


@pytest.mark.parametrize("name", ["Ebba", "Dade", "Abed"])
def test_a_name_of_hexadecimal_digits_is_not_found_in_an_id(name: str) -> None:
    wanted = of(name, "Lovelace")
    assert found_in(wanted, f"9ee5d9f6-{name.lower()}-4104-a63b-ca15dc20881f") == []
    assert found_in(wanted, f"sha256 0{name.lower()}7") == []
    assert found_in(wanted, f"patient-{name.lower()}-4104") == [Kind.NAME]


@pytest.mark.parametrize(
    ("what", "value", "key"),
    [
        ("birth", "1952-03-14", "19520314-9af6-4104-a63b-ca15dc20881f"),
        ("birth", "1952-03-14", "14031952-9AF6-4104-A63B-CA15DC20881F"),
        ("phone", "9955 5016", "ca15dc20-9955-5016-a63b-ca15dc20881f"),
        ("phone", "99555016", "99555016-9af6-4104-a63b-ca15dc20881f"),
        ("phone", "02 9955 5016", "ca15dc20-0299-5550-16aa-ca15dc20881f"),
        ("phone", "0412 345 678", "ca15dc20-9af6-4104-a63b-000412345678"),
        ("phone", "61 2995 5501 66", "ca15dc20-6129-9555-0166-ca15dc20881f"),
    ],
)
def test_digits_in_a_key_of_a_record_are_of_the_key(what: str, value: str, key: str) -> None:
    wanted = of(**{what: value})
    assert found_in(wanted, value) != []
    for line in (key, f'entity,"{key}",kept', f"patients {key}; {key}"):
        assert found_in(wanted, line) == [], line
    assert found_in(wanted, f"{key} {value}") != []
    assert found_in(wanted, f"{value}-4104-a63b-ca15dc20881f") != []


def test_a_birth_date_of_eight_digits_that_is_an_id_of_a_record_is_an_id() -> None:
    wanted = of(birth="1952-03-14")
    assert found_in(wanted, "19520314") == [Kind.BIRTH_DATE]
    wanted.ids.add("19520314")
    assert found_in(wanted, "19520314") == []
    wanted.ids.update(["1952", "3", "14", "03"])
    for text in ("born on 14.03.1952", "datetime.date(1952, 3, 14)", "14,3,1952", "[1952, 3, 14]"):
        assert found_in(wanted, text) == [Kind.BIRTH_DATE], text


@pytest.mark.parametrize(
    ("phone", "one", "other"),
    [
        ("9955 5016", "9955", "5016"),
        ("412 345 678", "4123", "45678"),
        ("5550 1661", "5550", "1661"),
    ],
)
def test_two_ids_beside_each_other_are_no_phone(phone: str, one: str, other: str) -> None:
    wanted = of(phone=phone)
    texts = (f"{one},{other}", f"patients,{one},{other},kept", f"[{one}, {other}]")
    assert found_in(wanted, texts[0]) == found_in(wanted, texts[1]) == [Kind.PHONE]
    wanted.ids.update([one])
    assert found_in(wanted, texts[0]) == [Kind.PHONE], "only one of the two is an id"
    wanted.ids.update([other])
    for text in texts:
        assert found_in(wanted, text) == [], text
    for text in (phone, f"{one} {other}", f"{one}-{other}", f"{one},{other} {one} {other}"):
        assert found_in(wanted, text) == [Kind.PHONE], text


def test_labels_are_read_once_and_only_where_something_is_found() -> None:
    asked = []

    def labels() -> list[bytes]:
        asked.append("labels")
        return [b"a patient, call 0491 570 156", b"", b"of the clinic"]

    sweep = Sweep(of("Grace", "Patient", phone="0491 570 156"), labels)
    assert not sweep.finds("nobody is here")
    assert asked == []
    assert not sweep.finds("the patient was kept; (0491) 570-156")
    assert sweep.finds("by Grace")
    assert not sweep.beside(b"Grace").finds("by Grace: the patient was kept")
    assert sweep.finds("by Grace"), "what stands beside one search is no label for the other"
    assert asked == ["labels"]


def test_a_label_is_found_with_the_rest_of_the_name_alone() -> None:
    wanted = of("Grace", "Patient")
    labels = "class Patient: a note of the clinic"
    assert found_in(wanted, "the patient was kept") == [Kind.NAME]
    assert found_in(wanted, "the patient was kept", labels) == []
    assert found_in(wanted, "Patient, Grace", labels) == [Kind.NAME]
    assert found_in(wanted, "by Grace", labels) == [Kind.NAME]


def test_short_names_are_found_as_a_whole_name_alone() -> None:
    wanted = of("Li", "Wuxi")
    assert found_in(wanted, "li 3") == []
    assert found_in(wanted, "Li Wuxi") == found_in(wanted, "Wuxi, Li") == [Kind.NAME]
    assert found_in(of("Do", "An"), "do an upgrade") == []


@pytest.mark.parametrize("text", ["Li Bo Wu", "Wu Bo Li", "Wu, Li Bo"])
def test_a_name_of_three_parts_is_found_with_the_last_one_first(text: str) -> None:
    assert found_in(of("Li", "Bo", "Wu"), text) == [Kind.NAME]


@pytest.mark.parametrize(
    ("take", "shortest", "shorter"),
    [
        (partial(identifiers.add_number, kind=Kind.PHONE), "555 0166", "55 0166"),
        (partial(identifiers.add_number, kind=Kind.NUMBER), "AB 1", "1"),
        (lambda terms, name: identifiers.add_name(terms, *name.split()), "Li Bow", "Li Bo"),
        (identifiers.add_address, "7 High St", "Low High St"),
        (identifiers.add_text, "it was so hot in May", "it is so hot in May"),
        (identifiers.add_text, "her left ankle hurts", "her left ankle"),
        (identifiers.add_text, "she hurt her left ankle badly", "she hurt ankle"),
    ],
)
def test_the_shortest_that_identifies_somebody_is_found(
    take: Callable[[Identifiers, str], None], shortest: str, shorter: str
) -> None:
    for value, is_found in ((shortest, True), (shorter, False)):
        terms = Identifiers()
        take(terms, value)
        assert bool(found_in(terms, f"so: {value}!")) is is_found, value


LONG_ADDRESS = "7 High St, behind the old mill on the way out of the town, left of it"


@pytest.mark.parametrize(
    ("take", "value", "written"),
    [
        (identifiers.add_names, "Ana Li Bo Wu", "Wu, Ana Li Bo"),
        (partial(identifiers.add_number, kind=Kind.NUMBER), "AB 12 345", "AB12345"),
        (identifiers.add_text, "<p>She <b>fell</b> on my old rug</p>", "She fell on my old rug"),
        (identifiers.add_address, LONG_ADDRESS, LONG_ADDRESS),
    ],
)
def test_what_is_written_otherwise_is_found(
    take: Callable[[Identifiers, str], None], value: str, written: str
) -> None:
    terms = Identifiers()
    take(terms, value)
    assert found_in(terms, f"so: {written}!") != []


def test_what_json_holds_of_people_is_found_by_its_keys() -> None:
    kin = {"name": "Ebba Quist", "dob": "1984-03-07"}
    partner = {"birthday": "1952-03-14", "user_name": "Grace Hopper"}
    values = {"card": [json.dumps({"kin": [kin], "partner": partner})], "id": ["55501661"]}
    values |= {"made_by": ["lovelace"], "seen_by": ["Dr Byron"], "label": ["Anna Karenina"]}
    columns = personal.Columns(
        ids=frozenset({"id"}),
        other_names=frozenset({"made_by", "seen_by", "label"}),
        passed_over=frozenset({"label"}),
    )
    terms, fewer = Identifiers(), Identifiers()
    personal.take(terms, values, columns, TODAY)
    for text in ("Ebba", "7/3/1984", "14.3.1952", "Byron"):
        assert found_in(terms, f"so {text}!"), text
    for text in ("Hopper", "Lovelace", "Karenina"):
        assert not found_in(terms, f"so {text}!"), text
    assert "55501661" in terms.ids
    labels = replace(columns, passed_over=frozenset({"card.kin.name"}))
    personal.take(fewer, values, labels, TODAY)
    assert not found_in(fewer, "so Ebba!")


def test_a_day_of_the_last_year_before_the_run_is_one_of_the_runs_own() -> None:
    own, born = (TODAY - timedelta(days=days) for days in (366, 367))
    assert found_in(of(birth=own.isoformat()), own.isoformat()) == []
    assert found_in(of(birth=born.isoformat()), born.isoformat()) == [Kind.BIRTH_DATE]


def test_a_short_secret_is_a_word_and_a_longer_one_is_found_within_words() -> None:
    for secret, within in (("tide", False), ("tide7", False), ("tides7", True)):
        terms = Identifiers()
        identifiers.add_secrets(terms, Held(login=Login(password=SecretStr(secret))))
        assert found_in(terms, f"is {secret} here") == [Kind.SECRET]
        assert bool(found_in(terms, f"is x{secret}x here")) is within


def test_the_size_of_a_file_in_the_record_is_no_number_of_anybody(tmp_path: Path) -> None:
    sweep = Sweep(of(phone="55 501 661"))
    assert sweep.finds("55501661")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(55_501_661)
    sweep.know_sizes(tmp_path)
    assert not sweep.finds("55501661")
    assert sweep.finds("55 501 661")


TEXT = "She fell in the garden on Sunday and hurt her left ankle badly."


@pytest.mark.parametrize(
    "text",
    [
        "in the garden on Sunday and",
        "HURT HER LEFT\nANKLE BADLY, they say: fell",
        TEXT[8:60],
        json.dumps(TEXT),
        "<p>in the <b>garden</b> on Sunday and hurt</p>",
    ],
)
def test_six_words_of_a_text_are_found_wherever_they_begin(text: str) -> None:
    expected = [Kind.TEXT] if text != "<p>in the <b>garden</b> on Sunday and hurt</p>" else []
    assert found_in(of(text=f"{TEXT} They say: fell again"), text) == expected


def test_a_name_is_told_with_the_line_of_its_last_word_and_a_text_of_its_first() -> None:
    wanted = of("Li", "Wuxi", text=TEXT)
    hits = Sweep(wanted).text(b"Li\nWuxi", "a.log")
    assert [(hit.line, hit.kind) for hit in hits] == [(2, Kind.NAME)]
    hits = Sweep(wanted).text(b"in the garden\non Sunday and", "a.log")
    assert [(hit.line, hit.kind) for hit in hits] == [(1, Kind.TEXT)]


def test_five_words_of_a_text_are_not() -> None:
    assert found_in(of(text=TEXT), "the garden on Sunday and") == []


@pytest.mark.parametrize(
    "text",
    [
        "postgres://nexus:hunter2@db.example/nexus",
        "Authorization: Bearer 0123456789abcdef",
        "Basic YW5uYTpodW50ZXIy",
        "-----BEGIN RSA PRIVATE KEY-----",
        "?X-Amz-Signature=0a1b2c",
        "AKIAABCDEFGHIJKLMNOP",
        "key=ASIAABCDEFGHIJKLMNOP;",
        "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln",
    ],
)
def test_what_looks_like_a_login_is_found_whosever_it_is(text: str) -> None:
    assert found_in(Identifiers(), text) == [Kind.SECRET]


def test_a_secret_is_found_in_every_form_in_which_it_is_sent() -> None:
    wanted = Identifiers()
    identifiers.add_secrets(wanted, Login(password=SecretStr('pa"ss & wörd')))
    for form in (
        'pa"ss & wörd',
        json.dumps('pa"ss & wörd'),
        quote('pa"ss & wörd'),
        html.escape('pa"ss & wörd'),
        b64encode('pa"ss & wörd'.encode()).decode(),
        b64encode('anna:pa"ss & wörd'.encode()).decode(),
    ):
        assert found_in(wanted, f"header {form} end") == [Kind.SECRET], form
    like_an_escape = Identifiers()
    identifiers.add_secrets(like_an_escape, Login(password=SecretStr("p%41ss&lt;w")))
    assert found_in(like_an_escape, "header p%41ss&lt;w end") == [Kind.SECRET]


def test_a_file_that_cannot_be_searched_is_a_hit_and_so_is_a_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_bytes(b"SQLite format 3\x00")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "rows.parquet").write_bytes(b"PAR1 x")
    (tmp_path / "lovelace.txt").write_text("nothing")
    (tmp_path / "nul.log").write_bytes(b"a\0b")
    (tmp_path / "utf16.log").write_text("Ada Lovelace", encoding="utf-16")
    sweep = Sweep(of("Ada", "Lovelace"))
    assert len(list(sweep.beside(b"Ada Lovelace").files(tmp_path))) == 3, "to it a name is a label"
    hits = list(sweep.files(tmp_path))
    assert list(sweep.files(tmp_path)) == hits, "a file with a hit has it each time"
    assert list(sweep.files(tmp_path, "deep/rows.parquet", "utf16.log")) == hits[1:4]
    assert hits == [
        Hit("deep/rows.parquet", 1, UNSEARCHABLE),
        Hit("history.sqlite", 1, UNSEARCHABLE),
        Hit("file 3 of the record", 0, Kind.NAME),
        Hit("nul.log", 1, UNSEARCHABLE),
        Hit("utf16.log", 1, Kind.NAME),
    ]
    assert "lovelace" not in "".join(map(str, hits)).lower()


def test_a_line_is_told_in_a_large_file_too(tmp_path: Path) -> None:
    lines = [f"{number} rows were read, and nothing is wrong" for number in range(400_000)]
    lines[123] = lines[250_000] = lines[399_999] = "and then Ada Lovelace came"
    text = "\n".join(lines).encode()
    assert len(text) > 2 * (8 << 20)
    hits = list(Sweep(of("Ada", "Lovelace")).text(text, "large.log"))
    assert [hit.line for hit in hits] == [124, 250_001, 400_000]


@pytest.mark.parametrize("sign", [b" ", b",", b"\n"])
def test_a_name_is_found_wherever_a_long_text_is_divided(sign: bytes) -> None:
    """Of a text that is one line, a name was missed where one part ended and the next began."""
    sweep, filler = Sweep(of("Ada", "Lovelace")), (b"x" * 9_999 + sign) * (PIECE // 10_000 + 1)
    for before in (4, 8):
        text = filler[: PIECE - before - 1] + sign + b"Ada%bLovelace%b" % (sign, sign) + filler
        assert list(sweep.text(text, "page.html")), before
    text = filler[: PIECE - 9] + sign + b"lovelaced" + sign + filler
    assert sign == b"," or not list(sweep.text(text, "page.html")), "no word is cut in two"


def test_of_a_long_text_no_more_is_held_than_of_a_piece_of_it():
    terms = Identifiers()
    identifiers.add_name(terms, "Annabel", "Lee")
    sweep, line = Sweep(terms), b"patients,replaced,,%032x,%032x\n"

    def peak(lines: int) -> int:
        text = b"".join(line % (number, number * 7919) for number in range(lines))
        tracemalloc.start()
        assert not list(sweep.text(text, "ledger.csv"))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)  # what is made once
    assert peak(100_000) < 1.5 * peak(25_000)


@pytest.mark.parametrize(
    "document",
    [
        '{"phone": "0491 570 006", "phone": "0491 570 007"}',
        '[{"a": {"phone": "0491 570 006", "phone": 1}}]',
        "[" * 5_000 + '"0491 570 006"' + "]" * 5_000,
    ],
)
def test_a_json_text_is_searched_whole_however_it_is_written(document):
    terms = Identifiers()
    personal.take(terms, {"card": [document]}, personal.Columns(), TODAY)
    assert list(Sweep(terms).text(b"a call to 0491 570 006 failed", "a.log"))


def test_a_text_with_many_dates_is_divided_into_lines_once() -> None:
    """It was for each of them: a list of ids that begin with a date took minutes for a megabyte."""
    lines = 400
    listed = "".join(f"patients,1984-03-07-{n:05},new\n" for n in range(lines)).encode()
    profile = cProfile.Profile()
    profile.enable()
    hits = list(Sweep(of(birth="1984-03-07")).text(listed, "ledger.csv"))
    profile.disable()
    splits = [e.callcount for e in profile.getstats() if "'split' of 'bytes'" in str(e.code)]
    assert len(hits) == lines
    assert sum(splits) < 1.5 * lines  # each line into words, all of it into lines


LONG = 100_000  # letters: looked through from each of them, it takes half a minute of a processor


@pytest.mark.parametrize(
    "look",
    [
        lambda: identifiers.add_text(Identifiers(), f"ada@example.org {'A' * LONG} <img"),
        lambda: identifiers.add_text(Identifiers(), f"{'<' * LONG} one two three four five six"),
        lambda: words.unescaped(b"\\" * LONG),
        lambda: cards.entries({"phones": f"0412 {'A' * LONG} a@b.c"}, "phones", ("phones",)),
    ],
    ids=["a picture in a text", "signs of a tag", "backslashes", "a card"],
)
def test_a_word_of_a_hundred_thousand_letters_is_looked_through_once(
    look: Callable[[], object],
) -> None:
    """A note with a picture in it, and an address, kept a seal from ever being made."""
    began = process_time()
    look()
    assert process_time() - began < 5


def test_an_email_is_found_wherever_it_stands() -> None:
    terms = Identifiers()
    identifiers.add_text(terms, "x <ada@example.org>, or eve@example.org: f@g@mail.example.org")
    sweep = Sweep(terms)
    for email in ("ada@example.org", "eve@example.org", "g@mail.example.org"):
        assert list(sweep.text(f"wrote to {email} today".encode(), "a.log")), email


def test_a_rollback_is_searched_for_what_stands_behind_a_letter_with_a_picture_in_it(
    known: Settings,
) -> None:
    """It makes no survey: what to look for is in CSV files, however long a value is."""
    run = record.create(known, "rollback", undoes="another")
    shape = Shape("UTF8", "libc", "C", "C", "")
    backup = Backup("", 0, "", 1, "18", "18", {"patients.csv": 2}, {}, shape, {})
    run.save(backup, "rollback_backup")
    long = "A" * 200_000
    lines = ["id,first_name,last_name,phone", f'1,Ann,"{long}",', "2,Bea,Miller,0491 570 006"]
    private.write_new(run.private / "patients.csv", "\n".join(lines).encode())
    wanted = personal.of_run(known, mappings.load("nexus"), run)
    assert not wanted.missing
    assert list(Sweep(wanted).text(b"a call to 0491 570 006 failed", "a.log"))
