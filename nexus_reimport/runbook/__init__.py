"""A run as the notebooks call it: open, read, plan, approve, execute, verify, seal.

book = runbook.begin("dev")
book.snapshot()
"""

from nexus_reimport.runbook.book import Runbook, begin, reopen, resume

__all__ = ["Runbook", "begin", "reopen", "resume"]
