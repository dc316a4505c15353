"""A mapping: how one FileMaker file feeds one Nexus.

The shipped mapping is ``mappings/nexus.toml``; its head explains the parts. A mapping is checked in
itself when it is loaded (``problems``), against FileMaker's fields in ``stages.snapshot``, and
against the live schema in ``nexus.structure.fit``.
"""

from nexus_reimport.mapping.attachments import Attachment, AttachmentLink
from nexus_reimport.mapping.columns import ColumnSpec
from nexus_reimport.mapping.entities import (
    DefaultRule,
    Entity,
    ExclusionRule,
    Identity,
    OverrideRule,
)
from nexus_reimport.mapping.field_mapping import ByHand, FieldMapping
from nexus_reimport.mapping.loading import load, load_for, shipped
from nexus_reimport.mapping.problems import Problem, refused
from nexus_reimport.mapping.sources import Link, SourceField, SourceTable

__all__ = [
    "Attachment",
    "AttachmentLink",
    "ByHand",
    "ColumnSpec",
    "DefaultRule",
    "Entity",
    "ExclusionRule",
    "FieldMapping",
    "Identity",
    "Link",
    "OverrideRule",
    "Problem",
    "SourceField",
    "SourceTable",
    "load",
    "load_for",
    "refused",
    "shipped",
]
