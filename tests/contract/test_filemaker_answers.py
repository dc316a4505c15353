"""What FileMaker's servers answer, older and newer ones, and what stands between: read, or told."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nexus_reimport.errors import (
    MappingError,
    ReimportError,
    SettingsError,
    SourceError,
    SourceRefused,
)
from nexus_reimport.filemaker import Product, ReadRequest, codes, jsontext
from nexus_reimport.filemaker.data_api import DataApi
from nexus_reimport.filemaker.http import RetryPolicy
from nexus_reimport.filemaker.odata import OData, metadata
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.message import Reply
from support.small_filemaker import PASSWORD

WANTED = ReadRequest("API_Contacts", "id", {"nameLast": "text"})
RECORDS = "API_Contacts/records$"
ANY = ".*"
PAGE = b"<!DOCTYPE html><html><body><form>Please log in: 0412 000 000</form></body></html>"
Change = Callable[[dict[str, Any]], object]


def opened(simulator, client):
    retries = RetryPolicy(sleep=lambda _: None, tries=3)
    return client(simulator.url, "WalkClinic", "nexus_reader", PASSWORD, retries=retries)


def bent(path: str, change: Change) -> Fault:
    """An answer whose JSON is changed."""

    def bend(answer: Reply) -> Reply:
        content = json.loads(answer.body)
        change(content)
        return replace(answer, body=json.dumps(content).encode())

    return Fault(path=path, change=bend, times=99)


def read(source, wanted=WANTED):
    return [row for part in source.records(wanted, page=20) for row in part.rows]


def without(*path: str) -> Change:
    def change(content: dict[str, Any]) -> None:
        for name in path[:-1]:
            content = content[name]
        content.pop(path[-1])

    return change


# ---------------------------------------------------------------- older and newer servers


def test_a_product_that_does_not_say_its_name_or_version_is_read(simulator):
    simulator.faults.append(bent("productInfo", without("response", "productInfo", "name")))
    with opened(simulator, DataApi) as source:
        assert source.product() == Product("FileMaker Data API Engine", "20.3.2.205")
    simulator.faults[:] = [bent("productInfo", lambda content: content.update(response=None))]
    with opened(simulator, DataApi) as source:
        assert source.product() == Product("FileMaker Data API Engine", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("response", "dataInfo"), "the number of records"),
        (without("response", "dataInfo", "foundCount"), "the number of records"),
        (without("response", "data"), "the records"),
        (lambda content: content.update(response=None), "the number of records"),
        (lambda c: [r.pop("fieldData") for r in c["response"]["data"]], "the records"),
        (lambda c: [r.pop("recordId") for r in c["response"]["data"]], "the record ids"),
    ],
)
def test_what_a_proof_rests_on_is_missed_in_words(simulator, change, said):
    simulator.faults.append(bent(RECORDS, change))
    with opened(simulator, DataApi) as source, pytest.raises(SourceError) as stopped:
        read(source)
    assert f"FileMaker's answer does not hold {said}" in str(stopped.value)
    assert "state: nothing was written" in str(stopped.value)


def test_an_older_server_is_told_by_what_it_leaves_out(simulator):
    simulator.faults.append(bent(RECORDS, without("response", "dataInfo")))
    with opened(simulator, DataApi) as source, pytest.raises(SourceError) as stopped:
        source.count("API_Contacts")
    assert "FileMaker Server 17" in str(stopped.value)
    assert "read this table over OData" in str(stopped.value)


def of_so_many(whole):
    """The table is said to have so many records."""
    return bent(RECORDS, lambda c: c["response"]["dataInfo"].update(totalRecordCount=whole))


@pytest.mark.parametrize("whole", [58, "58"])
def test_a_table_that_has_more_records_than_the_account_is_given_stops(simulator, whole):
    simulator.faults.append(of_so_many(whole))
    with opened(simulator, DataApi) as source, pytest.raises(SourceRefused) as stopped:
        source.count("API_Contacts")
    assert "FileMaker gives this account 57 of 58 records of the table" in str(stopped.value)
    assert "the right to view every record" in str(stopped.value)


def test_a_record_that_is_being_made_while_the_table_is_counted_stops_nothing(simulator):
    simulator.faults.append(replace(of_so_many(58), times=1))
    with opened(simulator, DataApi) as source:
        assert source.count("API_Contacts") == 57


@pytest.mark.parametrize("whole", [57, "", None])
def test_a_server_may_not_say_how_many_records_the_table_has(simulator, whole):
    simulator.faults.append(of_so_many(whole))
    with opened(simulator, DataApi) as source:
        assert source.count("API_Contacts") == 57


def _newer(content):
    """Members that nobody knows, and numbers as texts and the other way round."""
    info = content["response"]["dataInfo"]
    info.update(foundCount=str(info["foundCount"]), more={"x": [1]})
    info.pop("returnedCount")
    content["messages"][0].update(code=0, more="x")
    content["response"]["extra"] = None
    for record in content["response"]["data"]:
        record.update(recordId=int(record["recordId"]), extra=1)
        record.pop("modId")


def test_what_a_newer_server_adds_or_writes_otherwise_is_read_as_before(simulator):
    with opened(simulator, DataApi) as source:
        truth = read(source)
    simulator.faults.append(bent(RECORDS, _newer))
    with opened(simulator, DataApi) as source:
        assert read(source) == truth
        assert source.count("API_Contacts") == 57


def test_metadata_of_fields_may_leave_out_what_is_usual(simulator):
    def change(content):
        for found in content["response"]["fieldMetaData"]:
            for name in ("maxRepeat", "type"):
                found.pop(name)
            found["global"] = str(found["global"]).lower()

    simulator.faults.append(bent("layouts/API_Contacts$", change))
    with opened(simulator, DataApi) as source:
        fields = source.fields("API_Contacts")
    assert [n for n, f in fields.items() if f.is_global] == ["RECORD_ACTIVE_INDICATOR"]
    assert {f.repetitions for f in fields.values()} == {1}
    simulator.faults[:] = [bent("layouts/API_Contacts$", without("response", "fieldMetaData"))]
    with opened(simulator, DataApi) as source, pytest.raises(SourceError, match="the fields of"):
        source.fields("API_Contacts")


@pytest.mark.parametrize(
    ("objects", "hidden"),
    [
        ([(1, 3)], 0),
        ([(1, 1)], 2),
        ([(2, 2)], 2),
        ([(1, 1), (2, 3)], 0),  # the field is on the layout twice
        ([(1, 2), (1, 1)], 1),
        ([(None, None)], 0),
        ([(1, 9)], 0),
    ],
)
def test_repetitions_that_no_object_of_the_layout_shows_are_hidden(simulator, objects, hidden):
    def change(content):
        described = content["response"]["fieldMetaData"]
        (field,) = (one for one in described if one["name"] == "thumbnails")
        described.remove(field)
        for first, last in objects:
            shown = {"repetitionStart": first, "repetitionEnd": last}
            described.append(field | {n: v for n, v in shown.items() if v is not None})
            if first is None:
                del described[-1]["repetitionStart"], described[-1]["repetitionEnd"]

    simulator.faults.append(bent("layouts/API_Contacts$", change))
    with opened(simulator, DataApi) as source:
        fields = source.fields("API_Contacts")
    assert (fields["thumbnails"].repetitions, fields["thumbnails"].hidden) == (3, hidden)
    assert not any(f.hidden for name, f in fields.items() if name != "thumbnails")


def test_the_made_up_filemaker_sends_the_repetitions_that_its_layout_shows(simulator):
    with simulator.edit() as tables:
        table = tables["API_Contacts"]
        fields = [replace(f, shows=2) if f.name == "thumbnails" else f for f in table.fields]
        tables["API_Contacts"] = replace(table, fields=tuple(fields))
    with opened(simulator, DataApi) as source:
        assert source.fields("API_Contacts")["thumbnails"].hidden == 1
        (row, *_) = read(source)
        assert {"thumbnails", "thumbnails(2)"} == {n for n in row if n.startswith("thumbnails")}


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        [{}],
        "OK",
        [{"code": "none"}],
        [{"code": "1_0"}],
        [{"code": "\N{SUPERSCRIPT TWO}"}],
    ],
)
def test_an_answer_without_a_code_is_nothing_that_can_be_read(simulator, messages):
    simulator.faults.append(bent(RECORDS, lambda content: content.update(messages=messages)))
    with opened(simulator, DataApi) as source, pytest.raises(SourceError, match="cannot be read"):
        source.count("API_Contacts")


def test_a_session_without_a_token_is_told(simulator):
    def tokenless(answer: Reply) -> Reply:
        body = b'{"response": {}, "messages": [{"code": "0"}]}'
        return replace(answer, body=body, headers={})

    simulator.faults.append(Fault(path="/sessions$", verb="POST", change=tokenless, times=9))
    with (
        opened(simulator, DataApi) as source,
        pytest.raises(SourceError, match="the session's token"),
    ):
        source.count("API_Contacts")


# ---------------------------------------------------------------- values that JSON does not have

RECORDS_OF = {DataApi: RECORDS, OData: "/API_Contacts$"}
SMS = re.compile(rb'("sms": )("[^"]+"|[-0-9.]+)')


def written(simulator, client, value: bytes) -> None:
    """Each page writes its first ``sms`` as ``value``; ``\\2`` is what it was."""
    fault = Fault(
        path=RECORDS_OF[client],
        change=lambda a: replace(a, body=SMS.sub(rb"\1" + value, a.body, count=1)),
        times=99,
    )
    simulator.faults.append(fault)


@pytest.mark.parametrize("client", [DataApi, OData])
@pytest.mark.parametrize("word", [b"?", b"NaN", b"Infinity", b"-Infinity"])
def test_what_could_not_be_computed_counts_however_a_server_writes_it(simulator, client, word):
    wanted = replace(WANTED, types={"sms": "number"})
    with opened(simulator, client) as source:
        truth = read(source, wanted)
    written(simulator, client, word)
    with opened(simulator, client) as source:
        rows = read(source, wanted)
        count = source.usage().repaired
    empty = [number for number, row in enumerate(rows) if not row["sms"] and truth[number]["sms"]]
    assert count == len(empty) > 0
    assert [row for n, row in enumerate(rows) if n not in empty] == [
        row for n, row in enumerate(truth) if n not in empty
    ]


@pytest.mark.parametrize("client", [DataApi, OData])
def test_two_values_under_one_name_stop_and_none_of_them_is_lost_or_told(simulator, client):
    wanted = replace(WANTED, types={"sms": "number"})
    written(simulator, client, rb'"0412 000 000", "sms": \2')
    with opened(simulator, client) as source, pytest.raises(SourceError) as stopped:
        read(source, wanted)
    assert "FileMaker's answer holds two values of 'sms'" in str(stopped.value)
    assert "table=API_Contacts" in str(stopped.value)
    assert "0412" not in str(stopped.value)
    assert "tries" not in str(stopped.value)


@pytest.mark.parametrize("client", [DataApi, OData])
def test_the_same_value_twice_under_one_name_loses_nothing(simulator, client):
    wanted = replace(WANTED, types={"sms": "number"})
    with opened(simulator, client) as source:
        truth = read(source, wanted)
    written(simulator, client, rb'\2, "sms": \2')
    with opened(simulator, client) as source:
        assert read(source, wanted) == truth


# ---------------------------------------------------------------- what stands between

CALLS = {
    "product": ("productInfo", DataApi, lambda source: source.product()),
    "session": ("/sessions$", DataApi, lambda source: source.count("API_Contacts")),
    "layouts": ("/layouts$", DataApi, lambda source: source.tables()),
    "records": (RECORDS, DataApi, read),
    "metadata": (r"\$metadata$", OData, lambda source: source.product()),
    "sets": ("/WalkClinic$", OData, lambda source: source.tables()),
    "rows": ("/API_Contacts$", OData, read),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json"])
def test_a_web_page_in_place_of_an_answer_is_told_as_that(simulator, call, kind):
    path, client, ask = CALLS[call]
    page = Reply(200, b"\xef\xbb\xbf\r\n" + PAGE, {"Content-Type": kind})
    simulator.faults.append(Fault(path=path, instead=page, times=99))
    with opened(simulator, client) as source, pytest.raises(SourceError) as stopped:
        ask(source)
    assert "a web page (HTML, HTTP 200) came instead of FileMaker's answer" in str(stopped.value)
    assert "no login page or proxy is between" in str(stopped.value)
    assert "log in: " not in str(stopped.value)
    assert "0412" not in str(stopped.value)


@pytest.mark.parametrize("call", CALLS)
def test_an_empty_answer_is_told_as_that(simulator, call):
    path, client, ask = CALLS[call]
    simulator.faults.append(Fault(path=path, instead=Reply(200, b""), times=99))
    with opened(simulator, client) as source, pytest.raises(SourceError, match="an empty answer"):
        ask(source)


def test_a_passing_page_is_waited_for(simulator):
    page = Reply(200, PAGE, {"Content-Type": "text/html"})
    simulator.faults.append(Fault(path=RECORDS, instead=page, nth=2, times=1))
    with opened(simulator, DataApi) as source:
        assert len(read(source)) == 57


@pytest.mark.parametrize(
    "body", [b"no gzip at all", gzip.compress(b"{}" * 500)[:-12]], ids=["none", "cut short"]
)
def test_an_answer_whose_packing_is_broken_is_told(simulator, body):
    packed = Reply(200, body, {"Content-Encoding": "gzip", "Content-Type": "application/json"})
    simulator.faults.append(Fault(path=RECORDS, instead=packed, times=99))
    with opened(simulator, DataApi) as source, pytest.raises(SourceError) as stopped:
        source.count("API_Contacts")
    said = str(stopped.value)
    assert "compressed and cannot be decompressed" in said or "cannot be read" in said


# ---------------------------------------------------------------- $metadata


def described(simulator, change: Callable[[bytes], bytes]) -> None:
    fault = Fault(path=r"\$metadata$", times=99, change=lambda a: replace(a, body=change(a.body)))
    simulator.faults.append(fault)


COMMENT = b'<Annotation Term="com.filemaker.odata.FMComment" String="pasted %s here"/></Property>'


@pytest.mark.parametrize("odd", [b"\x0b", b"\x00", b"\x1d", b"&#11;", b"&#x1D;", b"&#0;"])
def test_control_characters_of_comments_are_passed_over(simulator, odd):
    with opened(simulator, OData) as source:
        truth = source.fields("API_Contacts")
    comment = COMMENT.replace(b"%s", odd)
    described(simulator, lambda body: body.replace(b"</Property>", comment, 1))
    with opened(simulator, OData) as source:
        assert source.fields("API_Contacts") == truth
        assert len(read(source)) == 57


def test_metadata_that_is_no_xml_is_told_with_its_place_and_nothing_of_it(simulator):
    described(simulator, lambda body: b"<a>\n <secret 0412></a>")
    with opened(simulator, OData) as source, pytest.raises(SourceError) as stopped:
        source.product()
    assert "($metadata) is not XML: line 2, column " in str(stopped.value)
    assert "0412" not in str(stopped.value)
    assert "secret" not in str(stopped.value)
    assert "restart" not in str(stopped.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: body.replace(b"docs.oasis-open.org/odata/ns/edm", b"example.org/edm/5"),
        lambda body: body.replace(b'Version="4.0"', b'Version="4.01"'),
        lambda body: body.replace(
            b'Namespace="WalkClinic"', b'Namespace="WalkClinic" Alias="Self"', 1
        ).replace(b'EntityType="WalkClinic.', b'EntityType="Self.'),
        lambda body: body.decode().replace("utf-8", "utf-16").encode("utf-16"),
    ],
)
def test_metadata_with_a_mark_another_namespace_version_or_alias_is_read(simulator, change):
    with opened(simulator, OData) as source:
        truth = source.fields("API_Contacts")
    described(simulator, change)
    with opened(simulator, OData) as source:
        assert source.fields("API_Contacts") == truth


def test_a_number_of_repetitions_that_is_none_counts_as_not_given(simulator):
    with opened(simulator, OData) as source:
        names = {n for n, f in source.fields("API_Contacts").items() if f.repetitions > 1}
    described(
        simulator, lambda body: re.sub(b'Int="[0-9]+"', 'Int="\N{SUPERSCRIPT TWO}"'.encode(), body)
    )
    with opened(simulator, OData) as source:
        fields = source.fields("API_Contacts")
    assert names
    assert names == {name for name, field in fields.items() if field.repetitions == 2}


def test_a_declaration_of_entities_is_still_refused():
    assert metadata.read(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>') is None


# ---------------------------------------------------------------- codes

ACCESS = (9, 200, 202, 203, 204)
ACCOUNT = (18, 210, 211, 212, 213, 214, 1627, 1703)
PASSING = (13, 16, 300, 301, 302, 303, 812, 1638, 1701)


def asked(simulator, client, number):
    path = RECORDS if client is DataApi else "/API_Contacts$"
    simulator.faults.append(faults.code(path, number, times=99))
    with opened(simulator, client) as source, pytest.raises(ReimportError) as stopped:
        source.count("API_Contacts")
    return stopped.value, sum(simulator.requests.values())


@pytest.mark.parametrize("client", [DataApi, OData])
@pytest.mark.parametrize("number", ACCESS)
def test_missing_privileges_are_told_with_the_right_that_is_missing(simulator, client, number):
    stopped, _ = asked(simulator, client, number)
    assert f"code {number}: " in str(stopped)
    assert "fmrest (Data API) or fmodata (OData)" in str(stopped)
    assert "tries" not in str(stopped)


@pytest.mark.parametrize("number", ACCOUNT)
def test_what_is_wrong_with_the_account_is_asked_once(simulator, number):
    stopped, requests = asked(simulator, OData, number)
    assert isinstance(stopped, SettingsError)
    assert requests == 1


@pytest.mark.parametrize("number", PASSING)
def test_what_may_pass_is_tried_again(simulator, number):
    stopped, _ = asked(simulator, DataApi, number)
    assert f"code {number}: " in str(stopped)
    assert "3 tries" in str(stopped)


@pytest.mark.parametrize("number", sorted(codes.CODES))
def test_every_code_says_what_it_is_and_what_to_do(number):
    known = codes.lookup(number)
    assert known.text
    assert known.next
    assert known.error in (SourceError, SourceRefused, SettingsError, MappingError)
    assert not (known.tries > 1 and known.error is not SourceError)


def test_claris_list_of_what_a_reader_can_meet_is_known():
    least = {-1, *range(2, 6), *range(7, 12), 13, 14, 16, 17, 18, 21, *range(100, 112), 113, 114}
    least |= {200, 202, 204, 210, 211, 212, 213, 214, *range(300, 304), 307, 400, 401, 500, 501}
    least |= {*range(801, 818), 819, 820, 821, *range(951, 961), *range(1626, 1636), 1638}
    least |= {*range(1700, 1712), 1713, 1715}
    assert least - codes.CODES.keys() - {816} == set()


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("100000000000000000000", "100000000000000000000"),
        ("1e+20", "100000000000000000000"),
        ("-2.5E-7", "-0.00000025"),
        ("1.50e1", "15.0"),
        ("1e-400", f"0.{'0' * 399}1"),
        ("7.50", "7.50"),  # every other spelling stays
        ("1e1000", "1e1000"),  # none of FileMaker's
        ("1e99999999999999999999", "1e99999999999999999999"),
        ('"1e5"', "1e5"),  # a text
    ],
)
def test_a_number_is_its_digits_however_a_server_spells_it(sent: str, text: str) -> None:
    loaded = jsontext.load(f'{{"n": {sent}}}'.encode())
    assert loaded == jsontext.Loaded({"n": text})
