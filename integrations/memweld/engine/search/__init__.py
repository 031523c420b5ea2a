"""Search: the embedders, the vectors and words of each user in RAM, and the ranking. Nothing here needs mem0."""
