"""Question words and other stop words by language: they match half of all memories and drown the word that matters.

The lists are short on purpose: the rarity weights reduce other common words anyway. The words are spelled as
``tokenizer`` folds them, without accents.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FIRST_PERSON", "NEEDS_PRONOUNS", "STOP_WORDS"]

_ENGLISH = """
    a about am an and are as at be been but by can could d did do does doesn don for from had has have he her his how i
    if in is isn it its ll m me my of on or our re s she should so t that the their them they this to ve was wasn we
    were what when where which who whom whose why will with would you your
"""
_GERMAN = """
    aber als am an auch auf aus bei bin bist das dass dem den der des die du ein eine einem einen einer er es fur hat
    habe haben hatte ich ihr ihre im in ist ja kann mein meine meinem meinen meiner mich mir mit nach nicht oder sein
    seine sich sie sind so und uns von war waren warum was welche welchem welchen welcher welches wem wen wer werden
    wessen wie wieviel wir wird wo wofur wohin woher womit wovon wozu zu zum zur
"""
_SPANISH = """
    a al como con cual cuales cuando cuanto cuantos de del donde e el ella en era es esta estan este esto fue ha han hay
    la las le les lo los me mi mis muy no nos o para pero por porque que quien quienes se ser si sin sobre son su sus te
    tiene tu tus un una unas unos y ya yo
"""
_FRENCH = """
    a ai ainsi au aux avec c ce ces cette combien comme comment d dans de des du elle elles en est et etait eu il ils j
    je l la le les leur lui m ma mais me mes mon n ne nos notre nous on ont ou par pas pour pourquoi qu quand que quel
    quelle quelles quels qui s sa se ses son sont sur t ta te tes ton tu un une vous y
"""
_PORTUGUESE = """
    a ao aos as com como da das de do dos e ela ele em era essa esse esta este eu foi ha isso ja mas me meu meus minha
    na nas no nos o onde os ou para pela pelo por porque qual quais quando quanto quantos que quem se ser seu seus sua
    sao te tem um uma voce
"""
_ITALIAN = """
    a ai al alla anche c che chi ci come con cosa cui d da dal dalla dei del della di dove e era gli ha hai hanno ho i
    il in io l la le lei lo lui ma mi mia mie mio nel nella non o per perche piu qual quale quali quando quanti quanto
    se si sono su sua suo ti tra tu tuo un una uno
"""
_DUTCH = """
    aan als bij dat de den der deze die dit door een en er had heb hebben heeft hem het hij hoe hoeveel ik in is je kan
    met mij mijn naar niet of om ons op te uit van voor waar waarom wanneer was wat welk welke wie wij word wordt ze
    zich zij zijn
"""

STOP_WORDS: Mapping[str, frozenset[str]] = {
    "en": frozenset(_ENGLISH.split()),
    "de": frozenset(_GERMAN.split()),
    "es": frozenset(_SPANISH.split()),
    "fr": frozenset(_FRENCH.split()),
    "pt": frozenset(_PORTUGUESE.split()),
    "it": frozenset(_ITALIAN.split()),
    "nl": frozenset(_DUTCH.split()),
}
"""The words of each language. If several languages fit a query equally well, the first one wins."""

FIRST_PERSON: Mapping[str, frozenset[str]] = {
    "en": frozenset("i my mine myself we our ours ourselves".split()),
    "de": frozenset(
        "ich mein meine meinem meinen meiner meines mich mir wir unser unsere unserem unseren unserer".split()
    ),
    "es": frozenset(
        "yo mi mis mio mia mios mias me conmigo nosotros nosotras nuestro nuestra nuestros nuestras".split()
    ),
    "fr": frozenset("j je moi mon ma mes mien mienne m me nous notre nos".split()),
    "pt": frozenset("eu meu minha meus minhas me mim comigo nosso nossa nossos nossas".split()),
    "it": frozenset("io mio mia miei mie mi me noi nostro nostra nostri nostre".split()),
    "nl": frozenset("ik mijn mij we wij ons onze".split()),
}
"""The words with which users speak of themselves; not English "me", since "tell me a joke" is about something else."""

NEEDS_PRONOUNS = frozenset({"en", "de", "fr", "nl"})
"""The languages in which a question about oneself has such a word; in others an ending of the verb may do."""
