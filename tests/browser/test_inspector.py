"""The inspector in a real browser: the whole way of a person, a hostile memory, the keyboard, a phone, both themes."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import pytest
from example import fill  # pyright: ignore[reportMissingImports]
from playwright.sync_api import Browser, Page, expect

from memweld import Backend

Theme: TypeAlias = Literal["light", "dark"]
PAGES = ("overview", "memories?q=Where+do+I+live", "timeline", "conflicts", "profile", "preferences", "tasks", "state",
         "sessions", "session?id=s-travel", "recall?q=What+may+I+not+eat", "consolidate", "erase")  # fmt: skip


def sign_in(page: Page, address: str, name: str = "ana") -> None:
    page.goto(f"{address}/ui")
    page.get_by_label("Your token").fill(f"{name}-token-0123456789")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_the_whole_way(page: Page, address: str, backend: Backend) -> None:
    fill(backend)
    ana = backend.user("ana")
    sign_in(page, address)
    page.get_by_role("link", name="Memories").click()
    page.get_by_label("Search by words or meaning").fill("Where do I live?")
    page.get_by_role("button", name="Search").click()
    first = page.get_by_role("main").get_by_role("listitem").first
    expect(first).to_contain_text("I live in Porto")
    expect(first).to_contain_text(re.compile(r"words 0\.\d\d"))
    first.get_by_role("link", name="I live in Porto").click()
    page.get_by_label("Text").fill("I live in Faro")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The memory is updated.")).to_be_visible()
    assert "I live in Faro" in [item.text for item in ana.all()]
    page.get_by_text("Delete", exact=False).first.click()
    expect(page.get_by_text("Delete this memory and one earlier version?")).to_be_visible()
    page.get_by_role("button", name="Yes, delete").click()
    expect(page.get_by_text("It is deleted.")).to_be_visible()
    ana.add("I prefer trains to planes!")
    page.get_by_role("link", name="Tidy up").click()
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_text("1 step done")).to_be_visible()
    assert "I prefer trains to planes" not in [item.text for item in ana.all()]
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("It is as it was before.")).to_be_visible()
    assert "I prefer trains to planes" in [item.text for item in ana.all()]
    assert "I live in Faro" not in [item.text for item in ana.all()]
    page.get_by_role("link", name="Export and erase").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the export").click()
    assert '"user_id": "ana"' in download.value.path().read_text()
    page.get_by_label("Type ana to erase it all").fill("ana")
    page.get_by_role("button", name="Erase everything").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Erased")
    assert set(ana.counts().values()) == {0}
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Your token")).to_be_visible()


def test_another_user_sees_nothing(page: Page, address: str, backend: Backend) -> None:
    fill(backend)
    item = backend.user("ana").all(limit=1)[0]
    sign_in(page, address, "bob")
    for path in (f"memory?id={item.id}", "session?id=s-travel", "overview?user=ana", "memories"):
        page.goto(f"{address}/ui/{path}")
        assert item.text not in page.content()
        assert "Lisbon" not in page.content()


def test_a_hostile_memory_does_nothing(page: Page, address: str, backend: Backend) -> None:
    text = "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>\u202e {{ 7*7 }}"
    item = backend.user("ana").add(text, metadata={"a": text})[0]
    backend.user("ana").history("s").append({"role": "user", "content": text, "name": text})
    backend.user("ana").preferences.set("p", text)
    sign_in(page, address)
    for path in ("overview", "memories", f"memory?id={item.id}", "session?id=s", "preferences", "recall?q=script"):
        page.goto(f"{address}/ui/{path}")
        assert page.locator("main script, main img, main [onerror], main [onload]").count() == 0
    expect(page.get_by_role("heading", level=1)).to_have_text("Recall")


def test_the_token_of_an_address_signs_in_and_leaves_it(page: Page, address: str) -> None:
    page.goto(f"{address}/ui/sign-in#token=ana-token-0123456789")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert "token" not in page.url


def test_by_keyboard_alone(page: Page, address: str, backend: Backend) -> None:
    fill(backend)
    page.goto(f"{address}/ui")
    page.keyboard.type("ana-token-0123456789")  # the field has the focus
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Preferences":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Preferences")
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is deleted.")).to_be_visible()


CONTRAST = """() => {
  const read = c => { const p = c.match(/[\\d.]+/g).map(Number); return p.length < 4 || p[3] > 0 ? p : null; };
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => [.2126, .7152, .0722].reduce((sum, part, i) => sum + part * linear(c[i] / 255), 0);
  const ground = e => e ? read(getComputedStyle(e).backgroundColor) || ground(e.parentElement) : [255, 255, 255];
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest("svg") || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const a = light(read(getComputedStyle(e).color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) poor.push(`${e.tagName} ${e.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_in_both_themes(browser: Browser, address: str, backend: Backend, theme: Theme) -> None:
    fill(backend)
    ana = backend.user("ana")
    ana.add("x" * 2_000)
    (tea,) = ana.add("I like tea")
    ana.add("I like tea!")
    ana.add("I like coffee", supersedes=tea.id)
    ana.add("I like milk")
    ana.add("My favourite player is Messi")
    ana.add("My favourite player is Pelé")
    ana.add("I do like milk.")
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme=theme, java_script_enabled=True)
    page = context.new_page()
    sign_in(page, address)
    for path in PAGES:
        page.goto(f"{address}/ui/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert page.evaluate(CONTRAST) == [], path
        unnamed = "[...document.querySelectorAll('main input:not([type=hidden]), main textarea, main select')]"
        assert page.evaluate(f"{unnamed}.filter(e => !e.labels.length).length") == 0, path
    context.close()


def test_without_javascript(browser: Browser, address: str, backend: Backend) -> None:
    fill(backend)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, address)
    page.get_by_role("link", name="Sessions").click()
    page.get_by_role("link", name="s-travel").click()
    expect(page.get_by_text("crewai")).to_be_visible()
    page.get_by_text("Calls find_trains").click()
    expect(page.get_by_text('"to": "Lisbon"')).to_be_visible()
    context.close()
