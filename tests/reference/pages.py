"""The pages of the reference that come from the code: command line, settings, MCP tools, the HTTP API.

``make docs-reference`` writes what stands between the marks of each page; ``test_pages.py`` compares it.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import anyio
import typer
from fastmcp import Client

import memweld
from memweld.cli import app
from memweld.engine.question_time import window_of
from memweld.engine.statements.relation_tables import LANGUAGES, RelationTable
from memweld.mcp import Limits, create_server
from memweld.settings import PREFIX, Settings
from memweld.tools import DEFAULT_TOOLSETS, TOOLS, TOOLSETS

__all__ = ["PAGES", "commands", "written"]

DOCS = Path(__file__).parents[2] / "docs" / "reference"
MARKED = re.compile(r"(?<=<!-- begin: made from the code by `make docs-reference` -->\n).*(?=<!-- end -->)", re.DOTALL)
LIMITS = {
    "calls_per_minute": "calls_per_minute",
    "calls_in_flight": "calls_in_flight",
    "sessions_per_user": "sessions",
    "bytes_per_user": "bytes_kept",
    "connections": "connections",
}
"""The field of `Limits` that has the default of an option of ``memweld serve``."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def code(*names: object) -> str:
    return ", ".join(f"`{name}`" for name in names)


def commands() -> Iterator[tuple[str, Any]]:
    """Each command with its whole name, the groups' own among them."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        for each, below in (inner or {}).items():
            if not below.hidden:
                yield from walk(f"{name} {each}", below)

    return walk("memweld", typer.main.get_command(app))


def default_of(parameter: Any) -> str:
    """The default of an option, as a person writes it."""
    if parameter.name in LIMITS:
        return f"{getattr(Limits(), LIMITS[parameter.name]):,}"
    value = getattr(parameter.default, "value", parameter.default)
    return "" if value is None or isinstance(value, bool | list | tuple) else code(value)


def _parameter(parameter: Any) -> tuple[str, str, str]:
    opts = [*parameter.opts, *parameter.secondary_opts]
    name = code(*opts) if parameter.param_type_name == "option" else f"`{parameter.name.upper()}`"
    needed = " Required." if parameter.required else ""
    variable = f" `{parameter.envvar}`" if parameter.envvar else ""
    return f"{name}{variable}", default_of(parameter), f"{parameter.help or ''}{needed}"


def command_line() -> str:
    """Each command with its arguments and options."""
    text = table(
        ["command", "does"],
        ((f"[`{name}`](#{name.replace(' ', '-')})", inspect.cleandoc(each.help)) for name, each in commands()),
    )
    for name, command in commands():
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        usage = " ".join(each.name.upper() if each.required else f"[{each.name.upper()}]" for each in arguments)
        text += f"\n## {name}\n\n{inspect.cleandoc(command.help)}\n\n"
        text += f"```sh\n{' '.join(filter(None, (name, usage, '[OPTIONS]')))}\n```\n\n"
        if command.params:
            text += table(["argument or option", "default", "meaning"], map(_parameter, command.params))
    return text


def _docs_of_settings() -> dict[str, str]:
    """The meaning of each setting, from the docstring."""
    section = (inspect.getdoc(Settings) or "").partition("Attributes:")[2]
    return {
        name: " ".join(text.split())
        for name, text in re.findall(r"^    (\w+): (.*(?:\n     +.*)*)", section, re.MULTILINE)
    }


def _options_of(variable: str) -> tuple[list[str], Any]:
    """The options that say the same as a variable, and one of them."""
    found: dict[str, list[str]] = {}
    one: Any = None
    field = variable.removeprefix(PREFIX).lower()
    for name, command in commands():
        for each in command.params:
            if each.envvar == variable or (each.envvar is None and each.name == field):
                found.setdefault("`, `".join([*each.opts, *each.secondary_opts]), []).append(name.split()[-1])
                one = each
    every = len(list(commands()))
    return [
        f"`{option}`" + (f" of `{'`, `'.join(names)}`" if len(names) <= min(3, every) else "")
        for option, names in found.items()
    ], one


def settings() -> str:
    """Each variable with its default, the argument of `connect` and the options that say the same, and its meaning."""
    arguments = inspect.signature(memweld.connect).parameters
    meanings = _docs_of_settings()
    rows: list[tuple[str, str, str, str]] = []
    for field in dataclasses.fields(Settings):
        variable = f"{PREFIX}{field.name.upper()}"
        default = "" if field.default is None or isinstance(field.default, bool) else f"{field.default:g}"
        options, _ = _options_of(variable)
        argument = f"`{field.name}=`" if field.name in arguments else ""
        also = ", ".join(filter(None, (argument, *options)))
        rows.append((f"`{variable}`", default, also, meanings[field.name]))
    known = {row[0].strip("`") for row in rows}
    served: dict[str, tuple[str, str, str, str]] = {}
    for _, command in commands():
        for each in command.params:
            if each.envvar and each.envvar not in known and each.envvar not in served:
                options, _ = _options_of(each.envvar)
                served[each.envvar] = (f"`{each.envvar}`", default_of(each), ", ".join(options), each.help)
    header = ["variable", "default", "also", "meaning"]
    text = "## Memory, command line and server\n\n" + table(header, rows)
    text += "\n## Commands\n\n" + table(header, served.values())
    return text.replace("``", "`")


def _type_of(schema: dict[str, Any]) -> str:
    """The type of an argument, in a few words."""
    options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    one: dict[str, Any] = options[0] if len(options) == 1 else {}
    if one.get("type") == "array":
        items = one["items"]
        inner = ", ".join(items["properties"]) if "properties" in items else _type_of(items)
        return f"list of {{{inner}}}" if "properties" in items else f"list of {inner}"
    if "enum" in one:
        return " or ".join(code(each) for each in one["enum"])
    bounds = [f"{word} {one[key]:,}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in one]
    return " ".join([one.get("type", "any JSON"), *bounds])


async def _schemas() -> dict[str, Any]:
    with memweld.connect("sqlite://") as backend:
        async with Client(create_server(backend, toolsets=list(TOOLSETS))) as client:
            return {tool.name: tool for tool in await client.list_tools()}


def mcp_tools() -> str:
    """Each tool of the server with what a model reads of it."""
    text = ""
    schemas = anyio.run(_schemas)
    for toolset in TOOLSETS:
        chosen = "on by default" if toolset in DEFAULT_TOOLSETS else f"`--toolsets {toolset}`"
        text += f"## {toolset}\n\nThis set is {chosen}.\n\n".replace("is `", "needs `")
        for name, tool in schemas.items():
            if TOOLS[name].toolset != toolset:
                continue
            hints = tool.annotations
            marks = ["reads only" if hints.readOnlyHint else "writes"]
            marks += ["destructive"] * bool(hints.destructiveHint) + ["may be repeated"] * bool(hints.idempotentHint)
            required = tool.inputSchema.get("required", ())
            rows = [
                (
                    f"`{argument}`{'*' if argument in required else ''}",
                    _type_of(schema),
                    f"{schema['default']}" if schema.get("default") is not None else "",
                    schema.get("description", ""),
                )
                for argument, schema in tool.inputSchema["properties"].items()
            ]
            text += f"### {name}\n\n{tool.description}\n\nHints: {', '.join(marks)}.\n\n"
            text += table(["argument (* required)", "type", "default", "meaning"], rows) + "\n"
    return text.rstrip("\n") + "\n"


def rest() -> str:
    """Each operation of openapi.json, and the errors that they share."""
    document = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    rows: list[tuple[str, str, str]] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                codes = ", ".join(operation["responses"])
                rows.append((f"`{method.upper()} {path}`", operation["summary"], codes))
    codes = {
        answer["$ref"].rpartition("/")[2]: code
        for methods in document["paths"].values()
        for method in methods.keys() - {"parameters"}
        for code, answer in methods[method]["responses"].items()
        if "$ref" in answer
    }
    errors = [
        (codes[name], each["description"].partition(": ")[0], each["description"].partition(": ")[2])
        for name, each in document["components"]["responses"].items()
    ]
    return table(["request", "does", "answers"], rows) + "\n" + table(["status", "`type`", "when"], errors)


TIMES = """
yesterday | gestern | ayer | hier | ontem
the day before yesterday | vorgestern | anteayer | avant-hier | anteontem
this morning | heute Morgen | esta mañana | ce matin | esta manhã
yesterday evening | gestern Abend | ayer por la noche | hier soir | ontem à noite
three days ago | vor drei Tagen | hace tres días | il y a trois jours | há três dias
a fortnight ago | vor vierzehn Tagen | hace quince días | il y a quinze jours | há quinze dias
half an hour ago | vor einer halben Stunde | hace media hora | il y a une demi-heure | há meia hora
a year and a half ago | vor anderthalb Jahren | hace un año y medio | il y a un an et demi | há um ano e meio
a few days ago | vor ein paar Tagen | hace unos días | il y a quelques jours | há alguns dias
the last three days | die letzten drei Tage | los últimos tres días | ces trois derniers jours | os últimos três dias
last week | letzte Woche | la semana pasada | la semaine dernière | na semana passada
last weekend | letztes Wochenende | el fin de semana pasado | le week-end dernier | no fim de semana passado
last month | letzten Monat | el mes pasado | le mois dernier | no mês passado
last year | letztes Jahr | el año pasado | l'année dernière | no ano passado
next week | nächste Woche | la semana que viene | la semaine prochaine | na próxima semana
last Monday | letzten Montag | el lunes pasado | lundi dernier | segunda-feira passada
on Monday | am Montag | el lunes | lundi | na segunda-feira
on 3 May | am 3. Mai | el 3 de mayo | le 3 mai | no dia 3 de maio
on 3 May 2024 | am 3. Mai 2024 | el 3 de mayo de 2024 | le 3 mai 2024 | no dia 3 de maio de 2024
on the first of May | am ersten Mai | el primero de mayo | le premier mai | no primeiro de maio
2024-05-03 | 03.05.2024 | 2024-05-03 | 2024-05-03 | 2024-05-03
recently | neulich | recientemente | récemment | recentemente
before | früher | antes | avant | antes
in March | im März | en marzo | en mars | em março
2024-03 | 03/2024 | 2024-03 | 03/2024 | 03/2024
in March 2024 | im März 2024 | en marzo de 2024 | en mars 2024 | em março de 2024
at the beginning of March | Anfang März | a principios de marzo | début mars | no início de março
mid-March | Mitte März | a mediados de marzo | mi-mars | em meados de março
late 2024 | Ende 2024 | a finales de 2024 | fin 2024 | no final de 2024
in March last year | im März letzten Jahres | en marzo del año pasado | en mars l'an dernier | em março do ano passado
last summer | letzten Sommer | el verano pasado | l'été dernier | no verão passado
at Easter 2024 | zu Ostern 2024 | en Semana Santa de 2024 | à Pâques 2024 | na Páscoa de 2024
in 2024 | im Jahr 2024 | en 2024 | en 2024 | em 2024
since March | seit März | desde marzo | depuis mars | desde março
before 2023 | vor 2023 | antes de 2023 | avant 2023 | antes de 2023
after 2020 | nach 2020 | después de 2020 | après 2020 | depois de 2020
between May and July | zwischen Mai und Juli | entre mayo y julio | entre mai et juillet | entre maio e julho
from 3 to 9 May | vom 3. bis 9. Mai | del 3 al 9 de mayo | du 3 au 9 mai | de 3 a 9 de maio
the week before 3 May | die Woche vor dem 3. Mai | la semana antes del 3 de mayo \
| la semaine avant le 3 mai | a semana antes de 3 de maio
"""
"""A form of each kind in English, German, Spanish, French and Portuguese."""


def times() -> str:
    """Each form with its window, which is the same in all languages."""
    now = datetime(2026, 11, 28, 18, 30, tzinfo=timezone.utc)

    def shown(query: str) -> str:
        window = window_of(query, now)
        assert window is not None, query
        ends = (
            "" if math.isinf(each) else f"{datetime.fromtimestamp(each, timezone.utc):%Y-%m-%d %H:%M}"
            for each in (window.start, window.end)
        )
        return " to ".join(end.removesuffix(" 00:00") for end in ends).strip()

    rows: list[list[str]] = []
    for line in TIMES.strip().splitlines():
        forms = [each.strip() for each in line.split("|")]
        (window,) = {shown(form) for form in forms}
        rows.append([*forms, window])
    return table(["English", "German", "Spanish", "French", "Portuguese", "on 28 November 2026, at 18:30"], rows)


NAMES = {
    "en": "English", "de": "German", "es": "Spanish", "fr": "French", "pt": "Portuguese", "it": "Italian",
    "nl": "Dutch",
}  # fmt: skip


def relations() -> str:
    """The forms of the statements that supersede each other, by language."""

    def forms(language: RelationTable, relation: str) -> str:
        entries = [*language.forms.get(relation, "").split(), *language.events.get(relation, "").split()]
        clear = (entry for entry in entries if entry[0] not in "~@")
        return "; ".join(entry.replace("_", " ").replace("#", "…").replace("*", "(…)") for entry in clear)

    def statuses(language: RelationTable) -> str:
        beginnings = (each.replace("_", " ") for each in language.statuses[""].split() if each[0] != "@")
        words = ("/".join(each.split()) for status, each in language.statuses.items() if status)
        return f"{'; '.join(beginnings)}, then {', '.join(words)}"

    return "\n".join(
        f"## {NAMES[language]}\n\n"
        + table(
            ("relation", "forms"),
            [(relation, code(forms(known, relation))) for relation in known.forms]
            + [("marital status", code(statuses(known)))],
        )
        for language, known in LANGUAGES.items()
    )


PAGES: dict[str, Callable[[], str]] = {
    "relations.md": relations,
    "cli.md": command_line,
    "settings.md": settings,
    "mcp-tools.md": mcp_tools,
    "rest.md": rest,
    "times.md": times,
}
"""Each page, and what makes the text between its marks."""


def written(page: str) -> str:
    """The whole page as it should be."""
    text = (DOCS / page).read_text(encoding="utf-8")
    assert MARKED.search(text), f"{page} has no marks"
    return MARKED.sub(lambda _: f"\n{PAGES[page]()}\n", text)


if __name__ == "__main__":
    for page in PAGES:
        (DOCS / page).write_text(written(page), encoding="utf-8")
