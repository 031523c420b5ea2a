"""Attacks by users, callers and texts. The modules beside this one are importable in every test."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
