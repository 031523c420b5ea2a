"""A mem0 store of the user's choice as the place of the vectors.

The tables hold what memories say, their owners and their order. The store holds a copy of each memory with its vector,
and answers one question: which ids are near. The engine joins its answers with the tables by id and scope. So a store
that loses rows, or shows too many, can neither lose a memory nor leak one.

`vectors` and `hosted` import mem0, when a store is first opened.
"""
