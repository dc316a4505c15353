"""The layouts of the FileMaker file: every field with its type and kind.

One line per type and kind; names are separated by commas. Kinds: auto (filled in when a record is
made), calc, global, summary; ``x4`` is a field of four repetitions.
"""

from __future__ import annotations

from functools import cache

from nexus_sandbox.filemaker.file import Field

_STAMPS = """
text: modificationAccountName
text auto: creationAccountName
timestamp: creationHostTimestamp, modificationTimestamp, modificationHostTimestamp
timestamp auto: creationTimestamp
"""

_CONTACTS = f"""
text: id, title, nameFirst, nameMiddle, nameLast, gender, contactType, id_Clinic, Funding
text: Clinic_Name, Flaged, Health Number, old.id, Old, _kf_XeroContactID, LastAPIResult
text: NDIS Coordinator Name, NDIS Coordinator Phone, NDIS Coordinator Email, NDIS notes
text: imageKeys, docKeys, Area, Order State, Clinic_Name test
text calc: XeroContactPOSTCalc, Initial, sortListKey, Name, Name for Labels, Name Full, %_sortBy
text calc: _kz_Mobile_gc, MobilePhoneDisplay_c Copy
text global: RECORD_ACTIVE_INDICATOR, Status Filter, Sort Selection, QuickFind, SEARCH, KEYS
text global: zv_Pivot_gt, CREATE
text summary: summaryListOfLastName, FoundSetIDs_s
date: DOB, NDIS Plan Start Date, NDIS Plan End Date
date calc: creationDate
number: sms, NDIS Report, Xmas, CYS_ID, selfDocUpdated
number auto: selfDoc, Impaired Vision, Impaired Hearing, Diabetes, ContactEvaluation
number calc: FlagedNum, _kz_Email_gc, _kz_Address_gc, _kz_Phone_gc, MobilePhoneDisplay_c
number calc: _kz_Mobile_gc Copy, Order State 2
number global auto: Link
number global calc: Z_XJOIN
container: faceImage_Ex_large, Consent Sign, faceImage_large, faceImage_medium, faceImage_small
container x4: faceImage_thumbnails
container global: NDIS logo
{_STAMPS}"""

_DETAILS = f"""
text: id, type, id.key, ph, address 1, address 2, suburb, state, post code, country, Name
text: PhoneMobileIntFormat
text calc: location, Full Address, Full Address one line
text global: CREATE, GLOBAL
number auto: Xero address, SMS Phone, Email default
number calc: count
number calc summary: foundCount
{_STAMPS}"""

_EVENTS = """
text: id, title, note, location, id_Contact, id_Referrer, noteDay, id.Note, noteClinic
text: _kp_MessageID, Consult Notes, url, Time_SMS
text calc: allDay, idCal, period, Date_SMS, Date_SMS1, SMS_Time, Date_SMS1 Copy, startDate1
text calc: VacDateSMS, Start HomeVisit
text global: SEARCH, KEYS, zv_BulkSMSAppointmentRemindersIDs_gt, zv_Pivot_gt, E_HOUR, E_MINUTES
text global: E_PM_AM
date calc: startDate, endDate
time: startTime
time calc: endTime
number: No SMS, FLAG All day, FLAG Follow Up
number auto: link
number global: SMSTOGGLE
"""

_CALENDARS = """
text: id, name
text auto: colorRGB, color
text calc: colorDot, cColorRGB, ColorNew, colorDotNew, cColorRGBNew
text global: SEARCH, KEYS, zv_BulkSMSAppointmentRemindersIDs_gt, zv_Pivot_gt
number: SMS Toggle
number calc: c1
number global auto: Link
timestamp: creationTimestamp, modificationTimestamp
"""

_NOTES = f"""
text: id_Key, id, Note, Note Type
date auto: Date
number: Display
{_STAMPS}"""

_MESSAGES = """
text: MessageBody, SendResult, _kp_MessageID, _kf_ContactID, MessageStatus, _kf_GatewayMessageID
text: _kf_EventID, RecipientPhoneMobile, RecipientPhoneMobileIntFormat, _kf_ContactDetailID
text: SenderName, SenderPhoneMobile, _kf_BulkSessionID, SenderIDType, zDebugCode, _kf_AccountID
text: SenderPhoneMobileIntFormat, SenderCountry, RecipientCountry, AlphaNumericSenderID
text: RecipientPhoneMobileTrim, _kf_ClinicDetailsID, _kf_ Calendar ID, _kf_Area
text auto: zCreatorAccount, zModifierAccount
text calc: LabelPlural_c
text global: _kf_TemplateID, zv_Pivot_g, zv_QuickFind_g
text global calc: zv_SortOrder_gt
date calc: SentDate_c
timestamp: SentTimestamp
timestamp auto: zTimestampCreated, zTimestampModified
number: SendServerSide
number auto: DeliveryDelay, zz_Serial#
number calc: SMSCredits, MessageCharacterCount
"""

_REPLIES = """
text: _kf_ContactID, _kp_ReplyID, ReplyMessageBody, _kf_GatewayMessageID
text: SenderPhoneMobileIntFormat, DestinationPhoneMobileIntFormat, _kf_GatewayID, ReplyRefID
text: CustomText1
text auto: zCreatorAccount, zModifierAccount
text calc: DisplayFromName_c, LabelPlural_c, SortField_c
text global: zv_QuickFind_g
text global calc: zv_SortOrder_gt
date calc: SentDate_c
timestamp: Timestamp
timestamp auto: zTimestampCreated, zTimestampModified
number auto: zz_Serial#
"""

_LETTERS = f"""
text: id, id.key, Name, To, Dear, Title, Body, Type, Letter by, Contact Name, Referrer Name
date auto: Date
number: Active
{_STAMPS}"""

_CONNECT = """
text: PrimaryKey, Contact_ID, Funding, Clinic, Referrer, Full Name
text auto: CreatedBy, ModifiedBy
date: End_Date
date calc: To_Contact_Date
timestamp auto: CreationTimestamp, ModificationTimestamp
number global: Pivot
"""

_DOCS = f"""
text: id_Contact, Type, id, id_Order, NexusExportDate
container: Doc
date: Date
number: imported, num
{_STAMPS}"""

_IMAGES = f"""
text: id_Contact, Type, id, Recovered, result, NexusExportDate
text calc: Name of file, filesize, fileNane
text global: ID.KEY
date auto: date
number: imported
number calc: recid
number global auto: Z_XJOIN
container: image_Full, image_Ex_large, image_large, image_medium, image_small
container calc: best_image_container
container calc x4: image_thumbnails
container x4: faceImage_thumbnails
container global: Capture, Ex_large, Large, Medium, Small
{_STAMPS}"""

_CLINICS = f"""
text: id, Name
text global: SEARCH, KEYS, zv_BulkSMSAppointmentRemindersIDs_gt, zv_Pivot_gt
number: SMS Toggle
number global auto: Link
{_STAMPS}"""

_FUNDINGS = f"""
text: id, Name, Abbreviation
{_STAMPS}"""

ONLY_ODATA = ("API_Notes", "API_Messages")  # tables on which no layout stands
_LAYOUTS = {
    "API_Contacts": _CONTACTS,
    "API_Contact_Details": _DETAILS,
    "API_event": _EVENTS,
    "API_calendar": _CALENDARS,
    "API_Notes": _NOTES,
    "API_Messages": _MESSAGES,
    "API_Replies": _REPLIES,
    "@Letters": _LETTERS,
    "@ Dates to Connect": _CONNECT,
    "API_Docs": _DOCS,
    "API_Images": _IMAGES,
    "API_Clinic_Name": _CLINICS,
    "API_Funding_Sources": _FUNDINGS,
}


@cache
def fields(layout: str) -> tuple[Field, ...]:
    """The fields of one layout, those of its first lines first."""
    return tuple(
        _field(name.strip(), kinds)
        for line in _LAYOUTS[layout].strip().splitlines()
        if line
        for kinds, _, names in [line.partition(": ")]
        for name in names.split(",")
    )


def layouts() -> tuple[str, ...]:
    """The names of all layouts."""
    return tuple(_LAYOUTS)


def _field(name: str, kinds: str) -> Field:
    kind, *flags = kinds.split()
    return Field(
        name,
        kind,
        is_global="global" in flags,
        is_calculation="calc" in flags,
        repetitions=4 if "x4" in flags else 1,
        auto_enter="auto" in flags,
        is_summary="summary" in flags,
    )
