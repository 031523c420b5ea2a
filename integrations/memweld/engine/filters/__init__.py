"""Filters: conditions on metadata and on values. One language, that of LangGraph's stores and more.

``rules.py`` validates what callers write, ``mem0_syntax.py`` rewrites what they wrote for mem0, and ``conditions.py``
reads it as a tree and fits objects to it.
"""

from .conditions import forget_filters, metadata_filter, value_filter
from .rules import is_plain, validate_conditions, validate_filters

__all__ = [
    "forget_filters",
    "is_plain",
    "metadata_filter",
    "validate_conditions",
    "validate_filters",
    "value_filter",
]
