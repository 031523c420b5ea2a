"""Words that look like times, and mean another thing: "guten Morgen", "2024 Euro", "What should I do before?"."""

from __future__ import annotations

import re

__all__ = ["AMBIGUOUS", "COMMON", "COUNTED", "HABIT", "NEEDS", "NOT_BEFORE", "NOT_BEHIND", "NOT_ONCE", "ONCE"]

NOT_BEHIND = {
    "morgen": frozenset("guten am jeden jedem der dem den".split()),
    "manana": frozenset("la de por".split()),
    "a": frozenset(["half"]),
    "an": frozenset(["half"]),
    "avant": frozenset("d en plus comme juste bien".split()),
    "precedent": frozenset(["sans"]),
    "previously": frozenset(["as"]),
    "fruher": frozenset("in etwas viel noch nicht".split()),
    "antes": frozenset("cuanto quanto".split()),
    "used": frozenset("am is are was were be been being m s re get gets got getting".split()),
}
"""Words that mean another thing behind these."""
# The French word is also "been", and a fall needs no season.
NEEDS = {"ete": frozenset("l en cet d de".split())}
NOT_BEFORE = {
    "fall": frozenset("from off down".split()),
    "fruher": frozenset("als oder".split()),
    "anterior": frozenset("a al ao".split()),
}
"""Words that mean another thing before these."""
AMBIGUOUS = frozenset("may march mar mars fall spring ete".split())
"""Words of other meanings: "may 3 people come", "we march 3 miles"."""
COUNTED = frozenset(
    "euro euros eur dollar dollars franken prozent percent mal stuck seiten schritte punkte personen menschen leute "
    "people miles steps km meter metres kilometer kilo kg gramm liter € $ £ %".split()
)
"""What a number counts: "2024 Euro"."""
NOT_ONCE = frozenset(
    "should shall must will message messages question answer reply response prompt conversation chat session "
    "soll sollen sollte muss mussen kann will darf mochte werde wird nachricht frage antwort unterhaltung gesprach "
    "debo deberia tengo puedo voy mensaje pregunta respuesta conversacion sesion "
    "dois devrais puis vais reponse discussion devo deveria tenho posso vou mensagem pergunta resposta conversa".split()
)
"""With these, words for the past ask for what to do, or for another message."""
HABIT = (
    frozenset(["", *"where what who how when why often much".split()]),
    frozenset("did i we he she they you my our".split()),
)
"""Two words that stand before "used to" of a habit, the empty one at the beginning: "what I", not "the command I"."""
COMMON = frozenset("before past antes avant use used old".split())
"""Words that ask for what was true once only as `ONCE` has them."""
ONCE = re.compile(r"\b(?:(?:before|past|antes|avant)\s?(?:[^\w\s,'’-]|$)|used? to\b|(?:my|our) old\b)")
