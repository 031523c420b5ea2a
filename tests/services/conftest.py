"""What the service tests share lies beside them; their servers are in the conftest above, for other tests, too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
