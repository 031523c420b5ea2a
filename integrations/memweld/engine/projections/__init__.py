"""Projections: copies of the memory in other stores, which one outbox and one deliverer keep up to date."""
