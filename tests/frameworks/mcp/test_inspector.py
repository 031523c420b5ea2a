"""The inspector at ``/ui``: who sees what, forms that no other site can send, texts that do nothing, and headers."""

from __future__ import annotations

import base64
import html
import json
import re
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

import memweld
from memweld import Backend
from memweld.mcp import create_app, token_file_auth

HOST = "127.0.0.1:8710"
TOKENS = {
    "ana-token-0123456789": {"sub": "ana"},
    "bob-token-0123456789": {"sub": "bob"},
    "eve-token-0123456789": {"sub": "ana", "scopes": ["memory:read"]},
    "ops-token-0123456789": {"sub": "ops", "scopes": ["memory:any-user"]},
}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>{{ 12345679*81 }}{% raw %} \u202eevil\u200b"
PAGES = ("overview", "memories", "timeline", "conflicts", "profile", "preferences", "tasks", "state", "sessions",
         "graph", "recall", "consolidate", "erase")  # fmt: skip


class Browser:
    """A browser that signs in and sends the forms of pages."""

    def __init__(self, app: Any) -> None:
        self.http = TestClient(app, base_url=f"http://{HOST}", client=("127.0.0.1", 50_000), follow_redirects=False)

    def get(self, page: str, **query: str) -> Any:
        return self.http.get(f"/ui/{page}" if page else "/ui", params=query)

    def post(self, page: str, query: dict[str, str] | None = None, form: str = "text", **fields: str) -> Any:
        text = self.get("sign-in").text + self.get("preferences", **(query or {})).text
        token = re.search(r'name="csrf" value="([0-9a-f]{64})"', text)
        assert token is not None
        fields = {"csrf": token[1], "as": form, **fields}
        return self.http.post(f"/ui/{page}", params=query or {}, data=fields, headers={"origin": f"http://{HOST}"})

    def sign_in(self, token: str) -> Browser:
        assert self.post("sign-in", token=token).status_code == 303
        return self


def hidden(page: str, name: str) -> str:
    """A hidden field of a page."""
    field = re.search(f'name="{name}" value="([^"]+)"', page)
    assert field is not None
    return html.unescape(field[1])


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with memweld.connect(f"sqlite:///{tmp_path}/memory.db") as backend:
        yield backend


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.json"
    file.write_text(json.dumps(TOKENS))
    file.chmod(0o600)
    return file


@pytest.fixture
def browser(backend: Backend, tokens: Path) -> Callable[[str], Browser]:
    app = create_app(backend, auth=token_file_auth(tokens))
    return lambda name: Browser(app).sign_in(f"{name}-token-0123456789")


class TestAccess:
    def test_without_a_token_every_page_is_the_sign_in(self, backend: Backend, tokens: Path) -> None:
        browser = Browser(create_app(backend, auth=token_file_auth(tokens)))
        for page in ("", *PAGES, "export.json", "memory", "nothing"):
            response = browser.get(page)
            assert response.status_code == 401
            assert "Your token" in response.text
        assert browser.post("sign-in", token="wrong-token-0123456789").status_code == 401
        assert browser.post("erase", {"user": "ana"}, confirm="ana").status_code == 401

    def test_the_cookie_stays_with_the_pages(self, browser: Callable[[str], Browser]) -> None:
        ana = browser("ana")
        cookie = ana.post("sign-in", token="ana-token-0123456789").headers["set-cookie"]
        assert {"HttpOnly", "Path=/ui", "SameSite=strict"} <= set(cookie.split("; "))
        assert "ana-token" not in cookie
        session = {"cookie": cookie.partition(";")[0]}
        assert ana.http.get("/memory/notes", headers=session).status_code == 401
        secure = ana.http.post("/ui/sign-out", headers={"x-forwarded-proto": "https"})
        assert secure.status_code == 403

    def test_a_revoked_token_ends_the_session(self, browser: Callable[[str], Browser], tokens: Path) -> None:
        ana = browser("ana")
        assert ana.get("overview").status_code == 200
        tokens.write_text(json.dumps({name: each for name, each in TOKENS.items() if each["sub"] != "ana"}))
        assert ana.get("overview").status_code == 401

    def test_sign_out(self, browser: Callable[[str], Browser]) -> None:
        ana = browser("ana")
        assert ana.post("sign-out").status_code == 303
        assert ana.get("overview").status_code == 401

    def test_another_user_sees_nothing(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        ana = backend.user("ana")
        item = ana.add("My PIN hint is canary-1234")[0]
        ana.history("secret-session").append("canary-1234")
        bob = browser("bob")
        for page in ("memory", "memory/update", "memory/delete"):
            query = {"id": item.id}
            response = bob.get(page, **query) if page == "memory" else bob.post(page, query, text="Mine now")
            assert response.status_code == 404
            assert "canary" not in response.text
        assert "canary" not in bob.get("session", id="secret-session").text
        for page in PAGES:
            assert bob.get(page, user="ana").status_code == 403
        assert bob.post("erase", {"user": "ana"}, confirm="ana").status_code == 403
        assert bob.get("").headers["location"] == "/ui/overview?user=bob"
        assert ana.get(item.id).text == "My PIN hint is canary-1234"

    def test_who_may_name_any_user_gets_a_list(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        backend.user("ana").add("I live in Porto")
        backend.user("zoë", agent_id="cook").add("I eat no fish")
        page = browser("ops").get("").text
        assert "/ui/overview?user=ana" in page
        assert "/ui/overview?user=zo%C3%AB&amp;agent=cook" in page
        assert "I live in Porto" in browser("ops").get("memories", user="ana").text

    def test_who_only_reads_changes_nothing(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        item = backend.user("ana").add("I live in Porto")[0]
        reader = browser("eve")
        for page, query in (("memory", {"id": item.id}), ("preferences", {}), ("state", {}), ("erase", {})):
            text = reader.get(page, **query).text
            assert text.count('method="post"') == 1  # the sign-out
        assert reader.post("memory/delete", {"id": item.id}).status_code == 403
        assert reader.post("erase", confirm="ana").status_code == 403
        assert reader.get("export.json").json()["user_id"] == "ana"

    def test_on_this_machine_no_token_is_needed(self, backend: Backend) -> None:
        backend.user("ana").add("I live in Porto")
        here = Browser(create_app(backend))
        assert "/ui/overview?user=ana" in here.get("").text
        assert "I live in Porto" in here.get("memories", user="ana").text
        assert here.get("memories").headers["location"] == "/ui"
        assert here.http.get("/ui", headers={"x-forwarded-for": "203.0.113.7"}).status_code == 403

    def test_it_is_left_out(self, backend: Backend) -> None:
        assert Browser(create_app(backend, ui=False)).get("").status_code == 404

    def test_toolsets_limit_it(self, backend: Backend) -> None:
        item = backend.user("ana").add("I live in Porto")[0]
        here = Browser(create_app(backend, toolsets=["get_all_memories", "get_memory", "search_memories"]))
        assert here.get("memories", user="ana").status_code == 200
        for page in ("preferences", "state", "sessions", "erase", "export.json"):
            assert here.get(page, user="ana").status_code == 404
        assert here.http.post("/ui/memory/delete", params={"user": "ana", "id": item.id}).status_code == 404


class TestChanges:
    def test_the_whole_way(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        ana, memory = browser("ana"), backend.user("ana")
        item = memory.add("I live in Porto", metadata={"city": "Porto"})[0]
        other = memory.add("I eat no fish")[0]
        page = ana.get("memories", q="Where do I live?", meta="city=Porto").text
        assert "I live in Porto" in page
        assert "meaning 0." in page
        assert "I eat no fish" not in page
        changed = ana.post("memory/update", {"id": item.id}, text="I live in\r\nFaro", metadata='{"city": "Faro"}')
        assert changed.status_code == 303
        assert (memory.get(item.id).text, memory.get(item.id).metadata) == ("I live in\nFaro", {"city": "Faro"})
        assert ana.post("memory/delete", {"id": other.id}).headers["location"].startswith("/ui/memories?")
        assert [each.text for each in memory.all()] == ["I live in\nFaro"]
        ana.post("preferences/set", key="theme", value='{"dark": true}', form="json")
        ana.post("tasks/record", key="ship", outcome="Done in time", success="yes")
        memory.state("notes").set("a/b c", 1, ttl=3600)
        ana.post("state/set", {"namespace": "notes", "key": "a/b c"}, value="[2]", form="json")
        assert memory.preferences.get("theme") == {"dark": True}
        assert memory.tasks.context("ship")[0].success is True
        assert next(memory.state("notes").entries()).expires_at is not None
        assert memory.state("notes")["a/b c"] == [2]
        assert ana.post("state/delete", {"namespace": "notes", "key": "a/b c"}).status_code == 303
        assert ana.post("erase", confirm="an").status_code == 400
        assert memory.counts()["items"] == 1
        receipt = ana.post("erase", confirm="ana")
        assert "rows were erased" in receipt.text
        assert set(memory.counts().values()) == {0}

    @pytest.mark.parametrize(
        ("answer", "left"), [("newer", ["Pelé"]), ("older", ["Messi"]), ("both", ["Messi", "Pelé"])]
    )
    def test_a_conflict_is_decided(
        self, browser: Callable[[str], Browser], backend: Backend, answer: str, left: list[str]
    ) -> None:
        ana, memory = browser("ana"), backend.user("ana")
        older, newer = (memory.add(f"My favourite player is {name}")[0] for name in ("Messi", "Pelé"))
        page = ana.get("conflicts").text
        assert page.index("player is Pelé") < page.index("player is Messi")
        query = {"newer": newer.id, "older": older.id}
        assert 'value="both"' not in browser("eve").get("conflicts").text
        assert browser("eve").post("conflicts/decide", query, true=answer).status_code == 403
        assert browser("bob").post("conflicts/decide", query, true=answer).status_code == 404
        assert ana.post("conflicts/decide", query, true="neither").status_code == 400
        decided = ana.post("conflicts/decide", query, true=answer)
        assert decided.headers["location"].startswith("/ui/conflicts?")
        assert "No memories say different things" in ana.http.get(decided.headers["location"]).text
        assert [item.text.rpartition(" ")[2] for item in memory.all()] == left

    def test_memories_are_pinned(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        ana, memory = browser("ana"), backend.user("ana")
        item = memory.add("I am allergic to peanuts")[0]
        assert "Changed lately" in ana.get("profile").text
        pinned = ana.post("memory/pin", {"id": item.id}, pinned="yes")
        assert pinned.headers["location"].startswith("/ui/memory?")
        assert memory.get(item.id).pinned_at is not None
        page = ana.get("profile").text
        assert "<h2>Pinned</h2>" in page
        assert "Unpin" in page
        assert "Pin" not in browser("eve").get("memory", id=item.id).text.replace("Pinned", "")
        back = ana.post("memory/pin", {"id": item.id, "on": "profile"}, pinned="no")
        assert back.headers["location"].startswith("/ui/profile?")
        assert memory.get(item.id).pinned_at is None
        assert browser("eve").post("memory/pin", {"id": item.id}, pinned="yes").status_code == 403
        assert browser("bob").post("memory/pin", {"id": item.id}, pinned="yes").status_code == 404

    def test_a_memory_is_tidied_up_and_that_is_undone(
        self, browser: Callable[[str], Browser], backend: Backend
    ) -> None:
        ana, memory = browser("ana"), backend.user("ana")
        assert "nothing to tidy up" in ana.get("consolidate").text
        first, last = (memory.add(text)[0] for text in ("I like tea", f"By the way, I like tea{'!' * 3}"))
        page = ana.get("consolidate").text
        assert page.index(last.text) < page.index("stays") < page.index(f">{first.text}<")
        applied = ana.post("consolidate/apply", plan=hidden(page, "plan"))
        assert "1 step done" in applied.text
        assert [item.id for item in memory.all()] == [last.id]
        assert "merged" in ana.get("memory", id=last.id).text
        again = ana.post("consolidate/apply", plan=hidden(page, "plan"))
        assert "0 steps done" in again.text
        assert "it was changed meanwhile" in again.text
        undone = ana.post("consolidate/undo", receipt=hidden(applied.text, "receipt"))
        assert "done=undone" in undone.headers["location"]
        assert "as it was before" in ana.http.get(undone.headers["location"]).text
        assert len(memory.all()) == 2
        assert (
            "done=partly" in ana.post("consolidate/undo", receipt=hidden(applied.text, "receipt")).headers["location"]
        )
        zeros = base64.b64encode(zlib.compress(b"0" * 200_000_000)).decode()
        for wrong in ("", "x", hidden(page, "plan"), base64.b64encode(zlib.compress(b"[]")).decode(), zeros):
            assert ana.post("consolidate/undo", receipt=wrong).status_code == 400
        refused = browser("bob").post("consolidate/undo", receipt=hidden(applied.text, "receipt"))
        assert (refused.status_code, "it belongs to user ana" in refused.text) == (400, True)
        assert backend.user("bob").all() == []
        reader = browser("eve")
        assert "I like tea" in reader.get("consolidate").text
        assert 'name="plan"' not in reader.get("consolidate").text
        assert reader.post("consolidate/apply", plan=hidden(page, "plan")).status_code == 403

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ],
    )
    def test_forms_of_other_sites(
        self, browser: Callable[[str], Browser], backend: Backend, headers: dict[str, str]
    ) -> None:
        item = backend.user("ana").add("I live in Porto")[0]
        ana = browser("ana")
        token = re.search(r'name="csrf" value="([0-9a-f]{64})"', ana.get("preferences").text)
        assert token is not None
        data = {"csrf": token[1]}
        path = f"/ui/memory/delete?id={item.id}"
        assert ana.http.post(path, data=data, headers=headers).status_code == 403
        assert ana.http.post(path).status_code == 403
        assert ana.http.post(path, data={"csrf": "0" * 64}).status_code == 403
        assert browser("bob").http.post(path, data=data).status_code == 403
        assert ana.get("memory/delete", id=item.id).status_code in (404, 405)
        assert backend.user("ana").get(item.id)
        assert ana.http.post(path, data=data).status_code == 303

    def test_a_link_of_another_site_leaves_open_forms_alone(
        self, browser: Callable[[str], Browser], backend: Backend
    ) -> None:
        """Browsers send no strict cookie with such a link: a new one would take the place of that of the forms."""
        page = Browser(create_app(backend, user_id="ana")).get("preferences", user="ana")
        cookies = page.headers.get_list("set-cookie")
        assert [cookie for cookie in cookies if cookie.startswith("memweld_ui_form=") and "SameSite=lax" in cookie]

    def test_who_is_not_signed_in_sends_no_large_form(self, browser: Callable[[str], Browser]) -> None:
        ana = browser("ana")
        answer = ana.post("sign-in", token="x" * 100_000)
        assert answer.status_code == 413
        assert ana.post("preferences/set", key="long", value="x" * 50_000).status_code == 303

    def test_the_audit_log_names_no_text(self, backend: Backend, tokens: Path, tmp_path: Path) -> None:
        log = tmp_path / "audit.jsonl"
        app = create_app(backend, auth=token_file_auth(tokens), audit=log)
        ana = Browser(app).sign_in("ana-token-0123456789")
        ana.post("preferences/set", key="canary-key", value="canary-value")
        ana.get("export.json")
        ana.post("erase", confirm="ana")
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        done = {(line["operation"], line["outcome"], line.get("subject")) for line in lines}
        assert {
            ("POST /ui/preferences/set", "ok", "ana"),
            ("GET /ui/export.json", "ok", "ana"),
            ("POST /ui/erase", "ok", "ana"),
        } <= done
        assert "canary" not in log.read_text()
        assert "token-0123456789" not in log.read_text()


class TestPages:
    def test_no_text_does_anything(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        """Every field that somebody else may have filled."""
        text, memory = HOSTILE, backend.user("ana")
        item = memory.add(text, metadata={text: text}, session_id=text)[0]
        memory.preferences.set(text, text)
        memory.tasks.record(text, outcome=text)
        memory.state(text)[text] = {text: text}
        call = {"id": text, "name": text, "arguments": {text: text}}
        memory.history(text).append(
            [
                {"role": "user", "content": text, "name": text},
                {"role": "assistant", "content": [{"type": text}], "tool_calls": [call]},
                {"role": "tool", "content": text, "tool_call_id": text},
            ]
        )
        backend.user("ana", agent_id="<b>agent</b>").add(text + "!")
        ana = browser("ana")
        pages = [ana.get(page) for page in PAGES]
        pages += [
            ana.get("memories", q=text, meta=f"{text}=1", agent="<b>agent</b>"),
            ana.get("memory", id=item.id),
            ana.get("memory", id=text),
            ana.get("session", id=text),
            ana.get("recall", q=text),
            ana.get("state", namespace=text),
            ana.get("overview", user=text),
            ana.get("sign-in", target=text),
            browser("ops").get(""),
        ]
        for page in pages:
            for harm in ("<script>alert", "<img src=x", "<b>agent", "999999999", "\u202e", "\u200b"):
                assert harm not in page.text, page.url

    def test_headers(self, browser: Callable[[str], Browser]) -> None:
        ana = browser("ana")
        for page in PAGES:
            headers = ana.get(page).headers
            assert headers["cache-control"] == "no-store"
            policy = headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; style-src 'self'")
            assert "script-src" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["referrer-policy"] == "same-origin"
        assert ana.get("static/inspector.css").headers["content-type"].startswith("text/css")
        assert ana.get("static/../page.py").status_code == 404

    def test_a_conversation_names_its_frameworks(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        history = backend.user("ana").history("s1")
        native = {"framework": "langchain", "message": {}}
        history.append([{"role": "user", "content": f"message {number}"} for number in range(60)])
        history.append(memweld.ChatMessage(role="assistant", content="Hello", native=native))
        page = browser("ana").get("session", id="s1").text
        assert '<span class="tag">langchain</span>' in page
        assert "message 5<" not in page
        earlier = re.search(r'href="(/ui/session[^"]+before[^"]+)"', page)
        assert earlier is not None
        assert "message 5<" in browser("ana").http.get(earlier[1].replace("&amp;", "&")).text

    def test_a_conversation_goes_with_what_was_learnt_from_it(
        self, browser: Callable[[str], Browser], backend: Backend
    ) -> None:
        ana, memory = browser("ana"), backend.user("ana")
        for session in ("one", "two"):
            memory.history(session).append("I live in Porto")
            memory.add(f"I know {session}", session_id=session)
        assert "what was learnt from it" in ana.get("session", id="one").text
        ana.post("session/delete", {"id": "one"})
        assert [item.text for item in memory.all()] == ["I know one", "I know two"]
        ana.post("session/delete", {"id": "two"}, facts="on")
        assert [item.text for item in memory.all()] == ["I know one"]
        assert memory.sessions() == []

    def test_a_memory_that_is_no_longer_true(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        ana, memory = browser("ana"), backend.user("ana")
        (porto,) = memory.add("I live in Porto")
        assert "Versions" not in ana.get("memory", id=porto.id).text
        ana.post("memory/supersede", {"id": porto.id}, text="I live in Lisbon")
        (lisbon,) = memory.all()
        assert [each.text for each in memory.versions(lisbon.id)] == ["I live in Porto", "I live in Lisbon"]
        page = ana.get("memory", id=lisbon.id).text
        assert re.findall("I live in (?:Porto|Lisbon)", page[page.index("Versions") :]) == [
            "I live in Porto",
            "I live in Lisbon",
        ]
        assert "in Porto" not in ana.get("memories").text
        assert "superseded" in ana.get("memories", past="on").text
        assert "superseded" in ana.get("memories", past="on", q="Porto").text
        refused = ana.post("memory/supersede", {"id": porto.id}, text="I live in Faro")
        assert refused.status_code == 400
        assert "No longer true" not in ana.get("memory", id=porto.id).text

    def test_the_timeline_shows_what_was_held_true(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        ana, memory = browser("ana"), backend.user("ana")
        (porto,) = memory.add("I live in Porto", created_at="2026-01-10T12:00:00Z")
        (lisbon,) = memory.add("I live in Lisbon", created_at="2026-03-01T12:00:00Z", supersedes=porto.id)
        memory.add("I row on Sundays", created_at="2026-03-11T12:00:00Z")
        memory.add("I retire", valid_from="2099-01-01")
        page = ana.get("timeline").text
        assert "<span>from 2099-01-01 00:00</span>" in page
        assert "2026-01-10 12:00 – 2026-03-01 12:00" in page
        assert "2026-03-01 12:00 – now" in page
        assert re.search(rf'href="[^"]*{lisbon.id}">replaced</a>', page)
        assert 'class="past" x="0.0"' in page
        assert "style=" not in page
        for day, places in (("2026-01-09", []), ("2026-01-10", ["Porto"]), ("2026-03-01", ["Lisbon"])):
            assert re.findall("I live in (\\w+)", ana.get("timeline", at=day).text) == places
        assert "Nothing was known by then" in ana.get("timeline", at="2026-01-09").text
        assert ana.get("timeline", at="January").status_code == 400

    def test_the_timeline_of_the_hour_that_comes_twice(self) -> None:
        with memweld.connect("sqlite://", timezone="Europe/Berlin") as backend:
            for text, at in (("I woke up", "00:50"), ("I slept on", "01:10")):
                backend.user("ana").add(text, created_at=f"2026-10-25T{at}:00Z")
            page = Browser(create_app(backend)).get("timeline", user="ana").text
        assert page.index("I slept on") < page.index("I woke up")
        assert re.findall(r"2026-10-25 (\d\d:\d\d) –", page) == ["02:10", "02:50"]

    def test_a_refused_form_leads_back(self, backend: Backend) -> None:
        (porto,) = backend.user("ana").add("I live in Porto")
        ana = Browser(create_app(backend))
        refused = ana.post("memory/supersede", {"user": "ana", "id": porto.id}, text="I live in Porto")
        assert (refused.status_code, "it says the same" in refused.text) == (400, True)
        back = re.search(r'href="([^"]+)">Back to the memory<', refused.text)
        assert back is not None
        assert "I live in Porto" in ana.http.get(html.unescape(back[1])).text
        refused = ana.get("memories", user="ana", since="2026-05-01", until="2026-01-01")
        assert (refused.status_code, "it is before 2026-05-01" in refused.text) == (400, True)
        assert "Back to Memories" in refused.text

    def test_pages_and_filters(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        memory = backend.user("ana")
        for number in range(60):
            memory.add(f"Fact number {number}.", created_at=f"2026-01-{1 + number % 28:02}T12:00:00Z")
        ana = browser("ana")
        page = ana.get("memories").text
        assert "Fact number 59." in page
        assert "Fact number 5." not in page
        following = re.search(r'href="(/ui/memories[^"]+cursor[^"]+)"', page)
        assert following is not None
        assert "Fact number 5." in ana.http.get(following[1].replace("&amp;", "&")).text
        page = ana.get("memories", since="2026-01-05", until="2026-01-05").text
        assert set(re.findall(r"Fact number \d+", page)) == {"Fact number 4", "Fact number 32"}
        assert ana.get("memories", since="yesterday").status_code == 400
        assert ana.get("memories", until="9999-12-31", q="number").status_code == 200
        assert ana.get("timeline", at="9999-12-31").status_code == 200
        for number in range(3):
            memory.add(f"Ticket number {number}", metadata={"price": number})
        page = ana.get("memories", meta='{"price": {"$gte": 1}}').text
        assert set(re.findall(r"Ticket number \d+", page)) == {"Ticket number 1", "Ticket number 2"}
        assert ana.get("memories", meta='{"price": {"$more": 1}}').status_code == 400
        assert ana.get("memories", meta="{").status_code == 400
        memory.add("Fact of a page", source="document")
        for query in ({}, {"q": "Fact"}):
            page = ana.get("memories", source="document", **query).text
            assert ("Fact of a page" in page, "Fact number" in page) == (True, False)
            assert "from document" in page
        assert ana.get("memories", source="nowhere").status_code == 400
        assert "2026-01-28" in ana.get("timeline").text

    def test_pages_have_every_memory_once(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        texts = [{"role": "user", "content": f"Fact number {number}."} for number in range(123)]
        backend.user("ana").add(texts, infer=False)
        ana = browser("ana")
        for start in ("memories", "timeline", "memories?since=2020-01-01"):
            seen: list[str] = []
            path: str | None = f"/ui/{start}"
            while path is not None:
                page = ana.http.get(path).text
                seen += re.findall(r"Fact number (\d+)\.", page)
                following = re.search(r'href="(/ui/[^"]+cursor[^"]+)"', page)
                path = None if following is None else following[1].replace("&amp;", "&")
            assert seen == [str(number) for number in reversed(range(123))], start

    def test_users_come_in_pages(self, browser: Callable[[str], Browser], backend: Backend) -> None:
        names = [f"user-{number:03}" for number in range(210)]
        for name in names:
            backend.user(name).state("n")["k"] = 1
        ops = browser("ops")
        seen: list[str] = []
        path: str | None = "/ui"
        while path is not None:
            page = ops.http.get(path).text
            seen += re.findall(r"<bdi>(user-\d+)</bdi>", page)
            following = re.search(r'href="(/ui[^"]*after=[^"]+)"', page)
            path = None if following is None else following[1].replace("&amp;", "&")
        assert seen == names

    def test_below_another_application(self, backend: Backend) -> None:
        backend.user("ana").add("Ana plays the cello.")
        app = create_app(backend, user_id="ana")
        outer = Starlette(routes=[Mount("/under", app)], lifespan=app.lifespan)
        http = TestClient(outer, base_url=f"http://{HOST}", client=("127.0.0.1", 50_000), follow_redirects=False)
        page = http.get("/under/ui/erase").text
        links = re.findall(r'(?:href|action)="([^"#]+)"', page)
        assert links
        assert all(link.startswith("/under/ui") for link in links)
        token = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
        assert token is not None
        answer = http.post("/under/ui/erase?user=ana", data={"csrf": token[1], "confirm": "ana"})
        assert answer.status_code == 200
        assert backend.user("ana").all() == []


def test_the_command_lets_nobody_in_without_its_token(backend: Backend, tmp_path: Path) -> None:
    backend.user("ana").add("I live in Porto")
    command = [sys.executable, "-m", "memweld", "ui", "--no-browser", "--url", f"sqlite:///{tmp_path}/memory.db"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        address, _, token = process.stderr.readline().strip().partition("/ui/sign-in#token=")
        assert len(token) == 43
        with httpx.Client(base_url=address, timeout=30) as http:
            assert http.get("/ui").status_code == 401
            page = http.get("/ui", headers={"authorization": f"Bearer {token}"}).text
            assert "/ui/overview?user=ana" in page
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, 1, 130, -2)


def test_the_wheel_has_pages_and_style() -> None:
    """Hatch takes what lies in the package, unless the project ignores it."""
    package = Path(memweld.__file__).parent / "mcp" / "inspector"
    found = {path.name for path in package.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg")}
    assert {"base.html", "memories.html", "inspector.css", "sign-in.js", "mark.svg"} <= found
    ignored = subprocess.run(
        ["git", "check-ignore", *map(str, package.rglob("*.*ml"))], cwd=package, capture_output=True, check=False
    )
    assert ignored.stdout == b""
