"""The history of the schema: one change each, run by the owner's role."""
