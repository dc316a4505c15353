"""Values of FileMaker's that people do type, in the first records of each table of a clinic."""

from __future__ import annotations

from nexus_sandbox.filemaker.file import FileTable

NAMES = (
    "O'Brien",
    "Ngô 👩\u200d⚕\ufe0f",
    "محمد",
    "\u200fדוד",
    "Zoe\u0308",
    "  Padded  ",
    "a\tb",
    "x" * 90,
    "=SUM(A1)",
    "-1",
    "00123",
    "1e5",
    "NULL",
    "\\N",
    "\"q\", 'r'; s",
    "?",
    "#REF!",
    "3.4.2019",
    "A\u00a0B",
    "one\rtwo\r\nthree",
    "cut \x00\x0cend",
)
PHONES = (
    "0401 234 567 / 0402 345 678",
    "0401234567\r0402345678",
    "+64 21 123 456",
    "401234567",
    "401234567.0",
    "(02) 5550 1234 ext 12",
    "00 44 20 7946 0958",
    "\u200e0401 234 567\u200e",
    "ask mother",
    "a@b",
    "٠٤٠١",
    " ",
)
ODD: dict[tuple[str, str], tuple[object, ...]] = {
    ("API_Contacts", "nameLast"): NAMES,
    ("API_Contacts", "DOB"): (
        "1889-12-31",
        "1890-01-01",
        "1899-12-31",
        "1900-01-01",
        "1900-02-28",
        "1900-03-01",
        "2199-12-31",
        "2200-01-01",
        "0001-01-01",
        "9999-12-31",
    ),
    ("API_Contacts", "CYS_ID"): (1, 0, -3, 1.5, 123456789012345, 0.1),
    ("API_Contacts", "title"): ("Mr.", " DR ", "Sir", "m.r", "\u00a0", "Ms\r", "0"),
    ("API_Contact_Details", "ph"): PHONES,
    ("API_Contact_Details", "type"): ("Mobile ", "", "fax", "E-Mail", "address"),
    ("API_Contact_Details", "post code"): ("800", "0800", "2000.0"),
    ("API_event", "startTime"): ("24:00:00", "47:59:59", "48:00:00", "930:00:00", "23:59:59.5", ""),
    ("API_Notes", "Note"): ("x" * 32_766, " ", "\u200b", "a\x00b\x0cc", "tab\there \x0bvt"),
    ("API_Notes", "Date"): ("", "1066-10-14", "2025-10-05", "2025-04-06"),
    ("API_Messages", "SentTimestamp"): (
        "2025-10-05 02:30:00",
        "2025-04-06 02:30:00",
        "1800-01-01 10:00:00",
        "",
    ),
    ("API_Messages", "SMSCredits"): (1, 2.5, 0, -1, 10_000_000_000),
    ("API_Replies", "ReplyMessageBody"): NAMES,
    ("API_Replies", "SenderPhoneMobileIntFormat"): PHONES,
    ("API_Replies", "Timestamp"): ("2025-10-05 02:30:00", "2025-04-06 02:30:00.5", ""),
    ("@Letters", "Title"): NAMES[::-1],
    ("@Letters", "Body"): NAMES,
    ("@Letters", "Date"): ("", "0202-01-01", "2025-10-05"),
    ("@ Dates to Connect", "Funding"): ("", 'a, "b"', "x\ry"),
    ("@ Dates to Connect", "End_Date"): ("", "", "2025-10-05", "3000-01-01"),
    ("@ Dates to Connect", "To_Contact_Date"): ("2025-10-05", "", "1066-10-14"),
}
LINKS = {"API_event": "id_Contact", "API_Notes": "id_Key", "API_Contact_Details": "id.key"}


def make_odd(tables: dict[str, FileTable]) -> None:
    """Put the odd values in, spell some links in another case, and delete a patient."""
    for (name, field), values in ODD.items():
        for record, value in zip(tables[name].records, values, strict=False):
            record.values[field] = value
    for name, field in LINKS.items():
        for record in tables[name].records[::3]:
            record.values[field] = f" {record.values.get(field, '')} ".swapcase()
    tables["API_Contacts"].records.pop(30)
