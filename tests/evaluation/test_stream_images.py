"""Images behind features: each row has its own bytes, whatever shard it lies in, and a run shows them to a server."""

import io
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from chat_server import completion, serving
from PIL import Image
from shard_files import MakeSet

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.features import Features, FeatureSet
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.detectors import ants
from ood_lightning.errors import SettingsError
from ood_lightning.evaluation.stream_images import SetImages, images_of_stream


def feature_set(manifest: Manifest, bad: tuple[str, ...] = ()) -> tuple[FeatureSet, dict[str, bytes]]:
    """Features of a set whose values do not matter, and the bytes of its images by key."""
    data, lines = {}, []
    for shard in manifest.shards:
        for sample in read_samples(manifest.container(shard)):
            if sample.key in bad:
                lines.append(f"{shard.path} {sample.key}: broken")
            else:
                data[sample.key] = sample.data
    features = Features(manifest.name, torch.zeros(len(data), 2), torch.zeros(len(data)).long(), list(data), lines)
    return FeatureSet(manifest, features), data


@pytest.mark.parametrize("bad", [(), ("id_test0002", "id_test0005", "id_test0008")])
def test_each_row_has_its_own_bytes(sets: Path, bad: tuple[str, ...]):
    one, data = feature_set(read_manifest(str(sets / "id_test")), bad)
    images = SetImages(one)
    for row, key in reversed(list(enumerate(data))):
        image = images[row]
        assert (image.set, image.key) == ("id_test", key)
        assert image.read() == data[key]


def test_a_stream_has_the_images_of_its_rows(sets: Path):
    (id_set, ids), (ood_set, oods) = (feature_set(read_manifest(str(sets / name))) for name in ("id_test", "blues"))
    rows = torch.tensor([len(ids), 0, len(ids) + 8, 3])
    images = images_of_stream(SetImages(id_set), SetImages(ood_set), rows)
    assert [image.key for image in images] == [next(iter(oods)), next(iter(ids)), list(oods)[8], list(ids)[3]]
    assert [image.read() for image in images] == [{**ids, **oods}[image.key] for image in images]


def test_a_key_of_several_images_is_refused(sets: Path):
    one, data = feature_set(read_manifest(str(sets / "id_test")))
    twice = Features("id_test", one.features.image, one.features.label, [*list(data)[:-1], next(iter(data))], [])
    with pytest.raises(SettingsError, match="set 'id_test' has the key 'id_test0000' in several shards"):
        SetImages(FeatureSet(one.manifest, twice))


def with_streams(eval_yaml: Path, sets: Path, streams: dict[str, Any]) -> None:
    settings = yaml.safe_load(eval_yaml.read_text())
    model, label_sets = settings["model"]["init_args"], "ood_lightning.label_sets"
    names = {"names": str(sets / "id_test")}
    model["label_sets"] = {
        "neglabel": {"class_path": f"{label_sets}.sources.MinedNegatives", "init_args": {**names, "count": 9}},
        "tins": {"class_path": f"{label_sets}.tins.TINSNegatives", "init_args": {**names, "count": 6}},
    }
    model["detectors"], model["streams"], model["explain"] = {}, streams, None
    model["protocol"] = {"orders": 2, "batch_size": 5}
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))


def ants_on(url: str) -> dict[str, Any]:
    server = {"url": url, "model": "sees", "path": "run/texts.jsonl", "retries": 0, "timeout_s": 20.0}
    texts = {"class_path": "ood_lightning.detectors.asked_texts.AskedTexts", "init_args": server}
    return {"class_path": "ood_lightning.detectors.ants.ANTS", "init_args": {"texts": texts, "threshold": 1.0}}


@pytest.mark.slow
def test_a_run_shows_each_image_once_and_goes_on_after_a_failure(
    eval_yaml: Path, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Beside TINS, which has no labelled images here and is listed as not run."""
    monkeypatch.setattr(ants, "WAITING", 4)
    monkeypatch.setattr(ants, "FIRST_BATCH", 2)
    tins = {"class_path": "ood_lightning.detectors.tins.TINS"}
    with serving(monkeypatch) as server:
        with_streams(eval_yaml, sets, {"ANTS": ants_on(server.url), "TINS": tins})
        labels = completion("1. dog\n2. cat")
        server.reply = lambda question, times: (500, b"busy") if times > 12 else (200, labels)
        assert main(["test", "--config", str(eval_yaml)]) == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        assert "failed 1 times on image '" in error

        kept = len(Path("run/texts.jsonl").read_text().splitlines())
        assert kept >= 12
        n_asked = len(server.seen)
        server.reply = lambda question, times: (
            200,
            labels if "five" in question else completion(f"a red {times} thing."),
        )
        assert main(["test", "--config", str(eval_yaml)]) == 0

    lines = [json.loads(line) for line in Path("run/texts.jsonl").read_text().splitlines()]
    images = [(line["set"], line["image"]) for line in lines if "image" in line]
    assert len(images) == len(set(images)) > 12
    assert {name for name, _ in images} <= {"id_test", "shifted", "blues", "greys"}
    assert len(server.seen) - n_asked == len(lines) - kept

    requests = [body["messages"][-1]["content"] for body in server.seen]
    content = next(parts for parts in requests if isinstance(parts, list))
    image = Image.open(io.BytesIO(b64decode(content[1]["image_url"]["url"].partition(",")[2])))
    assert image.size == (24, 24)
    written = json.loads(Path("run/eval/results.json").read_text())
    assert {(row["detector"], row["supervision"]) for row in written["results"]} == {
        ("ANTS", "id_names+llm+test_stream")
    }
    assert list(written["about"]["not_run"]) == ["TINS"]


@pytest.mark.slow
def test_tins_runs_on_labelled_images_and_on_their_nearest_names(
    eval_yaml: Path, sets: Path, tmp_path: Path, make_set: MakeSet
):
    train = make_set(tmp_path, "known", colours=("red", "green"), shards=(20,), seed=7)
    options = {"groups": 2, "threshold": 0.9, "steps": 3}
    streams = {
        name: {"class_path": "ood_lightning.detectors.tins.TINS", "init_args": {**options, "labels": labels}}
        for name, labels in (("TINS", "tins"), ("TINS, nearest names", "pseudo"))
    }
    with_streams(eval_yaml, sets, streams)
    settings = yaml.safe_load(eval_yaml.read_text())
    label_sets = settings["model"]["init_args"]["label_sets"]
    pseudo = {**label_sets["tins"]["init_args"], "pseudo_labels": True}
    label_sets["pseudo"] = {**label_sets["tins"], "init_args": pseudo}
    settings["data"]["init_args"]["id_train_shards"] = str(train)
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))

    assert main(["test", "--config", str(eval_yaml)]) == 0
    first = json.loads(Path("run/eval/results.json").read_text())
    assert {(row["detector"], row["supervision"]) for row in first["results"]} == {
        ("TINS", "id_images+id_labels+id_names+test_stream"),
        ("TINS, nearest names", "id_images+id_names+test_stream"),
    }
    assert main(["test", "--config", str(eval_yaml)]) == 0
    assert json.loads(Path("run/eval/results.json").read_text())["results"] == first["results"]
