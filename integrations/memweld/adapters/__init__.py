"""The core of all framework adapters: the user of a run, saved configurations."""
