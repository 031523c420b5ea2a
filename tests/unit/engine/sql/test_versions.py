"""How many earlier texts of an item stay, and that they leave a search alone."""

from memweld import connect
from memweld.engine.sql.versions import MAX_EARLIER
from memweld.testing import HashEmbedder


def test_the_latest_earlier_values_stay() -> None:
    """At most a hundred of one key, whatever else there is."""
    with connect("sqlite://", embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        ana.preferences.set("theme", "dark")
        ana.preferences.set("theme", "light")
        numbers = range(MAX_EARLIER + 15)
        for number in numbers:
            ana.preferences.set("number", number)
            assert len(ana.preferences.versions("number")) <= MAX_EARLIER + 1
        kept = [item.metadata["value"] for item in ana.preferences.versions("number")]
        assert kept == list(numbers)[-len(kept) :]
        assert len(kept) > MAX_EARLIER - 10
        assert len(ana.preferences.versions("theme")) == 2
        assert ana.search("number", kinds="preference", limit=1)[0].metadata == {"value": numbers[-1]}


def test_an_earlier_text_is_no_neighbour() -> None:
    """A search lends scores between the messages of a session, and an earlier text is none of them."""
    with connect("sqlite://", embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        (item,) = ana.add("tram nine", session_id="s")
        ana.add("Bring umbrellas", session_id="s")
        lent = {hit.text: hit.score for hit in ana.search("tram nine", limit=9)}
        ana.update(item.id, "We walk")
        left = {hit.text: hit.score for hit in ana.search("tram nine", limit=9)}
        assert lent["Bring umbrellas"] > 0.1
        assert left["Bring umbrellas"] < 0.01
