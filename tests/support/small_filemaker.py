"""A FileMaker file of a few dozen records, with what makes its values awkward."""

from __future__ import annotations

from nexus_sandbox.filemaker.file import Field, FileTable, Record

PASSWORD = "correct horse, battery staple"


def contacts(count: int = 57) -> FileTable:
    """``count`` contacts, created in another order than that of their ids."""
    fields = (
        Field("id", "text"),
        Field("nameLast", "text"),
        Field("DOB", "date"),
        Field("Funding", "text"),
        Field("sms", "number"),
        Field("RECORD_ACTIVE_INDICATOR", "text", is_global=True),
        Field("Name Full", "text", is_calculation=True),
        Field("faceImage", "container"),
        Field("thumbnails", "text", repetitions=3),
        Field("modificationTimestamp", "timestamp", auto_enter=True),
        Field("summaryListOfLastName", "text", is_summary=True),
    )
    return FileTable("API_Contacts", fields, [_contact(number, count) for number in range(count)])


def _contact(number: int, count: int) -> Record:
    name = f"Quillfeather{number % 7}"
    born = f"19{40 + number % 50}-0{1 + number % 9}-1{number % 10}"
    return Record(
        record_id=number + 1,
        mod_id=number % 4,
        values={
            "id": f"{(number * 31) % count:08X}-AAAA-4BBB-8CCC-DDDDEEEEFFFF",
            "nameLast": name,
            "DOB": "" if number % 5 == 0 else born,
            "Funding": ("NDIS", "", "Home Care Package", "self-funded")[number % 4],
            "sms": ("", 1, 0, 2.5, "n/a")[number % 5],
            "RECORD_ACTIVE_INDICATOR": "Active",
            "Name Full": f"{name} “Quill”, née O'Hara?",
            "faceImage": "face.jpg" if number % 3 == 0 else "",
            "thumbnails(2)": "second" if number == 1 else "",
            "modificationTimestamp": f"2025-11-{1 + number % 28:02} 09:30:{number:02}",
        },
    )


def events() -> FileTable:
    """Six events: whole days that end at 24:00:00, and one without any time."""
    fields = (
        Field("id", "text"),
        Field("startDate", "date", is_calculation=True),
        Field("startTime", "time"),
        Field("endTime", "time", is_calculation=True),
        Field("note", "text"),
    )
    times = (("00:00:00", "24:00:00"), ("09:15:00", "09:45:00"), ("", ""), ("22:00:00", "26:30:00"))
    rows = [
        Record(
            record_id=number + 100,
            mod_id=0,
            values={
                "id": f"E{number}",
                "startDate": f"2025-0{number + 1}-0{number + 2}",
                "startTime": times[number % 4][0],
                "endTime": times[number % 4][1],
                "note": "first\rsecond" if number else "a = b * c @ home #1",
            },
        )
        for number in range(6)
    ]
    return FileTable("API_event", fields, rows)


def reminders() -> FileTable:
    """One record on a layout whose name has to be encoded."""
    fields = (Field("PrimaryKey", "text"), Field("End_Date", "date"))
    return FileTable(
        "@ Dates to Connect", fields, [Record(1, 0, {"PrimaryKey": "R1", "End_Date": "2026-02-03"})]
    )


def empty() -> FileTable:
    """A table without a record."""
    return FileTable(
        "API_Replies", (Field("_kp_ReplyID", "text"), Field("Timestamp", "timestamp")), []
    )


def tables() -> list[FileTable]:
    """All of them, fresh."""
    return [contacts(), events(), reminders(), empty()]
