"""The steps that do the work, a module each. None imports another."""
