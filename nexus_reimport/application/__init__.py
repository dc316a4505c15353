"""Nexus's own HTTP API, asked what a person sees on its screens. Nothing is written by it."""

from nexus_reimport.application.client import Api, opened
from nexus_reimport.application.questions import ask

__all__ = ["Api", "ask", "opened"]
