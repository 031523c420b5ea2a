"""Passwords: what follows ``password is``, ``PASSWORD=`` and the like, or stands before ``is my password``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ..search.stopwords import STOP_WORDS

__all__ = ["assigned_secrets", "field_secret", "passwords", "pins", "url_passwords"]

_NOUN = re.compile(
    r"pass(?:word|phrase|code|wd)(?![a-z\]])|(?<![a-z])pwd(?![a-z])|(?:passwort|kennwort)(?![a-zäöü])|contrase[ñn]a(?!\w)"
    r"|mot de passe(?!\w)|(?<!\w)(?-i:mdp)(?!\w)|(?<!\w)senha(?!\w)|palavra-passe|parola d['’]ordine|wachtwoord(?!\w)",
    re.IGNORECASE,
)
_NOW = r"(?:\s(?:now|jetzt|ahora|maintenant|agora|adesso|nu))?"
# A sign, but that of a URL or a time; a verb that says what the password is; a verb that may say something else of it.
_SAYS = re.compile(
    r"(?P<sign>[\"'`*]{0,2}\s{0,3}(?::(?!//|(?<=[0-9]:)[0-9])=?|(?<![=!])=(?!=)>?|->|>(?=[^\s<>]{1,128}</))\*{0,2}\s{0,3})"
    rf"|\s(?P<verb>is|equals|ist|lautet|es|est|c['’]est|é|è)(?!\w){_NOW}\s{{0,2}}:?\s{{1,3}}"
    r"|\s(?P<weak>was|will be|to|war|auf|in|e|era|heißt|heisst|a|était|à|por|para|con|avec|naar|van)\s{0,2}:?\s{1,3}",
    re.IGNORECASE,
)
# Words that mean other things, too: only a word of letters and digits behind them is a password.
_SHORT = re.compile(
    r"(?<!\w)(?:(?:(?:mi|la) clave(?: del? \w{1,30})? es|my pass is|pw ist?|password['’]s)\s{1,3}"
    r"|(?:passwor[dt]|kennwort)[\s|]{1,3}(?!\S{0,32}(?:sha|md5|auth|base64|utf|crypt|argon|kdf))"
    r"|(?:(?<!ing )(?<!bus )(?<!ski )pass|pw) ?[:=]\s{0,3})"
    r"(?=[^\W\d_])(?=[^\W_]{0,62}\d)(?P<value>\S{6,128})",
    re.IGNORECASE,
)
_CHANGED = re.compile(
    r"(?<!\w)(?:changed|set)(?!\sa\s)(?:\s\w{1,20}){1,3}?\spassword\sto\s(?P<value>[^\W\d_]{4,40})(?=\s{0,2}(?:[.,;!)\n]|\Z))",
    re.IGNORECASE,
)
# In front of the word: "letmein99 is my password".
_BEFORE = re.compile(
    r"(?<!\S)(?P<value>\S{6,64})\s(?:is|ist|es|est|é|è)\s(?:my|our|the|mein|das|mi|la|mon|le|a|minha|a minha|la mia"
    r"|mijn|het)(?:\s\w{1,20})?\s\Z",
    re.IGNORECASE,
)
_ENDS = re.compile(r"\s{0,2}(?:[.,;:!?)]|\Z)|\s(?:for|of|to|on|at|and|but|now|für|von|de|del|do|da|du|pour|voor)(?!\w)")
_CURL = re.compile(
    r"(?<!\S)(?:-u|--user)[ =](?:[\"'][^\s:\"']{1,64}:(?P<quoted>[^\"'\n]{1,128})"
    r"|[^\s:\"']{1,64}:(?P<value>[^\s\"']{1,128}))"
)
_SENTENCE_END = re.compile(r"[.!?;]\s|\n")
_NEXT_FIELD = re.compile(r"[;&,](?=\w{1,40}=)|</")
# A password manager is no password.
_THINGS = frozenset(
    """
    manager managers policy policies reset field prompt generator length hash hashes rule rules vault app hint hints
    strength min max timeout last changed
    """.split()
)
_WINDOW = 120
_NEAR = len('**"« [redacted:')
_MOST_WORDS_BETWEEN = 7
_QUOTED = re.compile(r"[*]{0,2}[\"'`“”„«‹‘’]{1,2}[ \u202f]?([^\"'`“”„«»‹›‘’\r\n]{1,128}?)[ \u202f]?[\"'`“”»›’]")
_TOKEN = re.compile(r"\S{1,256}")
_AND = r"\s(?:and|but|und|aber|y|pero|et|mais|mas|en|maar)\s"
_CLAUSE = re.compile(rf"(?:(?!{_AND})[^.,;:!?()\r\n]){{1,120}}")
_OTHER_CLAUSE = re.compile(_AND, re.IGNORECASE)
_TRAILING = ".,;:)]}>|\"'`*”»’"
# What programs and manuals have in a password's place.
_NO_VALUE = re.compile(
    r"[<({\[$%*•.…#_-]|xxx|\w{1,40}(?:\.\w{1,40}){0,4}[(\[]|(?:none|null|nil|undefined|true|false|str|string|text"
    r"|int|bool|any|optional|n/a|tbd|see|ask)(?:\W|\Z)|https?:"
    r"|(?:settings|config|cfg|self|this|os|env|environ|process|args|request|options)\.",
    re.IGNORECASE,
)
_LENGTH = re.compile(r"[0-9]{1,3}[+-]?[0-9]{0,3}\s(?:\w{1,20}\s)?(?:char|zeich|caract|carat|letter|digit|day|tag|tek)")
_UNLIKE_A_SECRET = frozenset(
    """
    required needed wrong incorrect invalid valid expired expiring weak strong secure insecure safe unsafe unique long
    short simple complex easy hard difficult known unknown lost gone missing old new outdated saved stored hashed salted
    encrypted empty blank optional mandatory due changed reset forgotten not never always sensitive shared public
    private secret confidential same different similar important good bad better fine ok okay broken locked set unset
    expire longer shorter stronger weaker than memorable hers chez sul sulla nel nella
    default temporary permanent correct right hidden visible masked redacted protected case case-sensitive below above
    attached enclosed coming still already only too very really required-field required_field input field there here
    falsch richtig ungültig gültig abgelaufen sicher unsicher stark schwach lang kurz einfach schwer bekannt unbekannt
    weg neu alt gespeichert geändert vergessen geheim privat gleich leer nötig erforderlich verschlüsselt nie immer
    incorrecta correcta inválida válida segura insegura débil fuerte larga corta fácil difícil nueva vieja secreta
    obligatoria necesaria privada caducada perdida única siempre nunca demasiado muy
    incorrect invalide valide expiré sûr faible fort court facile difficile nouveau vieux secret privé obligatoire
    requis perdu oublié toujours jamais trop très
    incorreta inválida válida segura fraca forte longa nova velha antiga secreta obrigatória necessária expirada
    sempre muito demais
    sbagliata errata corretta valida scaduta sicura debole forte lunga corta facile nuova vecchia segreta obbligatoria
    richiesta sempre mai troppo molto
    onjuist juist ongeldig geldig verlopen veilig zwak sterk kort makkelijk moeilijk nieuw oud geheim verplicht nodig
    altijd nooit
    """.split()
)
_CODE_NOUN = re.compile(
    r"(?<!\w)(?<!gpio )(?:pin(?:[- ]?(?:code|number|nummer))?|geheimzahl|cv[vc]2?|security code|(?:karten)?prüfnummer"
    r"|sicherheitscode|código de (?:seguridad|segurança)|code de sécurité|codice di sicurezza)(?!\w)",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"(?:(?P<direct>\A\s)|[:=]\s{0,2}|\s(?:is|ist|lautet|es|est|é|è)\s{1,2}:?\s{0,2})(?P<code>[0-9]{3,8})"
    r"(?![\w.,:/-]\w|\w)",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"(?:api[ _-]?key|api[ -]?schlüssel|clé api|(?:clave|chave|chiave) (?:d[aei]l? )?api"
    r"|secret[ _-]?(?:access[ _-]?)?key|client[ _-]?secret|(?:access|refresh|auth|api)[ _-]?token"
    r"|(?:session|bearer)[ _-]?token|api[ _-]?secret|(?:access|account|private)[ _-]?key"
    r"|(?<![a-z0-9_-])(?:secret|token|authorization)|[?&;](?:sig|key|x-amz-signature))"
    r"[\"'`*]{0,2}",
    re.IGNORECASE,
)
_MOST_PLACES = 3
# One pattern of all three would try each length of the words between.
_OWNER = re.compile(r"\s(?:for|of|to|für|von|de|do|da|del|pour|per|di|voor)\s[\w.-]{1,30}", re.IGNORECASE)
_KEY = re.compile(
    r"\s{0,3}(?:=|:|(?:is|ist|lautet|es|est|é|è)\s)\s{0,3}[\"'`*]{0,2}(?P<value>[^\s\"'`,;&<>]{8,})", re.IGNORECASE
)
_IN_URL = re.compile(
    r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}://[^\s:/@?#\"'<>]{0,128}:([^\s/\"'<>]{1,128})@", re.IGNORECASE
)
# A secret key of AWS has no beginning of its own.
_AWS = re.compile(r"(?<![\w/+=])[A-Za-z0-9/+]{40}(?![\w/+=])")
_PASSWORD_FIELDS = (
    "password", "passwd", "passphrase", "passcode", "passwort", "kennwort", "contraseña", "motdepasse", "senha",
    "wachtwoord",
)  # fmt: skip
_KEY_FIELDS = (
    "apikey", "apisecret", "clientsecret", "secretkey", "accesskey", "privatekey", "accountkey", "accesstoken",
    "refreshtoken", "authtoken", "apitoken", "bearertoken", "sessiontoken", "authorization",
)  # fmt: skip


def passwords(text: str) -> Iterator[tuple[int, int]]:
    """Where passwords stand that the text calls so."""
    behind = 0
    for noun in _NOUN.finditer(text):
        if noun.start() < behind:
            continue
        span = _said_behind(text, noun.end()) or _said_before(text, noun)
        if span is not None:
            behind = span[1]
            yield span
    for changed in _CHANGED.finditer(text):
        if _is_phrase(changed["value"]):
            yield changed.span("value")
    for user in _CURL.finditer(text):
        group = "value" if user["quoted"] is None else "quoted"
        if "curl" in text[max(user.start() - _WINDOW, 0) : user.start()] and not _NO_VALUE.match(user[group]):
            yield user.span(group)
    for short in _SHORT.finditer(text):
        value = short["value"].rstrip(_TRAILING)
        yield short.start("value"), short.start("value") + len(value)


def _said_before(text: str, noun: re.Match[str]) -> tuple[int, int] | None:
    """The word of letters and digits of which the text says that it is the password."""
    found = _BEFORE.search(text, max(noun.start() - _WINDOW, 0), noun.start())
    value = "" if found is None else found["value"].strip(_TRAILING)
    is_code = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    if found is None or not is_code or _NO_VALUE.match(value) or not _ENDS.match(text, noun.end()):
        return None
    start = text.index(value, found.start())
    return start, start + len(value)


def _said_behind(text: str, start: int) -> tuple[int, int] | None:
    """The password in the sentence that goes on at ``start``, where one follows a sign or a verb."""
    window = text[start : start + _WINDOW]
    for says in _SAYS.finditer(window):
        between = window[: says.start()]
        words = between.split()
        if len(words) > _MOST_WORDS_BETWEEN or _SENTENCE_END.search(between) or _is_thing(between):
            return None
        if between.endswith("[redacted") or "[redacted:" in text[start + says.end() : start + says.end() + _NEAR]:
            return None
        if says["sign"] is not None and not words and _NO_VALUE.match(text, start + says.end()):
            return None
        is_weak = says["weak"] is not None or "=" in between or _OTHER_CLAUSE.search(between) is not None
        span = _value(text, start + says.end(), is_weak=is_weak)
        if span is not None:
            return span
    return None


def _is_thing(between: str) -> bool:
    """Whether what follows the word makes it another: ``password_min_length``, ``reset-password?email``."""
    first = between.split(maxsplit=1)[:1]
    return bool(first) and (first[0][0] in "?&" or not _THINGS.isdisjoint(re.split(r"[\W_]+", first[0].lower())))


def _value(text: str, start: int, *, is_weak: bool) -> tuple[int, int] | None:
    quoted = _QUOTED.match(text, start)
    if quoted is not None:
        return None if _is_no_value(quoted[1]) else quoted.span(1)
    found = _TOKEN.match(text, start)
    token = _NEXT_FIELD.split(found[0])[0].rstrip(_TRAILING) if found else ""
    if not token or _NO_VALUE.match(token) or _LENGTH.match(text, start):
        return None
    is_odd = any(each.isdigit() or not (each.isalnum() or each in "-'’") for each in token)
    if is_odd or (not is_weak and token[1:] != token[1:].lower() and not token.isupper()):
        return start, start + len(token)
    clause = None if is_weak else _CLAUSE.match(text, start)
    return (start, start + len(clause[0].rstrip())) if clause and _is_phrase(clause[0]) else None


def _is_no_value(text: str) -> bool:
    return not text.strip() or bool(_NO_VALUE.match(text)) or text.strip().lower() in _UNLIKE_A_SECRET


def _is_phrase(clause: str) -> bool:
    """Whether words are a password themselves, and not what is said of one."""
    words = clause.lower().split()
    if not 1 <= len(words) <= 6 or not _common_words().isdisjoint(words):
        return False
    if len(words) > 1 and len(words[0]) > 5 and words[0].endswith("ed"):
        return False  # "rotated every month"
    return not _UNLIKE_A_SECRET.intersection(words if len(words) < 3 else words[1:])


@cache
def _common_words() -> frozenset[str]:
    return frozenset[str]().union(*STOP_WORDS.values())


def pins(text: str) -> Iterator[tuple[int, int]]:
    """Where PINs and the security codes of cards stand."""
    behind = 0
    for noun in _CODE_NOUN.finditer(text):
        found = _CODE.search(text[noun.end() : noun.end() + _WINDOW // 2])
        if found is not None and noun.end() >= behind and not _SENTENCE_END.search(found.string[: found.start()]):
            start, end = found.span("code")
            behind = noun.end() + end
            yield noun.end() + start, behind


def assigned_secrets(text: str) -> Iterator[tuple[int, int]]:
    """The spans of values that look like keys, after ``api_key=``, ``client_secret:`` and the like."""
    for key in _AWS.finditer(text):
        before = text[max(key.start() - _WINDOW // 2, 0) : key.start()].lower()
        # The hash of a commit has no capitals.
        kinds = (str.isupper, str.islower, str.isdigit)
        if ("aws" in before or "secret" in before) and all(any(map(kind, key[0])) for kind in kinds):
            yield key.span()
    end = 0
    for name in _ASSIGNED.finditer(text):
        if name.start() < end:
            continue
        places = [name.end()]
        while len(places) < _MOST_PLACES and (owner := _OWNER.match(text, places[-1])):
            places.append(owner.end())
        found = next((key for place in reversed(places) if (key := _KEY.match(text, place))), None)
        if found is None:
            continue
        end = found.end()
        value = found["value"].rstrip(_TRAILING)
        if _is_key(value):
            yield found.start("value"), found.start("value") + len(value)


def url_passwords(text: str) -> Iterator[tuple[int, int]]:
    """Where URLs have a password before their host."""
    return (found.span(1) for found in _IN_URL.finditer(text))


def field_secret(name: str, value: str) -> str | None:
    """The kind of secret that a field of this name holds: ``password``, ``secret``, ``security code``; else None."""
    folded = "".join(filter(str.isalnum, name)).lower()
    if folded in ("pin", "cvv", "cvv2", "cvc", "cvc2", "securitycode"):
        return "security code" if value.isdecimal() and 3 <= len(value) <= 8 else None
    if folded == "pass" and (len(value) < 5 or value.isdecimal()):
        return None  # how many tests passed
    if folded in ("pwd", "pass") or folded.endswith(_PASSWORD_FIELDS):
        return None if _is_no_value(value) else "password"
    if folded in ("secret", "token") or folded.endswith(_KEY_FIELDS):
        return "secret" if _is_key(value) else None
    return None


def _is_key(value: str) -> bool:
    is_long = len(value) >= 8 and not any(map(str.isspace, value))
    return is_long and any(map(str.isdigit, value)) and not _NO_VALUE.match(value)
