"""Settings that differ between runs are found, under the names that papers give them, with what each run reached."""

import json
from pathlib import Path

from page_runs import write_run

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.page.runs import Settings, read_run
from ood_lightning.page.sensitivity import sensitivity
from ood_lightning.page.write import write_page


def run_with(folder: Path, clusters: int, shift: float, run: str) -> Path:
    """A run whose first detector reads a label set of some clusters."""
    write_run(folder, with_reasons=False, run=run, shift=shift)
    recipe = {"method": "ClusterMine", "temi": {"n_clusters": clusters}, "corpus": {"name": "nouns", "sha256": run}}
    label_set = LabelSet((Positive("owl"),), None, recipe)
    label_set.write(folder / "labels" / "mined.json", run)

    results = json.loads((folder / "results.json").read_text())
    for row in results["results"]:
        if row["detector"] == "ClusterMine":
            row["recipe"] = label_set.sha256
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "results.csv").unlink()
    return folder


def test_what_differs_is_a_column_and_hashes_are_not(tmp_path: Path):
    folders = [run_with(tmp_path / f"c{n}", n, n / 100, f"{n:016d}") for n in (64, 256)]
    of_mined = next(
        table
        for table in sensitivity([read_run(folder, folder.name) for folder in folders])["tables"]
        if table["method"] == "ClusterMine"
    )
    assert of_mined["settings"] == ["C (clusters)"]
    assert [row["settings"]["C (clusters)"] for row in of_mined["rows"]] == ["64", "256"]
    assert [row["run"] for row in of_mined["rows"]] == ["c64", "c256"]
    first, second = (row["auroc"] for row in of_mined["rows"])
    assert first[0] < second[0]
    assert first[1] < first[0] < first[2]


def test_settings_of_detectors_are_read_from_the_runs_config(tmp_path: Path):
    folders = [write_run(tmp_path / name, with_reasons=False, run=name * 16) for name in ("a", "b")]
    for folder, sharpness in zip(folders, (1.0, 10.0), strict=True):
        config = folder / "log" / "version_0" / "config.yaml"
        config.parent.mkdir(parents=True)
        config.write_text(
            f"model: {{init_args: {{detectors: {{ClusterMine: {{init_args: {{sharpness: {sharpness}}}}}}}}}}}"
        )
    tables = sensitivity([read_run(folder, folder.name) for folder in folders])["tables"]
    assert [(table["method"], table["settings"]) for table in tables] == [("ClusterMine", ["sharpness (1 / tau)"])]


def test_a_folder_of_a_persons_own_among_the_logs_is_passed_over(tmp_path: Path):
    folder = write_run(tmp_path / "run", with_reasons=False)
    for name, text in (("version_2", "old: 1"), ("version_10", "new: 1"), ("version_best", "mine: 1")):
        config = folder / "log" / name / "config.yaml"
        config.parent.mkdir(parents=True)
        config.write_text(text)
    assert read_run(folder, "run").config == Settings("test", "log/version_10/config.yaml", "new: 1")


def test_one_run_and_equal_runs_have_nothing_to_compare(tmp_path: Path):
    folders = [write_run(tmp_path / name, with_reasons=False, run=name * 16) for name in ("a", "b")]
    assert sensitivity([read_run(folders[0], "a")]) is None
    assert sensitivity([read_run(folder, folder.name) for folder in folders]) is None


def test_a_page_of_several_settings_warns_of_choosing_the_best_of_them(tmp_path: Path):
    folders = [run_with(tmp_path / f"c{n}", n, n / 100, f"{n:016d}") for n in (64, 256)]
    for runs, warns in ((folders, True), (folders[:1], False)):
        write_page(runs, tmp_path / "page.html")
        assert ("choose settings elsewhere" in (tmp_path / "page.html").read_text(encoding="utf-8")) == warns
