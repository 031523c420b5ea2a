"""The conformance suite of backends: what a memory promises, whatever keeps it.

A new backend subclasses it as ``Test…`` and says how to connect; nothing else is asked of it::

    class TestSqliteFile(BackendSuite):
        def connect(self, place, **options):
            return memweld.connect(f"sqlite:///{place / 'memory.db'}", **options)
"""

from .change import ChangeTests
from .consolidation import ConsolidationTests
from .expiry import ExpiryTests
from .filters import FilterTests
from .history import HistoryTests
from .items import ItemTests
from .keyed import KeyedTests
from .profile import ProfileTests
from .provenance import ProvenanceTests
from .question_time import QuestionTimeTests
from .recall_and_capture import TurnTests
from .redaction import RedactionTests
from .relations import RelationTests
from .restore import RestoringTests
from .scopes import ScopeTests
from .search import SearchTests
from .state import StateTests
from .transfer import MovingTests
from .values import ValueTests
from .versions import VersionTests
from .whole import WholeTests
from .year import YearTests

__all__ = ["BackendSuite"]


class BackendSuite(
    ItemTests,
    SearchTests,
    FilterTests,
    ScopeTests,
    KeyedTests,
    StateTests,
    ValueTests,
    HistoryTests,
    TurnTests,
    WholeTests,
    RestoringTests,
    ChangeTests,
    ProvenanceTests,
    QuestionTimeTests,
    YearTests,
    RelationTests,
    RedactionTests,
    VersionTests,
    ExpiryTests,
    ConsolidationTests,
    ProfileTests,
    MovingTests,
):
    """Subclass it as ``Test…`` and write ``connect``."""
