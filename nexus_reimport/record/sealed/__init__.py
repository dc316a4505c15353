"""What vouches for a record: the bag, its seal, the chain of seals, and the check of all three."""
