"""The append-only facts of the house, their sealing, and the proofs of it."""
