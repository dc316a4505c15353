"""What is only re-linked: documents, images; and columns that point at rows without a key."""

from __future__ import annotations

from nexus_reimport.settings import Strict


class Owner(Strict):
    """Which field of an attachment's source names its owner."""

    field: str
    entity: str


class AttachmentIdentity(Strict):
    """A column of Nexus that equals a field of FileMaker; ``pattern`` takes a part of it."""

    column: str
    field: str
    pattern: str = ""


class AttachmentFile(Strict):
    """The columns that hold the keys of the files."""

    column: str
    also: tuple[str, ...] = ()


class Through(Strict):
    """The table that holds the link where the attachment itself does not."""

    table: str
    column: str


class AttachmentLink(Strict):
    """A generic key (content type and object), or a plain foreign key (object alone)."""

    object: str
    content_type: str = ""


class Attachment(Strict):
    """One table whose rows survive and are re-linked."""

    table: str
    source: str
    owner: Owner
    identity: tuple[AttachmentIdentity, ...]
    file: AttachmentFile
    link: AttachmentLink
    through: Through | None = None
    exported: str = ""
    serves: str = ""

    @property
    def link_table(self) -> str:
        """The table whose rows hold the link."""
        return self.through.table if self.through else self.table


class Reference(Strict):
    """A column that points at an entity's rows without a foreign key."""

    table: str
    object: str
    content_type: str = ""
    entities: tuple[str, ...] = ()
