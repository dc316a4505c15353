"""All three servers together: started, filled, kept, stopped."""
