"""Imported by the process that commands and their kernels are forked from: what they load."""

import gc
import importlib

from nexus_reimport import garbage
from nexus_reimport.runner.fork_server import LOADED

COMMANDS = ("nexus_reimport.cli", "nexus_reimport.runner", "papermill", "support.apply_until")
SANDBOX = ("nexus_sandbox.stack.lifecycle",)

for _name in (*LOADED, *COMMANDS, *SANDBOX):
    importlib.import_module(_name)
gc.collect()
gc.freeze()
gc.set_threshold(*garbage.RARELY)  # as in the tests' own processes
