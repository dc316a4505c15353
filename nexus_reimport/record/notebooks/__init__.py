"""Executed notebooks on their way into a record: what we have displayed, and nothing else."""
