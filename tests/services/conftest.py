"""Shared helpers of the service tests lie beside them; the conftest above has their servers, for other tests, too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
