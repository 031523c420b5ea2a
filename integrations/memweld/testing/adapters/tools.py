"""Scenarios of tools: an agent calls them as a model would."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import pytest

from ... import Backend, BackendUnavailableError, Memory, MemweldError
from ...tools import TOOLS, TOOLSETS, MemoryTool, select_tools
from ..broken import BrokenMemory, StrangeError
from .driver import Scenarios, ToolReply

__all__ = ["ToolScenarios", "open_types"]


def open_types(schema: Any, place: str = "") -> list[str]:
    """The places in a JSON schema that leave the type open, which providers refuse in strict tools."""
    if not isinstance(schema, dict):
        return []
    node = cast("dict[str, Any]", schema)
    found = [] if {"type", "anyOf", "enum"} & set(node) else [place]
    for name, part in node.get("properties", {}).items():
        found += open_types(part, f"{place}.{name}")
    for part in (*node.get("anyOf", []), *([node["items"]] if "items" in node else [])):
        found += open_types(part, f"{place}[]")
    return found


class ToolScenarios(Scenarios):
    """Scenarios of every framework's tools."""

    def test_tools_are_the_shared_ones(self, ana: Memory) -> None:
        """The default tools are offered where nothing is chosen, each under its name and with its description."""
        self._check_schemas(self.driver.tool_schemas(ana), select_tools())

    def test_every_toolset_can_be_chosen(self, ana: Memory) -> None:
        """Any toolset, and any single tool, can be had instead of the default."""
        self._check_schemas(self.driver.tool_schemas(ana, TOOLSETS), TOOLS.values())
        chosen = ["history", "get_state"]
        self._check_schemas(self.driver.tool_schemas(ana, chosen), select_tools(chosen))

    def _check_schemas(self, schemas: Mapping[str, Mapping[str, Any]], tools: Iterable[MemoryTool]) -> None:
        assert set(schemas) == {tool.name for tool in tools}
        for name, schema in schemas.items():
            assert TOOLS[name].description in schema["description"]
            assert set(schema["parameters"].get("properties", {})) == set(TOOLS[name].arguments.model_fields)

    def test_no_schema_names_an_identity(self, ana: Memory) -> None:
        """A model is never shown whose memory it is, so it cannot choose another."""
        for schema in self.driver.tool_schemas(ana, TOOLSETS).values():
            shown = json.dumps(schema["parameters"])
            assert "user_id" not in shown
            assert "agent_id" not in shown
            assert ana.user_id is not None
            assert ana.user_id not in json.dumps(dict(schema))

    def test_tools_answer_the_shared_text(self, ana: Memory) -> None:
        """A tool writes to and reads from the bound memory and answers as everywhere."""
        for mode in self.driver.modes:
            spoken = {"messages": [{"role": "user", "content": f"I collect {mode} lighthouse postcards"}]}
            added = self.driver.call_tool(ana, "add_memory", spoken, mode)
            assert added == ToolReply("Added 1 memories for user ana@example.com", False)
            assert f"I collect {mode} lighthouse postcards" in [item.text for item in ana.all()]
            query = {"query": "lighthouse postcards", "limit": 2}
            found = self.driver.call_tool(ana, "search_memories", query, mode)
            assert found == ToolReply(TOOLS["search_memories"](ana, query).text, False)

    def test_a_tool_loop_reads_and_writes(self, ana: Memory) -> None:
        """A model calls several tools at once, reads their results and answers."""
        driver: Any = self.driver
        if not hasattr(driver, "run_tools"):
            pytest.skip("the driver runs no tool loop")
        ana.add("I keep bees")
        calls = [("search_memories", {"query": "bees"}), ("set_preference", {"key": "theme", "value": "dark"})]
        turn = driver.run_tools(ana, calls, "You keep bees.")
        assert turn.reply == "You keep bees."
        assert "I keep bees (score" in turn.seen
        assert ana.preferences.all() == {"theme": "dark"}

    def test_a_correction_in_words(self, ana: Memory) -> None:
        """A user says "no, I meant Lisbon": a model changes the text, or puts a new memory in the old one's place."""
        driver: Any = self.driver
        for mode in driver.modes:
            (item,) = ana.add(f"The {mode} office moved to Porto", infer=False)
            corrected = {"memory_id": item.id, "data": f"The {mode} office moved to Lisbon"}
            assert not driver.call_tool(ana, "update_memory", corrected, mode).is_error
            read = driver.call_tool(ana, "get_memory", {"memory_id": item.id, "versions": True}, mode)
            assert f"Memory: The {mode} office moved to Lisbon" in read.text
            assert f"The {mode} office moved to Porto" in read.text
            spoken = [{"role": "user", "content": f"The {mode} office moved to Faro"}]
            added = driver.call_tool(ana, "add_memory", {"messages": spoken, "supersedes": [item.id]}, mode)
            assert not added.is_error
            assert f"{item.id} - The {mode} office moved to Lisbon" in added.text, "the model sees what it replaced"
            known = {"query": f"Where is the {mode} office?", "include_inactive": True}
            assert (
                f"{item.id} - The {mode} office moved to Lisbon (until"
                in driver.call_tool(ana, "search_memories", known, mode).text
            )
            office = [each.text for each in ana.all() if f"{mode} office" in each.text]
            assert office == [f"The {mode} office moved to Faro"]
            assert len(ana.versions(item.id)) == 3
        if hasattr(driver, "run_tools"):
            (item,) = ana.add("I moved my bees to Porto", infer=False)
            calls = [("update_memory", {"memory_id": item.id, "data": "I moved my bees to Lisbon"})]
            assert driver.run_tools(ana, calls, "Lisbon it is.").reply == "Lisbon it is."
            assert [each.text for each in ana.versions(item.id)] == [
                "I moved my bees to Porto",
                "I moved my bees to Lisbon",
            ]

    def test_a_fact_for_some_time(self, ana: Memory) -> None:
        """A model says from when and until when a fact is true, and asks what was true at another time."""
        for mode in self.driver.modes:
            spoken = [{"role": "user", "content": f"The {mode} office is in Faro"}]
            times = {"valid_from": "2025-07-01", "valid_until": "2025-08-01"}
            assert not self.driver.call_tool(ana, "add_memory", {"messages": spoken, **times}, mode).is_error
            for tool, arguments in (("search_memories", {"query": f"{mode} office"}), ("get_all_memories", {})):
                then = self.driver.call_tool(ana, tool, {**arguments, "as_of": "2025-07-14"}, mode)
                assert f"The {mode} office is in Faro" in then.text
                assert "Faro" not in self.driver.call_tool(ana, tool, arguments, mode).text
            wrong = self.driver.call_tool(ana, "get_all_memories", {"as_of": "that summer"}, mode)
            assert wrong.is_error
            assert "as_of" in wrong.text

    def test_tools_of_preferences_and_tasks(self, ana: Memory) -> None:
        """Preferences and task outcomes are the user's own, for every agent that reads them."""
        mode = self.driver.modes[0]
        self.driver.call_tool(ana, "set_preference", {"key": "theme", "value": "dark"}, mode)
        assert ana.preferences.get("theme") == "dark"
        ana.preferences.set("diet", {"vegan": True, "allergies": ["nuts"]})
        read = self.driver.call_tool(ana, "get_preferences", {}, mode)
        assert "- theme: dark" in read.text
        assert '- diet: {"vegan":true,"allergies":["nuts"]}' in read.text
        outcome = {"task_id": "ship-42", "outcome": "Delivered late", "success": False}
        self.driver.call_tool(ana, "record_task_outcome", outcome, mode)
        context = self.driver.call_tool(ana, "get_task_context", {"task_id": "ship-42"}, mode)
        assert "Delivered late" in context.text

    def test_an_error_is_readable_and_kills_nothing(self, ana: Memory, bob: Memory) -> None:
        """Unknown ids, other users' ids and bad arguments come back as errors that the model can read."""
        theirs = bob.add("Bob's safe opens with tulip")[0].id
        for mode in self.driver.modes:
            for memory_id in ("no-such-id", theirs):
                reply = self.driver.call_tool(ana, "get_memory", {"memory_id": memory_id}, mode)
                assert reply.is_error
                assert f"No memory exists with ID {memory_id}" in reply.text
                assert "tulip" not in reply.text
            assert self.driver.call_tool(ana, "search_memories", {"query": "   "}, mode).is_error
        assert bob.get(theirs).text == "Bob's safe opens with tulip"

    def test_providers_take_the_schemas(self, ana: Memory) -> None:
        """Every argument has a type and a description in plain words, and no reference leads elsewhere."""
        for name, schema in self.driver.tool_schemas(ana, TOOLSETS).items():
            written = json.dumps(schema, default=dict)
            assert open_types(schema["parameters"]) == [], name
            assert not {"$ref", "$defs", "`", "Args:", ":param"} & set(re.findall(r"\$\w+|`|Args:|:param", written)), (
                name
            )
            for argument, part in schema["parameters"].get("properties", {}).items():
                assert part["description"], argument

    def test_null_means_left_out(self, ana: Memory) -> None:
        """Models write null for any argument that they leave out."""
        ana.add("Ana keeps bees")
        for mode in self.driver.modes:
            found = self.driver.call_tool(ana, "search_memories", {"query": "bees", "limit": None}, mode)
            assert "Ana keeps bees" in found.text
            assert not found.is_error
        for tool in select_tools():
            fields = tool.arguments.model_fields
            nulls = {name: None for name, field in fields.items() if not field.is_required()}
            arguments = {**tool.example, **nulls}
            if nulls and "memory_id" not in arguments:
                reply = self.driver.call_tool(ana, tool.name, arguments, self.driver.modes[0])
                assert not reply.is_error, reply.text

    def test_loose_arguments_are_read(self, ana: Memory) -> None:
        """Models write numbers and truth as text, objects as JSON text, and a text where messages belong."""
        mode = self.driver.modes[0]

        def call(name: str, /, **arguments: Any) -> None:
            reply = self.driver.call_tool(ana, name, arguments, mode)
            assert not reply.is_error, reply.text

        call("add_memory", messages="Ana keeps bees", metadata='{"source": "form"}')
        call("add_memory", messages=["Ana likes tea", "Ana likes jam"])
        call("add_memory", messages=[{"content": "Ana lives in Faro", "name": None}])
        call("add_memory", messages='[{"role": "user", "content": "Ana sails"}]', metadata={})
        texts = ["Ana keeps bees", "Ana likes tea", "Ana likes jam", "Ana lives in Faro", "Ana sails"]
        assert [item.text for item in ana.all()] == texts
        assert ana.all()[0].metadata == {"source": "form"}
        call("search_memories", query="bees", limit="5", min_score="0.1", filters='{"source": "form"}')
        call("search_memories", query="bees", limit=5.0, kinds="item", recency="30", filters={"source": "form"})
        call("search_memories", query="bees", kinds=[], filters="")
        call("set_preference", key="diet", value='{"vegan": true}')
        call("record_task_outcome", task_id="t", outcome="Done", success="true")
        assert ana.preferences.get("diet") == {"vegan": True}
        assert ana.tasks.context("t")[0].success is True

    def test_answers_fit_a_models_context(self, ana: Memory) -> None:
        """A long memory is shown as the passage that fits the query, and says how to read all of it."""
        filler = "Clause upon clause of no interest. " * 3_000
        memory_id = ana.add(f"{filler} The zebra house is green. {filler}")[0].id
        mode = self.driver.modes[0]
        found = self.driver.call_tool(ana, "search_memories", {"query": "zebra house"}, mode).text
        assert "The zebra house is green" in found
        assert "more characters; get_memory shows all, in pages" in found
        page = self.driver.call_tool(ana, "get_memory", {"memory_id": memory_id}, mode).text
        (cursor,) = re.findall(r'cursor "(\d{1,20})"', page)
        more = self.driver.call_tool(ana, "get_memory", {"memory_id": memory_id, "cursor": cursor}, mode).text
        assert max(map(len, (found, page, more))) < 20_000

    def test_odd_argument_names_end_no_run(self, ana: Memory) -> None:
        """A model may name any argument, also those of the adapter's own functions."""
        for mode in self.driver.modes:
            for name in ("self", "config", "args", "kwargs", "run_manager", "event", "_invocation", "memory"):
                reply = self.driver.call_tool(ana, "search_memories", {"query": "bees", name: "x"}, mode)
                assert reply.is_error or reply.text.startswith(("Found 0 memories", "Error")), name

    def test_a_foreign_error_is_not_told_in_its_words(self, ana: Memory) -> None:
        """No model reads the words of a foreign exception, which may hold secrets. None of any class ends a run."""
        for error in (ZeroDivisionError("secret detail"), StrangeError("secret detail")):
            broken = BrokenMemory(ana, "search", error=error)
            for mode in self.driver.modes:
                reply = self.driver.call_tool(broken, "search_memories", {"query": "bees"}, mode)
                assert reply.is_error
                assert "secret detail" not in reply.text

    def test_a_store_that_is_gone_is_an_error_of_the_tool(self, ana: Memory) -> None:
        """The model reads that the memory cannot be used, and not where it is; the run goes on."""
        error = BackendUnavailableError("No connection to db.internal:5432 as role app, nor to /srv/app.db")
        for mode in self.driver.modes:
            broken = BrokenMemory(ana, "search", error=error)
            reply = self.driver.call_tool(broken, "search_memories", {"query": "bees"}, mode)
            assert reply.is_error
            assert "The memory cannot be used now" in reply.text
            assert not {"internal", "5432", "role", "/srv"} & set(re.findall(r"/?\w+", reply.text))

    def test_a_spoofed_identity_is_not_obeyed(self, ana: Memory, bob: Memory) -> None:
        """An argument that names another user changes nothing: refused or ignored."""
        spoofed = {"messages": [{"role": "user", "content": "spoofed fact"}], "user_id": "bob"}
        for mode in self.driver.modes:
            self.driver.call_tool(ana, "add_memory", spoofed, mode)
        assert bob.all() == []

    def test_the_user_comes_from_the_run_time_channel(self, backend: Backend, ana: Memory) -> None:
        """Tools made from a backend serve the user whom the framework names."""
        ana.add("Ana keeps bees")
        query = {"query": "bees"}
        assert ana.user_id is not None
        assert "Ana keeps bees" in self.driver.call_tool_as(backend, ana.user_id, "search_memories", query).text
        assert "bees" not in self.driver.call_tool_as(backend, "bob", "search_memories", query).text

    def test_without_a_user_tools_refuse(self, backend: Backend, ana: Memory) -> None:
        """There is no default user."""
        ana.add("Ana keeps bees")
        try:
            reply = self.driver.call_tool_as(backend, None, "search_memories", {"query": "bees"})
        except MemweldError:
            return
        assert reply.is_error
        assert "Ana keeps bees" not in reply.text

    def test_wrong_arguments_are_named(self, ana: Memory) -> None:
        """The model reads which argument breaks which rule."""
        for mode in self.driver.modes:
            reply = self.driver.call_tool(ana, "search_memories", {"limit": 99}, mode)
            assert reply.is_error
            assert "query" in reply.text
            assert "Traceback" not in reply.text
            reply = self.driver.call_tool(ana, "search_memories", {"query": "bees", "limit": 99}, mode)
            assert reply.is_error
            assert "limit" in reply.text
            assert 'Example: {"query":' in reply.text
