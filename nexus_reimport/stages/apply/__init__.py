"""The one stage that writes to clinic data: it does what the plan says.

``reimport`` has the steps in their order, ``states`` what is proven before and after them.
"""

from nexus_reimport.stages.apply.reimport import STEPS, apply, settle
from nexus_reimport.stages.apply.request import ApplyRequest, BeforeCommit

__all__ = ["STEPS", "ApplyRequest", "BeforeCommit", "apply", "settle"]
