"""A run as the notebooks call it: opened, step by step, approved, executed, verified, sealed.

book = runbook.begin("dev")
book.snapshot()
"""

from nexus_reimport.runbook.book import Runbook, begin, reopen, resume

__all__ = ["Runbook", "begin", "reopen", "resume"]
