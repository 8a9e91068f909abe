"""The examples of the page 'From Python' and the cells of its notebook, executed on the built-in drawings."""

import doctest
import json
import re
from pathlib import Path

import pytest

from ood_lightning.cli.main import main
from ood_lightning.data.class_names import own_names
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.samples import read_samples

pytestmark = pytest.mark.slow
DOCS = Path(__file__).parents[2] / "docs"


def cells() -> list[str]:
    content = json.loads((DOCS / "from_python.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]


def run(cells: list[str]) -> dict[str, object]:
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in cells:
        exec(compile(cell, "from_python.ipynb", "exec"), names)
    return names


def unpack(name: str, class_name: str) -> None:
    """One drawing of a built-in set as a file in `new_pictures`."""
    manifest = read_manifest(f"builtin:pictograms/shards/{name}")
    label = own_names(manifest).index(class_name)
    samples = (sample for shard in manifest.shards for sample in read_samples(manifest.path(shard)))
    data = next(sample.data for sample in samples if sample.label == label)
    Path("new_pictures").mkdir(exist_ok=True)
    Path("new_pictures", f"{class_name}.png").write_bytes(data)


def test_the_notebook_runs_from_its_first_cell_to_its_last():
    names = run(cells())
    assert names["metrics"]


def test_the_notebook_has_no_outputs_that_could_grow_stale():
    content = json.loads((DOCS / "from_python.ipynb").read_text(encoding="utf-8"))
    assert not [cell for cell in content["cells"] if cell.get("outputs") or cell.get("execution_count")]


def test_the_examples_of_the_page_say_what_they_print():
    run(cells()[:3])  # words, a label set, a detector folder
    unpack("food", "apple")
    unpack("id_test", "bear")
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    names = run([block for block in blocks if ">>>" not in block])

    example = doctest.DocTestParser().get_doctest(
        "\n".join(b for b in blocks if ">>>" in b), names, "python.md", None, 0
    )
    assert len(example.examples) > 20
    said: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=said.append)
    assert not failed, "".join(said)
    assert main(["labels", "show", "labels.json"]) == 0
