"""Input that means harm, or looks like it: ids, words, filters, JSON, whole arguments of tools."""

import random
import unicodedata
from typing import Any

from memweld import Scope

USERS = [
    "ana",
    "Ana",
    "ana@example.com",
    "ana%40example.com",
    "%",
    "_",
    "a_a",
    "**",
    "a*",
    "Zo\u00eb",
    "a/na",
    "ana' OR '1'='1",
    'ana" OR scope:*',
    '{"user_id":"ana"}',
    "NEAR(ana bob)",
    "x" * 256,
    "x" * 255,
]
AGENTS = [None, None, "r", "ana", "R*"]
SCOPES = [Scope(user_id=user, agent_id=agent) for user in USERS for agent in dict.fromkeys(AGENTS)]

KEYS = ["k", "K", "%", "_", "*", "a/b", "a", "../k", "k' --", '["n","k"]', "e\u0301", "\u00e9"]
KEYS += ["x" * 512, "NOT", "user_id"]
WORDS = ["shared", "words", "of", "everybody", "NOT", "AND", "zw\u00f6lf", "\u732b", "%", "*", '"', "scope1x"]
QUERIES = [
    "shared words",
    "*",
    '"',
    '""',
    "%",
    "scope:*",
    "scope1x scope2x scope3x scope4x",
    "text:shared OR scope:scope1x",
    "NEAR(shared words, 9)",
    "shared NOT words",
    "shared AND (words OR",
    "' OR 1=1 --",
    "shared*",
    "^shared",
    "{shared}",
    "user_id:ana",
    '{"AND": [{"user_id": "ana"}]}',
    "-" * 50,
    "\U0001f600 \u732b \u202e",
]
FILTERS: list[dict[str, Any]] = [
    {},
    {"n": 1},
    {"user_id": "ana"},
    {"user_id": "*"},
    {"agent_id": None},
    {"*": "*"},
    {"' OR 1=1 --": 1},
    {"n": "1' OR '1'='1"},
    {"AND": "x"},
    {"n": {"$ne": 1}},
    {"NOT": {"n": 1}},
    {"OR": [{"n": 1}, {"*": "*"}]},
    {"n": {"$not": {"$in": ["1' OR '1'='1", None]}}},
    {"n": {"icontains": "%_\\"}},
]
TOO_MUCH: list[dict[str, Any]] = [
    {"AND": [{"user_id": "ana"}]},
    {"NOT": {"user_id": "ana"}},
    {"agent_id": {"$ne": None}},
    {"OR": [{}]},
    {"n": {"$where": 1}},
]


def pick_scope(chance: random.Random) -> Scope:
    """A scope, now and then under another form of the same name."""
    scope = chance.choice(SCOPES)
    if chance.random() < 0.2 and scope.user_id is not None:
        return Scope(user_id=unicodedata.normalize("NFD", scope.user_id), agent_id=scope.agent_id)
    return scope


def spoofed(chance: random.Random) -> dict[str, Any]:
    """Arguments that claim to be somebody else, which no tool may obey."""
    if chance.random() > 0.15:
        return {}
    name = chance.choice(["user_id", "user", "scope", "owner", "filters", "config", "runtime", "run_id"])
    return {name: chance.choice([*USERS[:9], "*", None, {"user_id": "ana"}, {"configurable": {"user_id": "ana"}}])}
