"""The page of features names those that its program runs, and every test of theirs is one of the suites."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import features
import pytest

from memweld.testing import AdapterSuite, BackendSuite

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "features.md"


SUITES = [(BackendSuite, features.ENGINE_FEATURES), (AdapterSuite, features.ADAPTER_FEATURES)]


@pytest.mark.parametrize(("suite", "tests"), SUITES, ids=["engines", "adapters"])
def test_every_test_is_one_of_the_suite(suite: type, tests: Mapping[str, Sequence[str]]) -> None:
    assert [name for names in tests.values() for name in names if not hasattr(suite, name)] == []


def test_the_page_names_these_features() -> None:
    rows = re.findall(r"^\| ([^|]+) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = [name for name, cells in rows if set(cells) - set("-| ")]
    assert named == [*features.ENGINE_FEATURES, *features.ADAPTER_FEATURES]
