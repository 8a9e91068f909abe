"""A run holds label sets under several vocabularies."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import yaml
from tagged_corpus import (
    PLAIN,
)
from torch import Tensor

from ood_lightning.cli.main import main
from ood_lightning.corpora.conjugated import Conjugated
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Asks(Detector):
    """Scores with a further text; what it was given is kept for the test."""

    seen: ClassVar[dict[str, tuple[Tensor, Evidence]]] = {}

    labels: str = "names"

    def bind(self, evidence: Evidence) -> Scorer:
        text = evidence.label_sets[self.labels].encode(["a dog and a cat"])[0]
        self.seen[self.labels] = (text, evidence)
        return lambda features: (features @ text).double()


def test_a_run_holds_sets_under_several_vocabularies_and_each_has_its_own_texts(
    eval_yaml: Path, sets: Path, encoder_yaml: dict[str, Any]
):
    settings = yaml.safe_load(eval_yaml.read_text())
    model = settings["model"]["init_args"]
    sources = "ood_lightning.label_sets"
    Path("tagged").mkdir()
    Path("tagged/noun.act.txt").write_text("dog\ncat\nhorse\ntree\nriver\nstone\nchair\ntable\nlamp\nhouse\n")
    Path("tagged/adj.all.txt").write_text("red\nwide\nloud\nsad\n")
    folder = {"class_path": "ood_lightning.corpora.lexicographer.LexicographerFolder", "init_args": {"path": "tagged"}}
    Path("pool.yaml").write_text(
        yaml.safe_dump({"class_path": f"{Conjugated.__module__}.Conjugated", "init_args": {"corpus": folder}})
    )
    prompts = {"templates": ["a {}", "the {}"], "adjectives": ["{}"], "order": "mean-then-normalise"}
    negatives = {
        "class_path": f"{sources}.official_negatives.CSPNegatives",
        "init_args": {"names": str(sets / "id_test"), "share": 0.5},
    }
    with_corpus = {"source": negatives, "corpus": "pool.yaml", "prompts": prompts}
    model["label_sets"]["csp"] = {"class_path": f"{sources}.sources.WithCorpus", "init_args": with_corpus}
    for labels in ("csp", "neglabel"):
        model["detectors"][labels] = {"class_path": f"{__name__}.Asks", "init_args": {"labels": labels}}
        detector = {"class_path": "ood_lightning.detectors.neglabel.NegLabel", "init_args": {"labels": labels}}
        detector["init_args"]["groups"] = 2
        model["detectors"][f"{labels} again"] = detector
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["test", "--config", str(eval_yaml)]) == 0
    rows = json.loads(Path("run/eval/results.json").read_text())["results"]
    assert {row["detector"] for row in rows} == {"MCM", "NegLabel", "csp", "csp again", "neglabel", "neglabel again"}

    from ood_lightning.encoders.openclip import OpenClip

    encoder = OpenClip(**encoder_yaml["init_args"])  # type: ignore[arg-type]
    encoder.load(CPU)
    bank = TextBank(encoder, "other_cache")
    csp, plain = (Asks.seen[labels][0] for labels in ("csp", "neglabel"))
    csp_prompts = Prompts(("a {}", "the {}"), "mean-then-normalise", ("{}",))
    torch.testing.assert_close(csp, bank.encode(["a dog and a cat"], csp_prompts)[0])
    torch.testing.assert_close(plain, bank.encode(["a dog and a cat"], PLAIN)[0])
    evidence = Asks.seen["csp"][1]
    positives, words = evidence.label_sets["csp"].texts
    assert positives == ["red", "green"]
    phrases = [word for word in words if word.split()[0] in {"red", "wide", "loud", "sad"}]
    assert (len(words), len(phrases)) == (7, 2)
    expected = torch.cat([bank.encode(words[:5], csp_prompts), bank.encode(words[5:], Prompts(("{}",)))])
    torch.testing.assert_close(evidence.labels("csp").negatives, expected)
    torch.testing.assert_close(evidence.labels("csp").positives, bank.encode(positives, csp_prompts))

    # read back from what the run stored
    (stored,) = Path("run/eval/labels").glob("csp*.json")
    model["label_sets"]["csp"]["init_args"]["source"] = str(stored)
    settings["trainer"]["default_root_dir"] = "run/again"
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["test", "--config", str(eval_yaml)]) == 0
    assert json.loads(Path("run/again/results.json").read_text())["results"] == rows
