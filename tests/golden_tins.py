"""What the reference outputs of TINS were made with: a small text tower, and a stream that can be given its starts."""

import torch
from torch import Tensor

from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.tins import TINS, WordInversions
from ood_lightning.encoders.soft_tokens import SoftTokenTexts
from ood_lightning.functional.intermodal import class_bounds

DETECTOR_SETTINGS = ("groups", "threshold", "steps", "lr", "weight_decay", "repulsion", "bank", "buffer")


class Tower:
    """The stand-in for CLIP's text tower."""

    def __init__(self, arrays: dict[str, Tensor]) -> None:
        names = ("tokens", "positions", "mix", "out", "projection")
        self.tokens, self.positions, self.mix, self.out, self.projection = (
            arrays[f"tower_{name}"].double()
            for name in names  # thirty steps of float32 would move gaps by 2e-6
        )

    def __call__(self, tokens: Tensor, positions: Tensor, vectors: Tensor) -> Tensor:
        length = tokens.shape[1]
        is_vector = positions[:, None] == torch.arange(length)
        x = torch.where(is_vector[..., None], vectors[:, None], self.tokens[tokens]) + self.positions[:length]

        running_mean = x.cumsum(dim=1) / torch.arange(1, length + 1)[:, None]
        x = x + (running_mean @ self.mix).tanh() @ self.out
        x = torch.nn.functional.layer_norm(x, x.shape[-1:], eps=1e-5)
        return x[torch.arange(len(x)), tokens.argmax(dim=1)] @ self.projection

    def texts(self, tokens: Tensor, positions: Tensor) -> SoftTokenTexts:
        return SoftTokenTexts(tokens, positions, self, self.tokens)


class Replayed(WordInversions):
    """A stream that keeps what it began with and what came of it; where starts are given, it begins with these.

    Args:
        arrays: of a file.
        case: its arrays, without the case's name.
    """

    def __init__(self, arrays: dict[str, Tensor], case: dict[str, Tensor], starts_fixed: bool) -> None:
        self.tower, self.case, self.starts_fixed = Tower(arrays), case, starts_fixed
        labels = LabelFeatures(arrays["pos"].double(), arrays["neg"].double(), float(arrays["scale"]))
        bounds = class_bounds(arrays["pos"], arrays["shots"], arrays["shots_label"])
        words = self.tower.texts(arrays["init_tokenized_texts"], arrays["init_target_positions"])
        super().__init__(detector_of(case), labels, bounds, words)

        self.begun: list[tuple[SoftTokenTexts, Tensor, Tensor]] = []  # texts, first vectors, images
        self.ended: list[Tensor] = []
        self.n_mixed = 0

    def starts(self, images: Tensor) -> tuple[SoftTokenTexts, Tensor]:
        texts, start = super().starts(images)
        if self.starts_fixed:
            done = sum(len(images) for _, _, images in self.begun)
            rows = slice(done, done + len(images))
            texts = self.tower.texts(self.case["start_tokens"][rows], self.case["start_position"][rows])
            start = self.case["start_pseudo"][rows].double()
        self.begun.append((texts, start, images))
        return texts, start

    def inverted(self, images: Tensor) -> Tensor:
        self.ended.append(super().inverted(images))
        return self.ended[-1]

    def drawn(self, count: int) -> Tensor:
        permutation = self.case[f"pool_perm_{self.n_mixed}"]
        self.n_mixed += 1
        if not self.starts_fixed:  # else the generator had been used before
            assert torch.equal(permutation, super().drawn(count))
        return permutation


def detector_of(case: dict[str, Tensor]) -> TINS:
    """With a case's settings; a threshold above 1 is as good as 1."""
    _, groups, threshold, steps, lr, decay, repulsion, bank, capacity, buffered = case["settings"].tolist()
    values = (int(groups), min(threshold, 1.0), int(steps), lr, decay, repulsion, int(bank), int(capacity * buffered))
    return TINS(**dict(zip(DETECTOR_SETTINGS, values, strict=True)))
