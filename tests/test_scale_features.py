"""`fit`, `mine` and `test` on the features of 200,000 images, in memory that is bounded.

By hand, `SCALE_IMAGES=2000000 pytest tests/test_scale_features.py -s` prints seconds and memory of as many, with the
approximate search from a million on.
"""

import os
from pathlib import Path

import pytest
import tiny_configs
from peak_memory import IS_MEASURED, measure
from stored_features import write_set

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]

IMAGES = int(os.environ.get("SCALE_IMAGES", "200000"))
MOST_MIB = 1536 if IMAGES <= 200_000 else 24_576
IMPORTED = [
    "lightning.pytorch",
    "open_clip",
    "ood_lightning.callbacks.label_sets",
    "ood_lightning.datamodules.features",
    "ood_lightning.callbacks.results",
    "ood_lightning.label_sets.posmine",
    "ood_lightning.modules.detect",
    "ood_lightning.modules.temi",
    "ood_lightning.detectors.mahalanobis",
]
ENCODER = {"class_path": "stored_features.RandomEncoder"}


def peak_mib(*arguments: str) -> int:
    measured = measure(IMPORTED, list(arguments))
    print(*_recall(measured.output))
    return measured.peak_mib


def _recall(output: str) -> list[str]:
    """Lines that say what an approximate search reached."""
    return [line for line in output.splitlines() if "recall" in line]


@pytest.mark.skipif(not IS_MEASURED, reason="memory is read as on Linux")
def test_two_hundred_thousand_images_are_fitted_mined_and_scored_in_bounded_memory(tmp_path: Path):
    cache = tmp_path / "cache"
    train = write_set(tmp_path, cache, "train", "id", IMAGES, kind=0)
    more = write_set(tmp_path, cache, "more", "id", IMAGES // 2, kind=0)
    far = write_set(tmp_path, cache, "far", "ood", IMAGES // 2, kind=1)
    (tmp_path / "words.txt").write_text("\n".join(f"word{i}" for i in range(3000)) + "\n")
    words = {"class_path": "ood_lightning.corpora.words.WordFile", "init_args": {"path": str(tmp_path / "words.txt")}}

    fit = tiny_configs.fit(tmp_path, ENCODER, words)
    fit["trainer"]["max_epochs"] = 1
    fit["model"]["init_args"] |= {"n_clusters": 500, "slices": 2}
    fit["data"]["init_args"] |= {"id_shards": str(train), "n_neighbours": 50, "batch_size": 1024}
    if IMAGES >= 1_000_000:
        fit["data"]["init_args"]["neighbour_search"] = "approximate"
    assert peak_mib("fit", "--config", str(tiny_configs.write(tmp_path / "fit.yaml", fit))) <= MOST_MIB

    mine = {"encoder": ENCODER, "id_shards": str(train), "corpus": words, "cache_dir": "cache", "out": "mined.json"}
    mine["prompts"] = {"templates": ["{}"]}
    mine |= {"source": "ood_lightning.label_sets.clustermine.ClusterMine", "votes": "run/fit/votes.safetensors"}
    assert peak_mib("mine", "--config", str(tiny_configs.write(tmp_path / "mine.yaml", mine))) <= MOST_MIB

    test = tiny_configs.evaluation(tmp_path, ENCODER, words)
    detectors = "ood_lightning.detectors"
    test["model"]["init_args"] |= {
        "label_sets": {"mined": "mined.json"},
        "detectors": {
            "mass": {"class_path": f"{detectors}.label_mass.LabelMass", "init_args": {"labels": "mined"}},
            "Mahalanobis": {"class_path": f"{detectors}.mahalanobis.Mahalanobis"},
        },
    }
    test["data"]["init_args"] |= {
        "id_shards": [str(more)],
        "covariate_shards": None,
        "ood_shards": {"far": [str(far)]},
        "id_train_shards": str(train),
        "batch_size": 4096,
    }
    assert peak_mib("test", "--config", str(tiny_configs.write(tmp_path / "test.yaml", test))) <= MOST_MIB
