"""Decides what a run will do. Pure: from what was read to a plan that a person can approve."""
