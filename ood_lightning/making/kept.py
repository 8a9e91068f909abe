"""What a step found, kept in the run's folder with a hash of its inputs: a second run takes it from there."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.errors import SettingsError
from ood_lightning.hashes import run_hash

FILE = "steps.json"


class Kept:
    """The steps of a run.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE

    def get(self, step: str, made_from: Mapping[str, object]) -> Any:
        """What a step found, as plain data; None where it has not run yet, or on other inputs."""
        entry = self._read().get(step)
        if not isinstance(entry, dict) or entry.get("made_from") != run_hash(dict(made_from)):
            return None
        return entry.get("found")

    def put(self, step: str, made_from: Mapping[str, object], result: Any) -> None:
        """Keep what a step found, as plain data."""
        write_json(self.file, {**self._read(), step: {"made_from": run_hash(dict(made_from)), "found": result}})

    def _read(self) -> dict[str, Any]:
        try:
            steps = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self.file} is damaged ({error}): remove it, and its steps run again") from None
        return steps if isinstance(steps, dict) else {}
