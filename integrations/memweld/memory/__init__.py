"""The objects that users hold: a backend, the memory of one scope on it, and their parts."""
