"""One step of each of SynOOD's two trainings, against gradients by hand."""

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from shard_files import MakeSet
from synood_sets import make_shards
from torch import Tensor

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import WordFile
from ood_lightning.datamodules.synthetic import SyntheticFeatures
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.sources import MinedNegatives
from ood_lightning.modules.synood import SynOODModule

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, make_set: MakeSet) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"), make_set)


class Before(L.Callback):
    """Keeps the parameters as training finds them."""

    def on_train_start(self, trainer: L.Trainer, module: Any) -> None:
        self.adapter = {name: part.detach().double().clone() for name, part in module.adapter.items()}
        self.tuned = module.tuned.detach().double().clone()


LR, TEXT_LR, DECAY = 1e-3, 2e-2, 0.1  # a decay that shows


@pytest.fixture
def stepped(shards: Path, tiny_model: Path, sets: Path, words_yaml: dict[str, Any]) -> tuple[SynOODModule, Any, Before]:
    """One step of each side, on all pictures at once."""
    encoder = OpenClip(model=f"local-dir:{tiny_model}", feature_dtype="float32")
    places = {"id_shards": str(shards / "labelled"), "synthetic_shards": str(shards / "synthetic")}
    data = SyntheticFeatures(encoder, **places, cache_dir="cache", batch_size=1000, num_workers=0)

    module = SynOODModule(
        encoder,
        WordFile(**words_yaml["init_args"]),
        MinedNegatives(str(sets / "id_test"), count=10),
        Prompts(("{}",)),
        image_epochs=1,
        text_epochs=1,
        weight_decay=DECAY,
        cache_dir="cache",
    )

    before = Before()
    options: dict[str, Any] = {"enable_progress_bar": False, "enable_checkpointing": False, "logger": False}
    trainer = L.Trainer(
        max_epochs=2, reload_dataloaders_every_n_epochs=1, accelerator="cpu", devices=1, callbacks=[before], **options
    )
    trainer.fit(module, datamodule=data)
    return module, data, before


def test_one_step_of_the_image_side_is_adams_by_hand(stepped: tuple[SynOODModule, Any, Before]):
    """With gradients by differences of the loss in float64; Adam's first step is lr g / (|g| + eps)."""
    module, data, before = stepped
    image, classes = data.sides[0][1:3]
    features, texts = unit(image).double(), unit(module.texts.double())

    def loss(parts: dict[str, Tensor]) -> float:
        hidden = features @ parts["weight"].T + parts["bias"]
        centred = hidden - hidden.mean(dim=1, keepdim=True)
        normed = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
        moved = features + (normed * parts["gain"] + parts["shift"]).clamp_min(0)
        logits = module.logit_scale * (moved / moved.square().sum(dim=1, keepdim=True).sqrt()) @ texts.T
        return float((logits.exp().sum(dim=1).log() - logits[torch.arange(len(logits)), classes]).mean())

    n_compared = 0
    for name, start in before.adapter.items():
        for position in range(0, start.numel(), 7):
            around = []
            for step in (1e-6, -1e-6):
                moved = {key: part.clone() for key, part in before.adapter.items()}
                moved[name].view(-1)[position] += step
                around.append(loss(moved))
            gradient = (around[0] - around[1]) / 2e-6 + DECAY * float(start.view(-1)[position])
            if abs(gradient) < 1e-4:  # where its sign is not sure
                continue
            expected = float(start.view(-1)[position]) - LR * gradient / (abs(gradient) + 1e-8)
            stepped_to = float(module.adapter[name].detach().view(-1)[position])  # type: ignore[operator]
            assert math.isclose(stepped_to, expected, abs_tol=2e-6), (name, position)
            n_compared += 1
    assert n_compared > 30


def test_one_step_of_the_text_side_is_sgds_by_hand(stepped: tuple[SynOODModule, Any, Before]):
    """The gradient of a unit vector's logit reaches only what is orthogonal to it, over its length."""
    module, data, before = stepped
    image, classes = data.sides[1][1:3]
    features, start = unit(image).double(), before.tuned
    lengths = start.square().sum(dim=1).sqrt()
    negatives = module.texts[-len(start) :].double()
    torch.testing.assert_close(start / lengths[:, None], negatives, rtol=0, atol=1e-6)

    encoded = module.encoder.encode_text([module.negatives[row] for row in module.used.tolist()])
    torch.testing.assert_close(start, encoded.double(), rtol=0, atol=1e-5)  # as they leave the text tower
    logits = module.logit_scale * features @ negatives.T
    share = logits.exp() / logits.exp().sum(dim=1, keepdim=True)

    expected = start.clone()
    for row in range(len(start)):
        gradient = torch.zeros(start.shape[1], dtype=torch.float64)
        for x, p, nearest in zip(features, share[:, row].tolist(), classes.tolist(), strict=True):
            across = x - (x @ negatives[row]) * negatives[row]
            gradient += (p - (nearest == row)) / len(features) * module.logit_scale * across / lengths[row]
        expected[row] -= TEXT_LR * (gradient + DECAY * start[row])

    assert len(start) > 1
    torch.testing.assert_close(module.tuned.detach().double(), expected, rtol=0, atol=1e-6)
    assert not torch.allclose(expected, start, rtol=0, atol=1e-4)
