"""Where NegRefine's released decisions and label sets lie, if they are at hand."""

import os
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "reference"
RELEASED = Path(os.environ.get("REFERENCE_DIR") or SHARED).resolve() / "negrefine"
