"""Train the image tower to put a drawing where the text tower puts its name.

Run by `build.py --stage image`; writes ``WORK/image.pt`` and ``WORK/image_log.jsonl``. Each picture is told from all
names of concepts, from random WordNet words and from those nearest to its own name; words that mean almost the same
share the blame, as far as their vectors say that they do. Until the cool-down the aim is the teacher's vectors, which
need no text tower; then it is what the trained text tower makes of the texts. Validation uses only drawings that no
test set holds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import augment
import image_tower
import numpy as np
import torch
from compose import SIZE, compose, normalised
from concepts import Concept
from sources import TRAINING_VENDORS
from text_tower import TEMPERATURE
from torch import Tensor, nn
from torch.nn import functional as F
from training_data import Drawings, Texts


@dataclass(frozen=True)
class Plan:
    """How long, how fast and against what; the defaults made the shipped model.

    Nothing before the cool-down depends on ``steps``, so a run can be taken up again (one batch is lost) and made
    longer or shorter.
    """

    tower: str = "clip-24-1111"
    steps: int = 6750
    cool_down: int = 1500  # the last so many steps: the rate falls to nothing and the aim is the text tower's vectors
    batch: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    random_words: int = 2048
    nearest_words: int = 8
    first_strength: float = 0.15
    full_strength_at: int = 2500
    averaging: float = 0.998
    seed: int = 0

    def rate(self, step: int) -> float:
        """Learning rate of a step (the first is 1) as a share of its peak."""
        return min(step / 100, 1.0, (self.steps + 1 - step) / self.cool_down)

    def strength(self, step: int) -> float:
        """Of the augmentation."""
        return min(1.0, self.first_strength + (1 - self.first_strength) * step / self.full_strength_at)


def soft_loss(pictures: Tensor, own_texts: Tensor, texts: Tensor) -> Tensor:
    """Cross-entropy over texts with soft targets, plus the distance to the own text.

    Args:
        pictures: unit outputs, ``(B, D)``.
        own_texts: of the pictures, ``(B, D)``.
        texts: all texts in play, ``(T, D)``.
    """
    targets = (own_texts @ texts.T / TEMPERATURE).softmax(-1)
    log_chances = (pictures @ texts.T / TEMPERATURE).log_softmax(-1)
    return -(targets * log_chances).sum(-1).mean() + 1 - (pictures * own_texts).sum(-1).mean()


@torch.inference_mode()
def embed(tower: nn.Module, pictures: Tensor) -> Tensor:
    """Unit vectors of pictures in [0, 1]."""
    parts = [tower(part.contiguous(memory_format=torch.channels_last)) for part in normalised(pictures).split(256)]
    return F.normalize(torch.cat(parts).float(), dim=-1)


def top_1(tower: nn.Module, drawings: Drawings, texts: Texts, seed: int) -> float:
    """Percent of drawings whose own name is the nearest of all names but the flags'."""
    tower.eval()
    rows = [i for i, name in enumerate(texts.names) if not name.startswith("flag of ")]
    nearest = (embed(tower, compose(drawings.pixels, seed)) @ texts.name_vectors[rows].T).argmax(-1).tolist()
    tower.train()
    hits = [texts.names[rows[j]] == c.name for j, c in zip(nearest, drawings.concepts, strict=True)]
    return round(100 * sum(hits) / len(hits), 1)


class Run:
    """A tower in training, its averaged twin, and all that is needed to go on after a break."""

    def __init__(self, plan: Plan, checkpoint: Path) -> None:
        torch.manual_seed(plan.seed)
        self.checkpoint = checkpoint
        self.random = np.random.default_rng(plan.seed)
        self.generator = torch.Generator().manual_seed(plan.seed)
        self.tower, self.average = image_tower.build(plan.tower), image_tower.build(plan.tower)
        self.average.load_state_dict(self.tower.state_dict())

        decayed = [p for p in self.tower.parameters() if p.ndim > 1]
        plain = [p for p in self.tower.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)

        self.step = 0
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True)
            self.tower.load_state_dict(state["raw"])
            self.average.load_state_dict(state["weights"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.generator.set_state(state["generator"])
            self.random.bit_generator.state = state["random"]
            self.step = state["step"]

    def save(self, plan: Plan) -> None:
        """Write the checkpoint; `export.py` takes its averaged weights."""
        state = {
            "tower": plan.tower,
            "step": self.step,
            "weights": self.average.state_dict(),
            "raw": self.tower.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "random": self.random.bit_generator.state,
        }
        scratch = self.checkpoint.with_suffix(".tmp")
        torch.save(state, scratch)
        scratch.rename(self.checkpoint)

    def update(self, loss: Tensor, rate: float, averaging: float) -> None:
        """One step of the optimizer, then of the average."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.tower.parameters(), 2.0)
        self.optimizer.step()
        self.step += 1

        share = min(averaging, (1 + self.step) / (20 + self.step))
        with torch.no_grad():
            new_values = self.tower.state_dict().values()
            for mean, new in zip(self.average.state_dict().values(), new_values, strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(new, 1 - share)
                else:
                    mean.copy_(new)


class Batch(NamedTuple):
    """What one step is trained on: pictures, their rows among the drawings, a text of each, other words."""

    pictures: Tensor
    rows: np.ndarray
    said: Tensor
    far: Tensor


def batches(run: Run, plan: Plan, drawings: Drawings, texts: Texts) -> Iterator[Batch]:
    """Endless batches; the next one is prepared by a second thread while the current one is in use."""
    weights = drawings.weights()
    mirror = torch.tensor([concept.group not in ("symbols", "flags") for concept in drawings.concepts])
    ways = [[texts.row[text] for text in [c.name] * 3 + c.texts[1:4]] for c in drawings.concepts]

    def prepare(step: int) -> Batch:
        rows = run.random.choice(len(drawings), plan.batch, p=weights)
        said = [ways[row][run.random.integers(len(ways[row]))] for row in rows]
        far = run.random.integers(len(texts.words), size=plan.random_words)
        pictures = augment.augment(drawings.pixels[rows], SIZE, mirror[rows], plan.strength(step), run.generator)
        return Batch(normalised(pictures), rows, torch.tensor(said), torch.from_numpy(far))

    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as worker:
        waiting = worker.submit(prepare, run.step + 1)
        while True:
            batch = waiting.result()
            waiting = worker.submit(prepare, run.step + 2)
            yield batch


def train(concepts: Sequence[Concept], work: Path, plan: Plan, name: str = "image") -> None:
    """Train, or go on where ``NAME.pt`` stands; write ``NAME.pt`` and ``NAME_log.jsonl`` every 250 steps."""
    run = Run(plan, work / f"{name}.pt")
    drawings = Drawings(work, TRAINING_VENDORS, concepts)
    unseen = Drawings(work, ["fluent-emoji"], [c for c in concepts if c.group == "activities"])
    familiar = Drawings(work, ["noto"], [c for c in concepts if c.group not in ("flags", "faces", "symbols")])

    texts = Texts(work, concepts, from_teacher=True)
    nearest = texts.nearest_words(plan.nearest_words)
    label = torch.tensor([texts.names.index(concept.name) for concept in drawings.concepts])

    cooling = False
    began, loss_sum, hits = time.time(), 0.0, 0.0
    with (work / f"{name}_log.jsonl").open("a" if run.step else "w") as log:
        log.write(json.dumps(asdict(plan)) + "\n")
        for batch in batches(run, plan, drawings, texts):
            if run.step >= plan.steps - plan.cool_down and not cooling:
                cooling, texts = True, Texts(work, concepts, from_teacher=False)
                nearest = texts.nearest_words(plan.nearest_words)

            with torch.autocast("cpu", torch.bfloat16):
                output = run.tower(batch.pictures.contiguous(memory_format=torch.channels_last))
            output = F.normalize(output.float(), dim=-1)

            own_texts = texts.vectors[batch.said]
            others = texts.word_vectors[torch.cat([batch.far, nearest[batch.said].flatten().unique()])]
            loss = soft_loss(output, own_texts, torch.cat([own_texts, texts.name_vectors, others]))

            run.update(loss, plan.learning_rate * plan.rate(run.step + 1), plan.averaging)
            loss_sum += loss.item()
            hits += (output @ texts.name_vectors.T).argmax(1).eq(label[batch.rows]).float().mean().item()

            if run.step % 250 == 0 or run.step == plan.steps:
                line = {"step": run.step, "seconds": round(time.time() - began), "loss": round(loss_sum / 250, 3)}
                line["train_top_1"] = round(100 * hits / 250, 1)
                line["val_activities_unseen_vendor"] = top_1(run.average, unseen, texts, seed=99)
                line["val_noto_fresh"] = top_1(run.average, familiar, texts, seed=98)
                loss_sum = hits = 0.0
                run.save(plan)
                print(line, flush=True)
                log.write(json.dumps(line) + "\n")
                log.flush()

            if run.step == plan.steps:
                return
