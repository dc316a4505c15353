"""Documents and images, which are only re-linked; references without a foreign key."""

from __future__ import annotations

from nexus_reimport.settings import Strict


class Owner(Strict):
    """The field of an attachment's source that names its owner."""

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
    """The table that holds the link, if the attachment's own table does not."""

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
    active: str = ""  # the column that says whether the application shows it
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
