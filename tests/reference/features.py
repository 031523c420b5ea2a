"""The page of features: each with each engine and each adapter, printed from the conformance suites.

``python tests/reference/features.py --write docs/reference/features.md`` runs the suites' tests of each feature, on a
real Postgres and Neo4j too, and writes the page; ``test_features.py`` makes sure that both name the same features and
that every test exists.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

__all__ = ["ADAPTERS", "ADAPTER_FEATURES", "ENGINES", "ENGINE_FEATURES", "page"]

TESTS = Path(__file__).parents[1]

ENGINES = {
    "SQLite": "conformance/test_embedded.py::TestSqliteFile",
    "Postgres": "services/test_postgres.py::TestPostgres",
    "a server": "conformance/test_remote.py::TestHttpWithToken",
    "mem0's stores": "conformance/test_mem0.py::TestQdrant",
    "with Neo4j": "services/test_graph_suite.py::TestFileWithGraph",
}
"""Each engine, and the class that runs the backend suite on it."""

ADAPTERS = {
    "LangChain": "frameworks/langchain/test_adapter.py::TestLangChain",
    "CrewAI": "frameworks/crewai/test_tools.py::TestCrewAI",
    "AutoGen": "frameworks/autogen/test_agents.py::TestAutoGen",
    "AG2": "frameworks/ag2/test_ag2.py::TestAG2",
    "Agent Framework": "frameworks/agent_framework/test_agent_framework.py::TestAgentFramework",
    "MCP": "frameworks/mcp/test_server.py::TestMcp",
}
"""Each adapter, and the class that runs the adapter suite on it."""

ENGINE_FEATURES: Mapping[str, Sequence[str]] = {
    "`add(supersedes=)`": ("test_a_superseded_memory_is_left_out_and_not_lost", "test_back_to_an_earlier_fact"),
    "`as_of=`": ("test_what_was_held_true_at_a_moment",),
    "`valid_from=`, `valid_until=`": ("test_memories_begin_and_end", "test_a_change_in_the_future"),
    "times in questions": (
        "test_a_question_about_the_past_finds_what_held_then",
        "test_what_was_said_then_goes_first",
        "test_the_zone_of_the_user_says_which_day_it_is",
    ),
    "`versions`": ("test_versions_leave_with_their_memory", "test_versions_of_both_kinds_in_order"),
    "earlier texts after `update`": (
        "test_an_update_keeps_what_it_replaces",
        "test_earlier_texts_leave_with_their_memory",
    ),
    "earlier values of preferences and tasks": ("test_a_key_keeps_its_earlier_values",),
    "`expires_at=`, `ttl=` of facts": (
        "test_an_expired_fact_is_nowhere",
        "test_what_it_supersedes_expires_with_it",
        "test_sources_expire_with_their_facts",
    ),
    "`consolidate`, `undo`": (
        "test_duplicates_are_merged_and_look_alikes_are_not",
        "test_undo_restores_everything",
        "test_earlier_versions_that_stay",
        "test_long_sessions_are_summarised_by_an_llm",
    ),
    "`pin`": ("test_memories_are_pinned", "test_a_pin_goes_with_its_memory"),
    "`profile`": ("test_a_profile_needs_no_question", "test_recalls_are_counted_and_change_nothing"),
    "a new value supersedes the old one by itself": (
        "test_a_new_home_supersedes_the_old_one",
        "test_the_rule_is_narrow",
        "test_an_import_in_any_order",
        "test_extracted_facts",
        "test_an_llm_names_what_a_fact_replaces",
    ),
    "`conflicts`, `supersede`, `keep_both`": (
        "test_conflicts_are_named_and_decided",
        "test_both_true_takes_the_rule_back",
    ),
    "filters with operators": ("test_filters_have_operators", "test_generated_filters_are_answered_alike"),
    "`after=`, `before=`, `session_id=`": ("test_times_choose_memories", "test_one_occurrence_must_fit"),
    "`delete_all`, `clear(facts=True)`": (
        "test_memories_are_deleted_by_conditions",
        "test_a_session_takes_its_facts_along",
        "test_a_wrong_replacement_is_forgotten",
    ),
    "export, restore and erase of all that": ("test_export_restore_and_erase",),
    "`recall(sources=)`": (
        "test_recall_leaves_out_what_an_llm_learnt_from_an_answer",
        "test_sources_choose_memories",
    ),
    "`MemoryItem.source`": (
        "test_each_writer_has_its_source",
        "test_extracted_facts_have_the_source_of_their_message",
        "test_sources_stay_at_an_export_and_a_restore",
    ),
    "a year of all that": (
        "test_a_year_of_changes",
        "test_a_year_is_consolidated_and_back",
        "test_a_year_moves_elsewhere",
    ),
    "`redact=`": ("test_no_secret_is_stored", "test_no_llm_reads_a_secret", "test_a_restore_takes_secrets_out"),
}
"""Each feature, and the tests of the backend suite that show it."""

ADAPTER_FEATURES: Mapping[str, Sequence[str]] = {
    "recall of trusted sources alone": ("test_recall_leaves_out_what_an_answer_made_up",),
    "tools": ("test_tools_answer_the_shared_text",),
    "corrections by tools": ("test_a_correction_in_words",),
    "automatic recall": ("test_recall_reaches_the_model",),
    "`profile=`": ("test_a_profile_stands_before_the_model",),
    "times in questions": ("test_an_agent_asks_about_the_year",),
    "times in messages of users": ("test_a_turn_about_the_year",),
    "automatic capture": ("test_capture_reaches_the_memory",),
    "sessions": ("test_a_session_is_kept",),
    "a new home supersedes the old one in the next turn": ("test_a_new_home_in_a_turn_supersedes_the_old_one",),
}
"""Each feature, and the tests of the adapter suite that show it."""

HEAD = """\
# Features by engine and adapter

Each cell comes from tests of [the conformance suites](api/testing.md) that run on it: *yes* where all of them
pass, and nothing where the suite has no such test for it.

## Engines

"""
FOOT = """\

`python tests/reference/features.py --write docs/reference/features.md` runs these tests and writes this page. Postgres
and Neo4j are real servers; mem0's store is Qdrant.
"""


class _Outcomes:
    """A pytest plugin that runs the tests of the features alone, and collects their outcomes by class and name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self.outcomes: dict[tuple[str, str], set[str]] = defaultdict(set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if _name(item.nodeid) in self._names]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A skipped test ends in its setup, an expected failure is "skipped" in its call.
        if report.when == "call" or report.outcome != "passed":
            name = _name(report.nodeid)
            place = report.nodeid.partition("tests/")[2].rpartition("::")[0]
            self.outcomes[place, name].add(report.outcome)

    def cell(self, place: str, names: Sequence[str]) -> str:
        """``yes`` if all of the tests pass there, an empty text if none runs.

        Raises:
            AssertionError: One fails.
        """
        outcomes = set[str]().union(*(self.outcomes.get((place, name), set()) for name in names))
        assert "failed" not in outcomes, f"{place} fails {names}"
        return "yes" if "passed" in outcomes else ""


def _name(node: str) -> str:
    return node.rpartition("::")[2].partition("[")[0]


def page() -> str:
    """The page, made of what the tests' outcomes are now."""
    parts = [(ENGINES, ENGINE_FEATURES), (ADAPTERS, ADAPTER_FEATURES)]
    plugin = _Outcomes(name for _, features in parts for names in features.values() for name in names)
    classes = [str(TESTS / place) for places, _ in parts for place in places.values()]
    pytest.main(["-q", "-m", "", "-p", "no:cacheprovider", *classes], plugins=[plugin])
    tables = [_table(plugin, places, features) for places, features in parts]
    return f"{HEAD}{tables[0]}\n## Adapters\n\n{tables[1]}{FOOT}"


def _table(plugin: _Outcomes, places: Mapping[str, str], features: Mapping[str, Sequence[str]]) -> str:
    rows = [["", *places], ["---"] * (len(places) + 1)]
    rows += [[name, *(plugin.cell(place, tests) for place in places.values())] for name, tests in features.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    text = page()
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
