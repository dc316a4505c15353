"""All three servers together: started, filled, kept, stopped."""

SEED = 20251109  # of the made-up clinic, where no other is given
