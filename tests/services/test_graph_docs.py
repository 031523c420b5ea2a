"""The examples of docs/how-to/graph.md run on a real server, and print what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import neo4j
import pytest
from pytest_examples import CodeExample, EvalExample, find_examples
from servers import Neo4jServer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "graph.md"
CYPHER = re.compile(r"^```cypher\n(.*?)^```$", re.DOTALL | re.MULTILINE)

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]


def test_the_page(
    neo4j_server: Neo4jServer, eval_example: EvalExample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    eval_example.set_config(line_length=120)
    # The snippets with a server need the import of the first one, which has none.
    examples: list[CodeExample] = list(find_examples(str(PAGE)))
    namespace: dict[str, Any] = eval_example.run_print_check(examples[0])
    monkeypatch.setenv("MEMWELD_GRAPH", neo4j_server.url)
    shown = CYPHER.findall(PAGE.read_text(encoding="utf-8"))
    assert len(shown) == 4
    with_server = [example for example in examples if example.prefix.strip() == "python services"]
    assert len(with_server) == 3
    for number, example in enumerate(with_server):
        namespace = eval_example.run_print_check(example, module_globals=namespace)
        if number == 0:
            with neo4j.GraphDatabase.driver(neo4j_server.url) as driver:
                for query in shown:
                    assert driver.execute_query(query).records, query
    namespace["backend"].close()
