"""The canonical form of a text: texts with an equal one say the same in the same words.

`canonical_form` folds nothing that could carry a meaning: no tense, number, article, preposition, accent, order or
capital letter. It folds

- the capital at the beginning, white space, the form of quotes, dashes and apostrophes, and the marks at the end but
  for a question mark;
- openers and closers that state nothing: "By the way, …", "Remember that I …", "…, thanks";
- English contractions ("I'm", "don't"), the emphatic "do" ("I do like tea"), "The user" at the beginning, and British
  spellings of some words;
- the subject of some Spanish, Portuguese and Italian verbs: "Yo vivo …", "Vivo …";
- a comma before a conjunction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...validation import normalize

__all__ = ["SPELLINGS", "canonical_form", "is_tied_to_its_day"]

_MOST_CHARACTERS = 400
_LONGEST_OPENER = 4
_END_MARKS = ".!…"

_FORMS = str.maketrans(
    {
        **dict.fromkeys("’‘ʼ`´", "'"),
        **dict.fromkeys("“”„«»", '"'),
        **dict.fromkeys("–—", "-"),
        "。": ".",
        "！": "!",
        "？": "?",
        "，": ",",
    }
)


def _phrases(table: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(entry.split("_")) for entry in table.split())


_OPENERS = _phrases(
    """
    actually btw by_the_way fyi for_your_information for_the_record hello hey hi in_fact just_so_you_know note ok okay
    oh please please_note please_remember remember so thank_you thanks well yeah yep yes you_know
    ach also also_gut bitte bitte_merk_dir bitte_merke_dir bitte_merken danke hallo ja merk_dir merk_dir_bitte merke_dir
    nebenbei tja übrigens
    a_propósito bueno gracias hola oye por_cierto por_favor pues recuerda sí vale
    au_fait bonjour bref d'ailleurs merci n'oublie_pas oui salut s'il_te_plaît voilà
    aliás bem bom_dia lembra-te lembre-se obrigada obrigado olá por_sinal sim
    allora beh ciao comunque dai ecco grazie ricorda ricordati sì
    bedankt hoi nou onthoud trouwens zeg
    """
)
"""Beginnings that state nothing, where a comma, a colon or a dash follows."""

_REMINDERS = _phrases(
    """
    remember_that please_remember_that note_that please_note_that keep_in_mind_that remember
    recuerda_que no_olvides_que por_favor_recuerda_que n'oublie_pas_que n'oubliez_pas_que souviens-toi_que retiens_que
    lembra-te_que lembra-te_de_que lembre-se_que lembre-se_de_que ricorda_che ricordati_che
    """
)
"""Beginnings that state nothing, where the first person follows."""

_CLOSERS = _phrases(
    """
    thanks thank_you please btw by_the_way ok okay
    danke bitte gracias por_favor merci obrigado obrigada grazie bedankt
    """
)
"""Ends that state nothing, behind a comma or a full stop."""

_SECRETS = frozenset(
    """
    password passwords passcode passphrase pin code key token secret username login
    passwort kennwort contraseña clave passe senha wachtwoord
    """.split()
)
"""Words beside which a mark at the end may belong to what the text names."""

_NEGATED = (
    "are could did do does had has have is might must need should was were would".split(),
    {"can": "can not", "won": "will not", "shan": "shall not"},
)
_CONTRACTIONS: dict[str, str] = {
    "i'm": "i am",
    "cannot": "can not",
    **{f"{each}'ve": f"{each} have" for each in "i you we they".split()},
    **{f"{each}'re": f"{each} are" for each in "you we they".split()},
    **{f"{each}'ll": f"{each} will" for each in "i you he she it we they".split()},
    **{f"{each}n't": f"{each} not" for each in _NEGATED[0]},
    **{f"{each}'t": words for each, words in _NEGATED[1].items()},
    # As it is often typed; not "im", "wont", "cant" and "shant", which are other words, too.
    **{f"{each}nt": f"{each} not" for each in "could did do does has have is should was would".split()},
}
"""Not "she's" and "I'd", which have two meanings each."""

SPELLINGS = {
    "behaviour": "behavior",
    "cancelled": "canceled",
    "centre": "center",
    "colour": "color",
    "colours": "colors",
    "favour": "favor",
    "favourite": "favorite",
    "favourites": "favorites",
    "flavour": "flavor",
    "flavours": "flavors",
    "grey": "gray",
    "jewellery": "jewelry",
    "neighbour": "neighbor",
    "neighbours": "neighbors",
    "organise": "organize",
    "theatre": "theater",
    "travelling": "traveling",
}

_OWN_VERBS = {
    "yo": frozenset(
        "amo bebo como conozco estoy estudio hablo juego leo llamo necesito odio prefiero quiero soy tengo toco "
        "trabajo uso viajo vivo voy".split()
    ),
    "eu": frozenset(
        "adoro amo bebo como estou estudo falo gosto jogo leio moro odeio preciso prefiro quero sou tenho toco "
        "trabalho uso viajo vivo vou".split()
    ),
    "io": frozenset(
        "abito adoro amo bevo gioco ho lavoro leggo mangio odio parlo preferisco studio suono uso vado vivo "
        "voglio".split()
    ),
}
"""Verbs whose ending alone says that the speaker is the subject."""
_FIRST_PERSON = frozenset(
    """
    i i'm i've i'll i'd my mine we we're we've our me mi mis vivo trabajo je j'ai j'aime j'habite j'adore mon ma mes
    meu minha moro io mio mia
    """.split()
).union(_OWN_VERBS, *_OWN_VERBS.values())
_BEFORE_VERB = frozenset("me mi no non não nunca nunca mai".split())

_TIMES = frozenset(
    """
    ago again afternoon already april august currently day days december earlier evening february friday hour hours
    january july june just last lately later march may midnight minute minutes moment monday month months morning next
    night noon november now nowadays october presently recently saturday september soon sunday thursday today tomorrow
    tonight tuesday wednesday week weekend weeks year years yesterday yet
    spring summer autumn winter season semester term christmas easter xmas pm o'clock
    abend aktuell april august bald derzeit dezember dienstag donnerstag eben februar freitag gerade gestern heute
    jahr jahre jahren januar jetzt juli juni kürzlich letzte letzten letzter letztes mai mittag mittwoch momentan monat
    monate monaten montag morgen märz nachmittag nacht neulich november nächste nächsten nächster nächstes oktober
    samstag september sonntag stunde stunden tag tage tagen vorgestern vormittag woche wochen wochenende zurzeit
    übermorgen frühling frühjahr sommer herbst winter weihnachten ostern silvester semester uhr
    abril actualmente agosto ahora anoche anteayer ayer año años diciembre domingo día días enero febrero hace hora
    horas hoy jueves julio junio lunes martes marzo mayo mañana mes meses minuto minutos miércoles noche noviembre
    primavera verano otoño invierno navidad navidades
    octubre pasada pasado pronto próxima próximo recientemente semana semanas septiembre sábado tarde viernes
    actuellement an année ans août aujourd'hui avril bientôt demain dernier dernière dimanche décembre février heure
    heures hier janvier jeudi jour jours juillet juin lundi maintenant mardi mars matin mercredi mois novembre nuit
    printemps été automne hiver noël pâques
    octobre prochain prochaine récemment samedi semaine semaines septembre soir vendredi
    agora amanhã ano anos anteontem atualmente dezembro dia dias domingo fevereiro hoje janeiro logo manhã março maio
    meses minuto mês noite novembro ontem outubro passada passado próxima próximo quarta quinta recentemente segunda
    semana semanas setembro sexta terça verão outono inverno natal páscoa
    adesso anni anno aprile attualmente dicembre domani domenica fa febbraio gennaio giorni giorno giovedì giugno ieri
    luglio lunedì maggio martedì mattina mercoledì mese mesi minuti notte oggi ora ore ottobre presto prossima prossimo
    estate autunno inverno natale pasqua
    recentemente sabato scorsa scorso sera settembre settimana settimane stasera venerdì
    avond binnenkort dag dagen dinsdag donderdag geleden gisteren jaar januari juni juli maand maanden maandag maart
    lente zomer herfst kerst kerstmis pasen
    mei middag momenteel nu ochtend onlangs oktober straks uur vandaag volgende vorige vrijdag weekend woensdag zaterdag
    zondag
    """.split()
)
"""Words by which a text means something else on another day."""
_LATIN_END = 0x250
# "Monday's", "segunda-feira", "(today)": only the words count.
_PLAIN = str.maketrans({**dict.fromkeys("’'", "'"), **dict.fromkeys('.,:;!?…"()-', " ")})

_EMPHATIC = frozenset("i we you they".split())
_CONJUNCTIONS = frozenset("and but or aber oder und pero y et mais mas e en maar".split())


def canonical_form(text: str) -> str | None:
    """The form in which all texts that say the same in the same words are equal.

    Args:
        text: A text in any language.

    Returns:
        The form. None for a text that equals no other: it is long, has several lines, consists of one word, or
        speaks of a password or a code.
    """
    text = text.strip()
    if len(text) > _MOST_CHARACTERS or "\n" in text:
        return None
    words = normalize("NFC", text).translate(_FORMS).split()
    if not _SECRETS.isdisjoint(word.lower().strip(".,:!?\"'") for word in words):
        return None
    words = list(_without_closer(_without_openers(words)))
    while words and not words[-1].strip(_END_MARKS):
        words.pop()
    words[:1] = [first for word in words[:1] if (first := word.lstrip("¡"))]
    if not words or (len(words) == 1 and words[0].isascii()):
        return None
    words[-1] = _without_end(words[-1])
    words[0] = _uncapitalized(words[0])
    return " ".join(_simplified(_expanded(words)))


def is_tied_to_its_day(text: str) -> bool:
    """Whether a text may mean something else on another day: "I have an exam tomorrow".

    A text in another script than the Latin one may always, and so may "5pm" or "the 3rd".
    """
    if not text.isascii() and any(character.isalpha() and ord(character) >= _LATIN_END for character in text):
        return True
    words = normalize("NFC", text).lower().translate(_PLAIN).split()
    return any(word in _TIMES or (word[0].isdigit() and not word.isdigit()) for word in words)


def _folded(words: Sequence[str], marks: str = "") -> tuple[str, ...]:
    return tuple(word.lower().rstrip(marks) for word in words)


def _without_openers(words: Sequence[str]) -> Sequence[str]:
    while words:
        length = _opener(words)
        if not length or length >= len(words):
            break
        words = words[length:]
    return words


def _opener(words: Sequence[str]) -> int:
    """How many words at the beginning state nothing."""
    if words[0] in ("-", "*", "•"):
        return 1
    for length in range(min(_LONGEST_OPENER, len(words) - 1), 0, -1):
        if _folded(words[:length]) in _REMINDERS and words[length].lower() in _FIRST_PERSON:
            return length
        head, is_marked = words[:length], words[length - 1][-1] in ",:!."
        if (is_marked or words[length] == "-") and _folded(head, ",:!.") in _OPENERS:
            return length if is_marked else length + 1
    return 0


def _without_closer(words: Sequence[str]) -> Sequence[str]:
    for length in (3, 2, 1):
        if len(words) > length + 1 and _folded(words[-length:], _END_MARKS) in _CLOSERS:
            before = words[-length - 1]
            if before[-1] in ",.!":
                return [*words[: -length - 1], before.rstrip(",")]
    return words


def _without_end(word: str) -> str:
    """The last word without its marks, where they cannot be part of what it names."""
    core = word.rstrip(_END_MARKS)
    plain = core.replace("'", "").replace("-", "").strip('"?')
    if not plain or plain.isalpha():
        return core or word
    has_letters = any(character.isalpha() for character in core)
    # A password, a code or an address keeps its mark.
    if (has_letters and core.isascii()) or "!" in word[len(core) :]:
        return word
    return core


def _uncapitalized(word: str) -> str:
    """The first word in small letters, unless more than its first letter is a capital."""
    return word if word[1:2].isupper() else word[:1].lower() + word[1:]


def _expanded(words: Sequence[str]) -> Iterator[str]:
    for place, word in enumerate(words):
        mark = "," if word.endswith(",") else ""
        following = words[place + 1].lower() if place + 1 < len(words) else ""
        if mark and following in _CONJUNCTIONS:
            mark, word = "", word[:-1]  # noqa: PLW2901
        plain = word.removesuffix(mark) if mark else word
        if plain == "I":
            plain = "i"
        expansion = _CONTRACTIONS.get(plain.lower()) or SPELLINGS.get(plain) or plain
        *first, last = expansion.split(" ")
        yield from first
        yield last + mark


def _simplified(expanded: Iterator[str]) -> Iterator[str]:
    """The words without an emphatic "do", "the" before "user", and a pronoun that the verb repeats."""
    words = list(expanded)
    if words[0] in _OWN_VERBS and len(words) > 1:
        verbs = _OWN_VERBS[words[0]]
        verb = next((word for word in words[1:] if word.lower() not in _BEFORE_VERB), "")
        if verb in verbs:
            words = words[1:]
    if words[0] == "the" and words[1:2] and words[1] in ("user", "user's"):
        words = words[1:]
    for place, word in enumerate(words):
        if word == "do" and 0 < place < len(words) - 1 and words[place + 1] != "not" and words[place - 1] in _EMPHATIC:
            continue
        yield word
