"""The WordNet 3.0 that a system may have (Debian: `apt-get install wordnet-base`)."""

import os
from pathlib import Path

import pytest

from ood_lightning.wordnet.database_files import SYSTEM_FOLDER, wndb_version

SYSTEM = Path(os.environ.get("WNSEARCHDIR", SYSTEM_FOLDER))
needs_system = pytest.mark.skipif(
    not (SYSTEM / "data.noun").exists() or wndb_version(SYSTEM) != "3.0",
    reason=f"no WordNet 3.0 in {SYSTEM} (apt-get install wordnet-base)",
)
