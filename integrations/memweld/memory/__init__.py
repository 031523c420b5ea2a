"""What users hold: a backend, the memory of one scope on it, and what belongs to both."""
