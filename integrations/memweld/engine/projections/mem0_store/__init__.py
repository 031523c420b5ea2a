"""A mem0 store of the user's choice as the place of the vectors.

What the memories say, whose they are and in what order they stand is kept in our own tables; the store holds a copy of
each with its vector and is asked for one thing only: which ids are near. What it answers is joined with the tables by
id and scope, so that a store that loses rows, or shows too many, can neither lose a memory nor leak one.

Importing this package imports mem0.
"""

from ...extraction.mem0.environment import load_mem0

load_mem0()
