"""What of a user's words is a statement: the rule, and the tables of words for each language."""

from .rule import worth_keeping

__all__ = ["worth_keeping"]
