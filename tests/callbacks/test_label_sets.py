"""`quality.json` of a fit, recomputed from the files that the fit wrote."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from ood_lightning.cli.main import main
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import read_quality, write_quality
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import SourceError
from ood_lightning.wordnet.hops import noun_hops

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

NAMES = ("Red", "green", "green", "violet")


@pytest.fixture
def fitted(fit_yaml: Path, make_set: Any, tmp_path: Path) -> Path:
    """A fit on labelled pictures, with true names to measure with."""
    (tmp_path / "names.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    settings = yaml.safe_load(fit_yaml.read_text())
    settings["data"]["init_args"]["id_shards"] = str(make_set(tmp_path, "labelled", shards=(20, 20)))
    settings["trainer"]["callbacks"][1]["init_args"]["names"] = "names.txt"
    fit_yaml.write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    return tmp_path / "run/fit"


def test_a_fit_measures_clusters_words_and_true_labels(fitted: Path, tiny_model: Path):
    measures, labels = read_quality(fitted), LabelSet.read(fitted / "labels.json")
    votes = load_file(fitted / "votes.safetensors")
    clusters = {k: votes["nearest"][votes["cluster"] == k].tolist() for k in votes["cluster"].unique().tolist()}
    shares = [[words.count(w) / len(words) for w in set(words)] for words in clusters.values()]

    measured, sizes = measures["clusters"], [len(words) for words in clusters.values()]
    assert (measured["asked"], measured["in_use"], measured["positives"]) == (4, len(clusters), len(labels.positives))
    assert measured["purity"] == pytest.approx(sum(map(max, shares)) / len(shares))
    assert measured["entropy"] == pytest.approx(-sum(p * math.log(p) for part in shares for p in part) / len(shares))
    assert measured["label_ratio"] == len(labels.positives) / 4
    merged = sum(positive.clusters > 1 for positive in labels.positives)
    assert measured["redundancy"] == pytest.approx(100 * merged / len(labels.positives))
    assert (measured["size_min"], measured["size_max"]) == (min(sizes), max(sizes))

    words, names = set(labels.words), {"red", "green", "violet"}
    mined = measures["label_sets"]["labels"]
    assert mined["sha256"] == labels.sha256
    assert (mined["names"]["names"], mined["names"]["hits"]) == (3, len(words & names))
    assert mined["names"]["overlap"] == len(words & names) / 3
    assert mined["names"]["precision"] == len(words & names) / len(words)
    assert sum(mined["similarity"]["bins"]) == len(words)
    assert measures["label_sets"]["posmine"]["method"] == "PosMine"

    bank, prompts = TextBank(OpenClip(f"local-dir:{tiny_model}"), "other"), Prompts(("{}", "a photo of a {}."))
    products = bank.encode(labels.words, prompts).double() @ bank.encode(NAMES, prompts).double().T
    for word, row in zip(labels.words, products, strict=True):
        name, cosine = mined["nearest_name"][word]
        assert cosine == pytest.approx(float(row.max()), abs=1e-5)
        assert row[NAMES.index(name)] == pytest.approx(float(row.max()), abs=1e-5)
    assert mined["similarity"]["mean"] == pytest.approx(float(products.max(1).values.mean()), abs=1e-5)

    far = noun_hops(labels.words, NAMES)
    expected = {"names_in_wordnet": 3, "mean": far.mean, "bins": [*far.bins], "unreachable": far.unreachable}
    assert mined["hops"] == expected
    assert sum(far.bins) + far.unreachable == len(labels.positives)

    assert (measures["truth"]["images"], measures["truth"]["classes"]) == (40, 2)
    metrics = pytest.importorskip("sklearn.metrics")
    truth = torch.arange(40) % 2
    assert measures["truth"]["nmi"] == pytest.approx(metrics.normalized_mutual_info_score(truth, votes["cluster"]))
    assert measures["truth"]["ari"] == pytest.approx(metrics.adjusted_rand_score(truth, votes["cluster"]))

    log = (fitted / "log/version_0/metrics.csv").read_text()
    for name in ("purity", "overlap", "f1", "nmi", "name_similarity", "name_hops", "cluster_size_max"):
        assert f"mined/{name}" in log
    assert "names" not in json.dumps(labels.recipe)  # measured with, not mined with


def test_without_names_and_labels_only_clusters_are_measured(fit_yaml: Path):
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    measures = read_quality(Path("run/fit/quality.json"))
    assert measures["truth"] is None
    assert set(measures["label_sets"]["labels"]) == {"method", "sha256", "positives"}


def test_names_that_cannot_be_read_stop_the_fit_before_it_trains(fit_yaml: Path, capsys: pytest.CaptureFixture[str]):
    settings = yaml.safe_load(fit_yaml.read_text())
    settings["trainer"]["callbacks"][1]["init_args"]["names"] = "none.txt"
    fit_yaml.write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(fit_yaml)]) == 2
    assert "file of names none.txt does not exist" in capsys.readouterr().err
    assert not Path("run/fit/last.ckpt").exists()
    Path("none.txt").write_bytes("Äpfel\n".encode("latin1"))
    assert main(["fit", "--config", str(fit_yaml)]) == 2
    assert "none.txt, line 1: byte 0xc4 at column 1 is no UTF-8" in capsys.readouterr().err


def test_another_file_is_refused():
    with pytest.raises(SourceError, match="run `fit` first"):
        read_quality("none")
    Path("quality.json").write_text("[1]")
    with pytest.raises(SourceError, match=r"quality\.json: the whole document is"):
        read_quality("quality.json")
    Path("quality.json").write_text('{"format": "x/2"}')
    with pytest.raises(SourceError, match="format is 'x/2'"):
        read_quality(".")
    write_quality(Path("quality.json"), {"clusters": {}, "label_sets": {}})
    assert read_quality("quality.json")["clusters"] == {}
