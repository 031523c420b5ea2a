"""Search: embedders, each user's vectors and words in RAM, and the ranking over them.

`item_store` is the entrance. `vector_index` and `inverted_index` hold a user's rows, `snapshot` is what one search sees
of them, `ranking` scores it, and `cache` bounds the RAM. Everything here works without mem0.
"""
