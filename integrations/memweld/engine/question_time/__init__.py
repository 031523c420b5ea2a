"""The time that a question names: "last week", "in May 2024", "vor drei Tagen", as a window in a user's time zone.

It works without a library: dateparser 1.5 takes 2 to 5 ms for a question in five languages, and finds a month in "May I
march second?". Where memweld does not understand a time, or it may be another one, there is no window.
"""

from .grammar import asking_words
from .window import QuestionTime, window_of

__all__ = ["QuestionTime", "asking_words", "window_of"]
