"""The stages that do the work, one module each; no stage imports another."""
