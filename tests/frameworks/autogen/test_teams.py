"""AutoGen's teams: what is said is kept once, each agent has its view, and a user's memory stays the user's."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import BaseChatMessage, MemoryQueryEvent, TextMessage
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)
from observed import texts
from pydantic import BaseModel

import memweld
from memweld import Backend, Memory
from memweld.autogen import MemweldChatCompletionContext, MemweldMemory, loading_with, memory_tools
from memweld.testing.autogen import ModelCall, ScriptedChatCompletionClient, tool_call

Model = ScriptedChatCompletionClient


def member(name: str, model: Model, source: Memory | Backend, session: str = "trip", **options: Any) -> AssistantAgent:
    context = MemweldChatCompletionContext(source, session, agent_name=name)
    return AssistantAgent(name, model_client=model, model_context=context, description=name, **options)


def kept(memory: Memory, session: str = "trip") -> list[tuple[str, str | None, str]]:
    return [(said.role, said.name, said.text) for said in memory.history(session).messages()]


def shown(model: Model, call: int = -1) -> list[tuple[str, str, Any]]:
    """The messages that a model saw, without system messages: kind, speaker, content."""
    return [
        (type(message).__name__, message.source, message.content)
        for message in model.calls[call].messages
        if isinstance(message, (UserMessage, AssistantMessage))
    ]


def last(result: TaskResult) -> str:
    return result.messages[-1].to_text()  # type: ignore[union-attr]


class Stranger(BaseChatAgent):
    """An agent with no context of ours."""

    def __init__(self, name: str, say: str) -> None:
        super().__init__(name, name)
        self.say = say

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], token: CancellationToken) -> Response:
        return Response(chat_message=TextMessage(content=self.say, source=self.name))

    async def on_reset(self, token: CancellationToken) -> None:
        pass


# one session for the team


class TestSharedSession:
    async def test_each_thing_stands_once_with_its_speaker(self, ana: Memory) -> None:
        writer, critic = Model(["Porto it is", "Porto in May"]), Model(["Too vague", "Good"])
        team = RoundRobinGroupChat(
            [member("writer", writer, ana), member("critic", critic, ana)],
            termination_condition=MaxMessageTermination(5),
        )
        await team.run(task="I want to see Porto")
        assert kept(ana) == [
            ("user", None, "I want to see Porto"),
            ("assistant", "writer", "Porto it is"),
            ("assistant", "critic", "Too vague"),
            ("assistant", "writer", "Porto in May"),
            ("assistant", "critic", "Good"),
        ]
        assert texts(ana) == ["I want to see Porto"]
        # Each model sees what AutoGen itself would have shown it.
        assert shown(writer) == [
            ("UserMessage", "user", "I want to see Porto"),
            ("AssistantMessage", "writer", "Porto it is"),
            ("UserMessage", "critic", "Too vague"),
        ]
        assert shown(critic) == [
            ("UserMessage", "user", "I want to see Porto"),
            ("UserMessage", "writer", "Porto it is"),
            ("AssistantMessage", "critic", "Too vague"),
            ("UserMessage", "writer", "Porto in May"),
        ]

    async def test_the_views_are_those_of_autogens_own_contexts(self, ana: Memory) -> None:
        """The same team with stock contexts is the measure, over runs, with repeated words and a stranger in it."""

        def models() -> list[Model]:
            return [Model(["yes", "no", "yes"]), Model(["yes", "yes", "yes"])]

        async def play(context: Callable[[str], Any], models: list[Model]) -> None:
            agents = [
                AssistantAgent(name, model_client=model, model_context=context(name))
                for name, model in zip(("writer", "critic"), models, strict=True)
            ]
            team = RoundRobinGroupChat(
                [Stranger("clerk", "noted"), *agents], termination_condition=MaxMessageTermination(4)
            )
            for task in ("yes", "yes", "I keep bees"):
                await team.run(task=task)

        stock, ours = models(), models()
        await play(lambda name: None, stock)
        await play(lambda name: MemweldChatCompletionContext(ana, "trip", agent_name=name, recall_limit=0), ours)
        for expected, model in zip(stock, ours, strict=True):
            assert [shown(model, call) for call in range(3)] == [shown(expected, call) for call in range(3)]
        one_round = [("assistant", "clerk", "noted"), ("assistant", "writer", "yes"), ("assistant", "critic", "yes")]
        assert kept(ana)[:4] == [("user", None, "yes"), *one_round]
        assert len(kept(ana)) == 12
        assert texts(ana) == ["I keep bees"]

    async def test_what_the_store_must_change_stands_once(self, ana: Memory) -> None:
        agents: list[Any] = [member(name, Model(["half \ud800", "half \ud800"]), ana) for name in ("writer", "critic")]
        team = RoundRobinGroupChat(agents, termination_condition=MaxMessageTermination(4))
        await team.run(task="I keep bees \ud800")
        assert [name for _, name, _ in kept(ana)] == [None, "writer", "critic", "writer"]
        assert all("shortened" in (message.native or {}) for message in ana.history("trip").messages())
        assert len(texts(ana)) == 1

    @pytest.mark.parametrize("seed", range(16))
    async def test_any_order_of_speakers_gives_the_same_views(self, ana: Memory, seed: int) -> None:
        """Random speakers who say little else than "yes", with tools and strangers among them."""

        async def play(context: Callable[[str], Any]) -> list[list[tuple[str, str, Any]]]:
            chance = random.Random(seed)

            def script(call: ModelCall) -> Any:
                works = bool(call.tools) and chance.random() < 0.3  # without tools it is asked to reflect
                return tool_call("get_preferences") if works else chance.choice(["yes", "no"])

            models = [Model(script) for _ in range(chance.randint(1, 3))]
            names = [f"agent{number}" for number in range(len(models))]
            agents = [
                AssistantAgent(
                    name,
                    model_client=model,
                    model_context=context(name),
                    tools=memory_tools(ana),
                    max_tool_iterations=chance.randint(1, 3),
                    reflect_on_tool_use=not seed % 2,
                )
                for name, model in zip(names, models, strict=True)
            ]
            team = SelectorGroupChat(
                [Stranger("clerk", "yes"), *agents],  # type: ignore[list-item]
                model_client=Model([]),
                selector_func=lambda _: chance.choice(["clerk", *names]),
                termination_condition=MaxMessageTermination(6),
            )
            for _ in range(4):
                await team.run(task=chance.choice(["yes", "no"]))
            return [
                [
                    (kind, source, content if isinstance(content, str) else len(content))
                    for kind, source, content in shown(model, call)
                ]
                for model in models
                for call in range(len(model.calls))
            ]

        stock = await play(lambda name: None)
        ours = await play(lambda name: MemweldChatCompletionContext(ana, "trip", agent_name=name, recall_limit=0))
        if seed % 2:
            # A summary of tool results is written when somebody is told it, which may be later than it was said.
            ours, stock = ([sorted(map(str, view)) for view in views] for views in (ours, stock))
        assert ours == stock

    async def test_what_is_shown_is_not_recalled_beside_it(self, ana: Memory) -> None:
        ana.add("Porto lies by the sea")
        critic = Model(["Good"])
        team = RoundRobinGroupChat(
            [member("writer", Model(["Porto it is"]), ana), member("critic", critic, ana)],
            termination_condition=MaxMessageTermination(3),
        )
        await team.run(task="I want to see Porto")
        assert critic.seen.count("I want to see Porto") == 1
        assert "Porto lies by the sea" in critic.seen

    async def test_a_team_built_anew_goes_on(self, ana: Memory) -> None:
        """As in a web server that builds its agents for each request: the same words again are said again."""
        for _ in range(2):
            writer, critic = Model(["Hi"]), Model(["Hello"])
            team = RoundRobinGroupChat(
                [member("writer", writer, ana), member("critic", critic, ana)],
                termination_condition=MaxMessageTermination(3),
            )
            await team.run(task="hello")
        once = [("user", None, "hello"), ("assistant", "writer", "Hi"), ("assistant", "critic", "Hello")]
        assert kept(ana) == once * 2
        assert [content for _, _, content in shown(critic)] == ["hello", "Hi", "Hello", "hello", "Hi"]

    async def test_it_goes_on_from_another_framework(self, ana: Memory) -> None:
        ana.history("trip").append(
            [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "Hi, I am not of AutoGen"},
            ]
        )
        model = Model(["Hi again"])
        await member("writer", model, ana).run(task="hello")
        assert shown(model) == [
            ("UserMessage", "user", "hello"),
            ("AssistantMessage", "assistant", "Hi, I am not of AutoGen"),
            ("UserMessage", "user", "hello"),
        ]
        assert len(kept(ana)) == 4

    async def test_tool_work_is_seen_by_its_agent_alone(self, ana: Memory) -> None:
        ana.add("I keep bees")
        call = tool_call("search_memories", {"query": "bees"})
        writer, critic = Model([call, "You keep bees", "Done", "Bye"]), Model(["Right", "Right"])
        team = RoundRobinGroupChat(
            [
                member("writer", writer, ana, tools=memory_tools(ana), max_tool_iterations=2),
                member("critic", critic, ana),
            ],
            termination_condition=MaxMessageTermination(3),
        )
        await team.run(task="What do I keep?")
        assert [role for role, _, _ in kept(ana)] == ["user", "assistant", "tool", "assistant", "assistant"]
        assert [(kind, source) for kind, source, _ in shown(critic)] == [
            ("UserMessage", "user"),
            ("UserMessage", "writer"),
        ]
        await team.run(task="Thanks")
        mine = [message for message in writer.calls[-1].messages if isinstance(message, FunctionExecutionResultMessage)]
        assert [result.call_id for result in mine[0].content] == [call.id]

    async def test_a_summary_of_tool_results_is_not_told_to_who_made_it(self, ana: Memory) -> None:
        writer, critic = Model([tool_call("get_preferences"), "Done"]), Model(["Right", "Right"])
        ana.preferences.set("theme", "dark")
        team = RoundRobinGroupChat(
            [member("writer", writer, ana, tools=memory_tools(ana)), member("critic", critic, ana)],
            termination_condition=MaxMessageTermination(3),
        )
        await team.run(task="Which theme?")
        await team.run(task="Thanks")
        spoken = [(role, name) for role, name, _ in kept(ana)]
        assert spoken[3:5] == [("assistant", "writer"), ("assistant", "critic")]
        assert "theme: dark" in shown(critic, 0)[1][2]
        assert [(kind, source) for kind, source, _ in shown(writer)] == [
            ("UserMessage", "user"),
            ("AssistantMessage", "writer"),
            ("UserMessage", "critic"),
            ("UserMessage", "user"),
        ]

    async def test_structured_answers_stand_once(self, ana: Memory) -> None:
        class Plan(BaseModel):
            place: str
            days: int

        writer = Model(['{"place": "Porto",\n "days": 3}'])
        team = RoundRobinGroupChat(
            [member("writer", writer, ana, output_content_type=Plan), member("critic", Model(["Good"]), ana)],
            termination_condition=MaxMessageTermination(3),
            custom_message_types=[],
        )
        from autogen_agentchat.messages import StructuredMessage

        team._message_factory.register(StructuredMessage[Plan])
        await team.run(task="Where to?")
        assert [name for _, name, _ in kept(ana)] == [None, "writer", "critic"]

    async def test_a_failed_run_is_repeated_without_doubles(self, ana: Memory) -> None:
        model = Model([RuntimeError("overloaded"), "Porto it is"])
        team = RoundRobinGroupChat(
            [member("writer", model, ana), member("critic", Model(["Good"]), ana)],
            termination_condition=MaxMessageTermination(3),
        )
        with pytest.raises(RuntimeError, match="overloaded"):
            await team.run(task="I want to see Porto")
        await team.reset()
        again = RoundRobinGroupChat(
            [member("writer", model, ana), member("critic", Model(["Good"]), ana)],
            termination_condition=MaxMessageTermination(3),
        )
        await again.run(task="I want to see Porto")
        assert [text for _, _, text in kept(ana)] == ["I want to see Porto", "Porto it is", "Good"]

    async def test_a_retry_of_the_same_agent_adds_nothing(self, ana: Memory) -> None:
        helper = member("writer", Model([RuntimeError("overloaded"), "Hi"]), ana)
        with pytest.raises(RuntimeError, match="overloaded"):
            await helper.run(task="hello")
        await helper.run(task="hello")
        assert [text for _, _, text in kept(ana)] == ["hello", "Hi"]

    async def test_agents_that_work_at_once(self, ana: Memory) -> None:
        names = [f"agent{number}" for number in range(6)]
        agents = [member(name, Model([f"{name} is done"] * 2), ana) for name in names]
        closing = member("closing", Model(["All done"] * 2), ana)
        builder = DiGraphBuilder()
        builder.add_node(closing)
        for one in agents:
            builder.add_node(one).add_edge(one, closing)
        flow = GraphFlow([*agents, closing], builder.build(), termination_condition=MaxMessageTermination(20))
        await flow.run(task="Go")
        assert sorted(text for _, _, text in kept(ana)) == sorted(
            ["Go", *(f"{name} is done" for name in names), "All done"]
        )
        await flow.run(task="Go")
        assert [text for _, _, text in kept(ana)].count("Go") == 2
        assert len(kept(ana)) == 16

    async def test_users_share_a_team_and_no_session(self, backend: Backend) -> None:
        def team() -> RoundRobinGroupChat:
            models = [Model(lambda call: f"Seen: {call.text}") for _ in range(2)]
            agents = [member(name, model, backend) for name, model in zip(("writer", "critic"), models, strict=True)]
            return RoundRobinGroupChat(agents, termination_condition=MaxMessageTermination(3))  # type: ignore[arg-type]

        async def one(user: str) -> None:
            with memweld.user_scope(user):
                await team().run(task=f"I am {user}")

        users = [f"user-{number}" for number in range(8)]
        await asyncio.gather(*map(one, users))
        for user in users:
            said = kept(backend.user(user))
            assert [name for _, name, _ in said] == [None, "writer", "critic"]
            assert not any(f"I am {other}" in text for other in users if other != user for _, _, text in said)

    async def test_state_and_components_go_round(self, backend: Backend, ana: Memory) -> None:
        def team() -> RoundRobinGroupChat:
            return RoundRobinGroupChat(
                [member("writer", Model(["Porto it is"]), ana), member("critic", Model(["Good"]), ana)],
                termination_condition=MaxMessageTermination(3),
            )

        first = team()
        await first.run(task="I want to see Porto")
        before = kept(ana)
        state = json.loads(json.dumps(await first.save_state()))
        dump = json.loads(first.dump_component().model_dump_json())
        await first.reset()
        assert kept(ana) == []
        with loading_with(backend):
            loaded = RoundRobinGroupChat.load_component(dump)
        await loaded.load_state(state)
        assert kept(ana) == before
        assert json.loads(loaded.dump_component().model_dump_json()) == dump


# kinds of teams


class TestSelector:
    async def test_what_is_said_is_captured_once(self, ana: Memory) -> None:
        choices = iter(["critic", "writer", "critic"])
        team = SelectorGroupChat(
            [member("writer", Model(["Porto it is"]), ana), member("critic", Model(["First?", "Good"]), ana)],
            model_client=Model(lambda _: next(choices)),
            allow_repeated_speaker=True,
            termination_condition=MaxMessageTermination(4),
        )
        await team.run(task="I want to see Porto")
        assert texts(ana) == ["I want to see Porto"]
        assert [(name, text) for _, name, text in kept(ana)] == [
            (None, "I want to see Porto"),
            ("critic", "First?"),
            ("writer", "Porto it is"),
            ("critic", "Good"),
        ]

    async def test_the_selector_may_have_a_kept_context_too(self, ana: Memory) -> None:
        chooser = Model(["critic", "writer"])
        team = SelectorGroupChat(
            [member("writer", Model(["Porto it is"]), ana), member("critic", Model(["First?"]), ana)],
            model_client=chooser,
            model_context=MemweldChatCompletionContext(
                ana, "trip", agent_name="selector", capture=False, recall_limit=0
            ),
            allow_repeated_speaker=True,
            termination_condition=MaxMessageTermination(3),
        )
        await team.run(task="I want to see Porto")
        assert [text for _, _, text in kept(ana)] == ["I want to see Porto", "First?", "Porto it is"]
        assert "critic: First?" in chooser.calls[1].text


class TestSwarm:
    @staticmethod
    def team(source: Memory | Backend, desk: Model, expert: Model, *, shared: bool = True) -> Swarm:
        def options(name: str) -> dict[str, Any]:
            session = "trip" if shared else f"trip/{name}"
            return {
                "model_context": MemweldChatCompletionContext(source, session, agent_name=name if shared else None),
                "tools": memory_tools(source),
            }

        return Swarm(
            [
                AssistantAgent("desk", model_client=desk, handoffs=["expert"], **options("desk")),
                AssistantAgent("expert", model_client=expert, handoffs=["desk"], **options("expert")),
            ],
            termination_condition=TextMentionTermination("Ready") | MaxMessageTermination(20),
        )

    @pytest.mark.parametrize("shared", [True, False])
    async def test_a_handoff_brings_its_context(self, ana: Memory, shared: bool) -> None:
        ana.preferences.set("seat", "window")
        look = tool_call("get_preferences")
        desk = Model([[look, tool_call("transfer_to_expert")]])
        expert = Model(["Ready: a window seat"])
        result = await self.team(ana, desk, expert, shared=shared).run(task="I have to get to Porto by train")
        assert last(result) == "Ready: a window seat"
        assert texts(ana).count("I have to get to Porto by train") == 1
        # The result that the first agent found reaches the second, complete and once.
        results = [
            one
            for message in expert.calls[0].messages
            if isinstance(message, FunctionExecutionResultMessage)
            for one in message.content
        ]
        assert [one.content for one in results if one.call_id == look.id] == ["1 preferences:\n- seat: window"] or (
            "seat: window" in next(one.content for one in results if one.call_id == look.id)
        )
        assert _calls_are_answered(expert.calls[0].messages)
        if shared:
            called = [call.id for said in ana.history("trip").messages() for call in said.tool_calls]
            assert called.count(look.id) == 1
            answered = [said.tool_call_id for said in ana.history("trip").messages() if said.role == "tool"]
            assert len(answered) == len(set(answered)) == 2
            assert kept(ana)[0] == ("user", None, "I have to get to Porto by train")
            assert kept(ana)[-1] == ("assistant", "expert", "Ready: a window seat")

    async def test_there_and_back(self, ana: Memory) -> None:
        desk = Model([tool_call("transfer_to_expert"), "Ready: booked"])
        expert = Model([tool_call("transfer_to_desk")])
        await self.team(ana, desk, expert).run(task="I have to get to Porto by train")
        assert [(kind, source) for kind, source, _ in shown(desk)] == [
            ("UserMessage", "user"),
            ("AssistantMessage", "desk"),
            ("UserMessage", "expert"),
        ]
        assert _calls_are_answered(desk.calls[1].messages)
        assert texts(ana) == ["I have to get to Porto by train"]

    async def test_the_user_of_the_moment(self, backend: Backend) -> None:
        with memweld.user_scope("ana"):
            await self.team(backend, Model([tool_call("transfer_to_expert")]), Model(["Ready"])).run(
                task="I like aisles"
            )
        assert texts(backend.user("ana")) == ["I like aisles"]


def test_agents_whose_clients_number_their_calls_from_nought(ana: Memory) -> None:
    """As Ollama's client does: the ids of one agent are those of the other, and of its own yesterday."""

    async def work(context: MemweldChatCompletionContext, name: str, found: str) -> None:
        call = FunctionCall(id="0", name="look_up", arguments="{}")
        result = FunctionExecutionResult(call_id="0", name="look_up", content=found)
        await context.add_message(AssistantMessage(content=[call], source=name))
        await context.add_message(FunctionExecutionResultMessage(content=[result]))
        await context.add_message(AssistantMessage(content=f"{name} found {found}", source=name))

    async def found(context: MemweldChatCompletionContext) -> list[str]:
        messages = await context.get_messages()
        return [
            result.content
            for message in messages
            if isinstance(message, FunctionExecutionResultMessage)
            for result in message.content
        ]

    async def talk() -> None:
        writer, critic = (
            MemweldChatCompletionContext(ana, "trip", agent_name=name, recall_limit=0) for name in ("writer", "critic")
        )
        for context in (writer, critic):
            await context.add_message(UserMessage(content="Look it up", source="user"))
        await work(writer, "writer", "red")
        await work(critic, "critic", "blue")
        assert (await found(writer), await found(critic)) == (["red"], ["blue"])
        await work(writer, "writer", "green")
        await work(writer, "writer", "green")
        assert (await found(writer), await found(critic)) == (["red", "green", "green"], ["blue"])

    asyncio.run(talk())


def _calls_are_answered(messages: Sequence[LLMMessage]) -> bool:
    calls = [
        call.id
        for message in messages
        if isinstance(message, AssistantMessage) and not isinstance(message.content, str)
        for call in message.content
    ]
    results = [
        result.call_id
        for message in messages
        if isinstance(message, FunctionExecutionResultMessage)
        for result in message.content
    ]
    return sorted(calls) == sorted(results)


class TestMagenticOne:
    @staticmethod
    def model() -> Model:
        asked = 0

        def script(call: ModelCall) -> str:
            nonlocal asked
            if "is_request_satisfied" not in call.messages[-1].content:
                return "A plan, or an answer"
            asked += 1
            truths = {"is_request_satisfied": asked > 1, "is_in_loop": False, "is_progress_being_made": True}
            words = {"next_speaker": "writer", "instruction_or_question": "Where to?"}
            return json.dumps({key: {"answer": value, "reason": "so"} for key, value in {**truths, **words}.items()})

        return Model(script)

    async def test_a_session_survives_its_resets(self, ana: Memory) -> None:
        """MagenticOneGroupChat resets its agents in every run."""
        ana.history("trip/writer").append(
            [{"role": "user", "content": "Said yesterday"}, {"role": "assistant", "content": "Heard yesterday"}]
        )
        ana.add("I want to see Porto")
        for _ in range(2):
            writer = Model(["Porto"])
            context = MemweldChatCompletionContext(ana, "trip/writer", keep_on_clear=True)
            agent = AssistantAgent("writer", model_client=writer, model_context=context, description="Writes")
            await MagenticOneGroupChat([agent], self.model()).run(task="See Porto")
        assert "Said yesterday" not in writer.seen
        assert "I want to see Porto" in writer.seen
        assert [text for role, _, text in kept(ana, "trip/writer") if role == "assistant"][1:] == ["Porto", "Porto"]
        assert kept(ana, "trip/writer")[0][2] == "Said yesterday"
        # What its orchestrator says is nobody's fact.
        assert texts(ana) == ["I want to see Porto"]

    async def test_without_that_a_reset_is_a_reset(self, ana: Memory) -> None:
        ana.history("trip/writer").append([{"role": "user", "content": "Said yesterday"}])
        context = MemweldChatCompletionContext(ana, "trip/writer")
        agent = AssistantAgent("writer", model_client=Model(["Porto"]), model_context=context, description="Writes")
        await MagenticOneGroupChat([agent], self.model()).run(task="See Porto")
        assert "Said yesterday" not in [text for _, _, text in kept(ana, "trip/writer")]


# what agents share and what is theirs


class TestOwnMemory:
    async def test_agents_share_the_user_and_keep_their_own(self, backend: Backend, ana: Memory) -> None:
        ana.add("Ana prefers trains to planes")
        own = {name: backend.user("ana", agent_id=name) for name in ("researcher", "booker")}
        own["booker"].add("Booker: seat by the window on trains")
        own["researcher"].add("Researcher: night trains were sold out")
        models = {name: Model(["Noted"]) for name in own}
        agents = [
            AssistantAgent(
                name,
                model_client=models[name],
                memory=[MemweldMemory(memory, recall_limit=3)],
                tools=memory_tools(memory),
                model_context=MemweldChatCompletionContext(
                    backend.user("ana"), "trip", agent_name=name, capture=name == "researcher", recall_limit=0
                ),
            )
            for name, memory in own.items()
        ]
        await RoundRobinGroupChat(agents, termination_condition=MaxMessageTermination(3)).run(  # type: ignore[arg-type]
            task="I want to find trains to Porto"
        )
        assert "night trains were sold out" in models["researcher"].seen
        assert "window" not in models["researcher"].seen
        assert "by the window" in models["booker"].seen
        assert "sold out" not in models["booker"].seen
        # The user's own memory holds all of it; what the user said is shared by both.
        assert sorted(texts(ana)) == [
            "Ana prefers trains to planes",
            "Booker: seat by the window on trains",
            "I want to find trains to Porto",
            "Researcher: night trains were sold out",
        ]

    async def test_one_memory_object_serves_several_agents(self, ana: Memory) -> None:
        ana.add("I keep bees")
        ana.add("Porto lies by the sea")
        memory = MemweldMemory(ana, recall_limit=1)
        models = {name: Model(lambda call: "ok") for name in ("one", "two")}
        agents = {
            name: AssistantAgent(name, model_client=model, memory=[memory], tools=memory_tools(ana))
            for name, model in models.items()
        }

        class Meeting:
            """Both agents have recalled before either asks its model."""

            def __init__(self) -> None:
                self.here = 0

            async def wait(self) -> None:
                self.here += 1
                while self.here < 2:
                    await asyncio.sleep(0.01)

        meeting = Meeting()

        async def run(name: str, task: str) -> None:
            stream = agents[name].run_stream(task=task)
            async for message in stream:
                if isinstance(message, MemoryQueryEvent):
                    await meeting.wait()

        await asyncio.wait_for(asyncio.gather(run("one", "bees keep"), run("two", "Porto sea")), 60)
        assert "I keep bees" in models["one"].seen
        assert "Porto lies" not in models["one"].seen
        assert "Porto lies by the sea" in models["two"].seen
        assert "I keep bees" not in models["two"].seen


class TestCancellation:
    async def test_a_cancelled_team_leaves_a_session_that_goes_on(self, ana: Memory) -> None:
        started = asyncio.Event()

        class Waiting(Model):
            async def create(self, *args: Any, **options: Any) -> Any:
                started.set()
                waiting = asyncio.ensure_future(asyncio.sleep(120))
                options["cancellation_token"].link_future(waiting)  # as real clients do
                await waiting

        token = CancellationToken()
        team = RoundRobinGroupChat([member("writer", Waiting(), ana)], termination_condition=MaxMessageTermination(2))
        run = asyncio.create_task(team.run(task="I want to see Porto", cancellation_token=token))
        await asyncio.wait_for(started.wait(), 60)
        token.cancel()
        with pytest.raises((asyncio.CancelledError, RuntimeError)):
            await asyncio.wait_for(run, 60)
        assert texts(ana) == ["I want to see Porto"]
        model = Model(["Porto it is"])
        await member("writer", model, ana).run(task="I want to see Porto")
        assert [text for _, _, text in kept(ana)] == ["I want to see Porto", "Porto it is"]
        assert texts(ana) == ["I want to see Porto"]
