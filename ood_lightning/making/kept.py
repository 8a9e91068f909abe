"""What a step found, kept in the run's folder with a hash of its inputs: a second run takes it from there.

And whose results lie there: those of a run with other inputs are moved out of the way, so that no folder ever holds
what two runs left as if it were of one.
"""

import json
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from ood_lightning.data.artifacts.files import atomic_write, make_folder, write_json
from ood_lightning.errors import SettingsError
from ood_lightning.hashes import run_hash
from ood_lightning.masking import masked
from ood_lightning.page.runs import RUN_SETTINGS

FILE = "steps.json"
EARLIER = "earlier"  # folder for the results of the run before
LOOKS = ("reasons.json", "report.html")
RESULTS = ("detector", RUN_SETTINGS, "decisions.csv", "summary.md", "results.json", "results.csv", "results.md", *LOOKS)


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

    def begin(self, made_from: Mapping[str, object], further: Collection[str] = ()) -> list[str]:
        """Let the folder belong to a run; results that another one left are moved into its `earlier`.

        A run that is stopped behind it leaves no results of another one beside its own steps, and none are lost.

        Args:
            made_from: all that the results of the run depend on.
            further: names that are no part of this run, such as the clusters of one that mined.

        Returns:
            Names of what was moved.
        """
        folder = self.file.parent
        is_same = self.get("run", made_from) is not None
        stale = [name for name in (*(() if is_same else RESULTS), *further) if (folder / name).exists()]
        if stale:
            earlier = folder / EARLIER
            shutil.rmtree(earlier, ignore_errors=True)
            make_folder(earlier)
            for name in stale:
                (folder / name).replace(earlier / name)

        if not is_same:
            self.put("run", made_from, True)
        return stale

    def _read(self) -> dict[str, Any]:
        try:
            steps = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self.file} is damaged ({error}): remove it, and its steps run again") from None
        return steps if isinstance(steps, dict) else {}


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Keep the settings of a run, so that `run -c` repeats it; addresses without what they hold in secret.

    Args:
        folder: of the run.
        settings: plain data, by name.
    """
    chosen = {name: _masked(value) for name, value in settings.items() if value is not None}
    text = yaml.dump(chosen, Dumper=_Texts, sort_keys=False, allow_unicode=True)
    atomic_write(folder / RUN_SETTINGS, text.encode())


class _Texts(yaml.SafeDumper):
    """Quotes texts that our parsers would read as numbers: `1e3` is one for them, and none for YAML 1.1."""


_Texts.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"), [*"-+0123456789"]
)


def _masked(value: Any) -> Any:
    """Plain data, each text of it masked; not the text of all of it, in which a value may end at the next key."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: _masked(one) for name, one in value.items()}
    return [_masked(one) for one in value] if isinstance(value, list) else value
