"""Train the text tower to say what the teacher says of 79,403 WordNet words and the concepts' names.

Run by `build.py --stage text`; writes ``WORK/text.pt`` and ``WORK/text_log.jsonl``. First a bag of tokens is fitted
(each token a vector and a weight), because a transformer that starts from it needs a tenth of the steps; then the
tower, on texts bare and in prompt templates.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import text_tower
import torch
from concepts import Concept
from text_tower import CONTEXT, DIM, TEMPERATURE, Targets
from torch import Tensor, nn
from torch.nn import functional as F

BARE = 14  # a bare text is drawn as often as that many templates
TEMPLATES = (
    *("a photo of a {}.", "a photo of a {}.", "a photo of the large {}.", "a photo of the small {}."),
    *("a bad photo of the {}.", "a picture of {}.", "a drawing of a {}.", "a sketch of the {}.", "art of the {}."),
    *("an icon of a {}.", "an emoji of a {}.", "a cartoon {}.", "a origami {}.", "a {} in a video game."),
    *("itap of a {}.", "{}.", "a {}", "a {}.", "the {}"),
)
START, END = 49406, 49407


@dataclass(frozen=True)
class Plan:
    """How long and how fast; the defaults made the shipped model."""

    steps: int = 2750
    cosine_steps: int = 5000  # the learning rate follows the first part of a half cosine of that length
    cool_down: int = 750  # and in the last so many steps falls to nothing
    bag_epochs: int = 12
    resume_at: int = 0  # steps that WORK/text.pt has behind it; the optimizers' own averages start anew
    batch: int = 512
    learning_rate: float = 1.5e-3
    name_share: float = 0.1  # of each batch: texts of concepts, beside the words drawn evenly
    seed: int = 0


def half_cosine(step: int, steps: int) -> float:
    """1 at the first step, 0 after the last."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def rate(step: int, plan: Plan) -> float:
    """Learning rate as a share of its peak: a short rise, part of a half cosine, then straight down."""
    rise = min(1.0, (step - plan.resume_at + 1) / 50)
    left = min(1.0, (plan.steps - step) / plan.cool_down)
    return rise * half_cosine(min(step, plan.steps - plan.cool_down), plan.cosine_steps) * left


def agreement(output: Tensor, target: Tensor) -> Tensor:
    """Cosine to the own target, and a tenth of the loss of picking it among the batch's targets."""
    pick = F.cross_entropy(output @ target.T / TEMPERATURE, torch.arange(len(output)))
    return 1 - (output * target).sum(1).mean() + 0.1 * pick


def fit_bag(tokens: Tensor, targets: Targets, rows: Tensor, plan: Plan) -> Tensor:
    """Token table of a weighted bag of tokens, ``(49408, 192)``, started from the teacher's view of each token."""
    table = nn.Embedding.from_pretrained(targets.token_vectors.clone(), freeze=False, sparse=True)
    weight = nn.Embedding.from_pretrained(torch.zeros(len(table.weight), 1), freeze=False, sparse=True)
    optimizer = torch.optim.SparseAdam([table.weight, weight.weight], lr=3e-3, betas=(0.9, 0.98))

    size = 2 * plan.batch
    steps = plan.bag_epochs * (len(rows) // size)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 3e-3 * half_cosine(step, steps)
        if step % (len(rows) // size) == 0:
            order = rows[torch.randperm(len(rows))]

        batch = order[step % (len(rows) // size) * size :][:size]
        ends = tokens[batch].argmax(-1)
        inner = tokens[batch, 1 : int(ends.max())]
        padding = torch.arange(1, int(ends.max()))[None] >= ends[:, None]
        shares = weight(inner)[..., 0].masked_fill(padding, -1e9).softmax(-1)

        loss = agreement(
            F.normalize((table(inner) * shares[..., None]).sum(1), dim=-1),
            targets.vectors[batch],
        )

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return table.weight.detach()


def start_from(tower: nn.Module, table: Tensor) -> None:
    """Set the tower up so that it begins as about a bag of tokens."""
    with torch.no_grad():
        tower.token_embedding.weight.copy_(table / table.norm(dim=-1).mean() * math.sqrt(DIM) * 0.1)
        tower.token_embedding.weight[-2:].normal_(0, 0.03)
        tower.positional_embedding.normal_(0, 0.005)
        attention = tower.transformer.resblocks[0].attn
        attention.in_proj_weight[2 * DIM :].copy_(torch.eye(DIM))
        attention.out_proj.weight.copy_(torch.eye(DIM))
        tower.text_projection.copy_(torch.eye(DIM) + torch.randn(DIM, DIM) * 0.01)


class Batches:
    """Endless batches of texts of like length, each in a random template.

    Words come by turns, each once an epoch; ``name_share`` of the texts are concepts' texts. A template is put around
    a text's tokens rather than around its letters, which saves tokenising again.
    """

    def __init__(self, tokens: Tensor, words: np.ndarray, names: np.ndarray, plan: Plan, chunk: int = 8) -> None:
        self.words, self.names, self.plan, self.chunk = words, names, plan, chunk
        self.inner = [row[1:end].tolist() for row, end in zip(tokens, tokens.argmax(-1).tolist(), strict=True)]
        read = text_tower.tokenizer()
        mark = read("cat")[0, 1].item()  # one token, and in no template
        self.frames = [([], [])] * BARE
        for template in TEMPLATES:
            frame = [token for token in read(template.format("cat"))[0].tolist() if token not in (START, END, 0)]
            self.frames.append((frame[: frame.index(mark)], frame[frame.index(mark) + 1 :]))
        self.random = np.random.default_rng([plan.seed, plan.resume_at])

    def dress(self, row: int) -> list[int]:
        """Token numbers of one text in a random template, at most ``CONTEXT`` of them."""
        before, after = self.frames[self.random.integers(len(self.frames))]
        return [START, *(before + self.inner[row] + after)[: CONTEXT - 2], END]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n_names = int(self.plan.batch * self.chunk * self.plan.name_share)
        n_words = self.plan.batch * self.chunk - n_names
        while True:
            order = self.random.permutation(self.words)
            for start in range(0, len(order) - n_words + 1, n_words):
                rows = np.concatenate([order[start : start + n_words], self.random.choice(self.names, n_names)])
                dressed = [self.dress(row) for row in rows]
                by_length = np.argsort([len(d) for d in dressed], kind="stable").reshape(self.chunk, -1)
                for part in self.random.permutation(by_length):
                    tokens = torch.zeros(len(part), CONTEXT, dtype=torch.long)
                    for i, j in enumerate(part):
                        tokens[i, : len(dressed[j])] = torch.tensor(dressed[j])
                    yield torch.from_numpy(rows[part]), tokens


@torch.inference_mode()
def fidelity(tower: nn.Module, targets: Targets, held: Sequence[int]) -> dict[str, float]:
    """How well held-out words are copied.

    Returns:
        ``cosine`` to the target (bare; ``cosine_prompt`` in a template), ``overlap@10``: the share of the target's ten
        nearest words among the output's ten nearest (500 words), ``retrieval``: how often the own target is the
        nearest of all the held-out ones.
    """
    texts, vectors = [targets.texts[row] for row in held], targets.vectors[list(held)]
    bare = text_tower.encode_texts(tower, texts)
    prompted = text_tower.encode_texts(tower, texts, ["a photo of a {}."])
    words = targets.vectors[: len(targets.words)]

    def nearest(vectors: Tensor) -> list[set[int]]:
        cosines = vectors[:500] @ words.T
        cosines[torch.arange(500), torch.tensor(held[:500])] = -1
        return [set(row) for row in cosines.topk(10).indices.tolist()]

    shared = [len(a & b) / 10 for a, b in zip(nearest(bare), nearest(vectors), strict=True)]
    return {
        "cosine": round((bare * vectors).sum(1).mean().item(), 4),
        "cosine_prompt": round((prompted * vectors).sum(1).mean().item(), 4),
        "overlap@10": round(float(np.mean(shared)), 4),
        "retrieval": round(((bare @ vectors.T).argmax(1) == torch.arange(len(held))).float().mean().item(), 4),
    }


def train(concepts: Sequence[Concept], work: Path, plan: Plan) -> None:
    """Fit the bag, then the tower; write weights and log."""
    torch.manual_seed(plan.seed)
    targets = Targets(work)
    held = targets.held_out(concepts)
    tokens = text_tower.tokenizer()(targets.texts)
    spoken = {text for concept in concepts for text in concept.texts}
    words = np.array(sorted(set(range(len(targets.words))) - set(held)))
    names = np.array([row for row, text in enumerate(targets.texts) if text in spoken])
    began = time.time()
    tower = text_tower.build()
    if plan.resume_at:
        tower.load_state_dict(torch.load(work / "text.pt", weights_only=True))
    else:
        start_from(tower, fit_bag(tokens, targets, torch.from_numpy(np.union1d(words, names)), plan))

    tower.token_embedding.sparse = True
    rest = [(name, p) for name, p in tower.named_parameters() if not name.startswith("token_embedding")]
    groups = [
        {"params": [p for name, p in rest if p.ndim > 1 and "positional" not in name], "weight_decay": 0.05},
        {"params": [p for name, p in rest if p.ndim <= 1 or "positional" in name], "weight_decay": 0.0},
    ]
    dense = torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.98), eps=1e-8, fused=True)
    sparse = torch.optim.SparseAdam([tower.token_embedding.weight], lr=plan.learning_rate / 3, betas=(0.9, 0.98))
    batches = iter(Batches(tokens, words, names, plan))
    running = 0.0
    with (work / "text_log.jsonl").open("a" if plan.resume_at else "w") as log:
        log.write(json.dumps(asdict(plan)) + "\n")
        for step in range(plan.resume_at + 1, plan.steps + 1):
            share = rate(step - 1, plan)
            for group in dense.param_groups:
                group["lr"] = plan.learning_rate * share
            sparse.param_groups[0]["lr"] = plan.learning_rate / 3 * share
            rows, batch = next(batches)
            with torch.autocast("cpu", torch.bfloat16):
                output = text_tower.encode(tower, batch).float()
            target = targets.vectors[rows]
            loss = agreement(output, target)
            dense.zero_grad()
            sparse.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([p for _, p in rest], 1.0)
            dense.step()
            sparse.step()
            running += (output * target).sum(1).mean().item()
            if step % 250 == 0:
                line = {"step": step, "seconds": round(time.time() - began), "train_cosine": round(running / 250, 4)}
                running = 0.0
                if step % 1000 == 0 or step == plan.steps:
                    line |= fidelity(tower, targets, held)
                    torch.save(tower.state_dict(), work / "text.pt")
                print(line, flush=True)
                log.write(json.dumps(line) + "\n")
                log.flush()
