"""NegRefine's multi-matching: pair texts of a batch encoded once, against the captions of one image at a time."""

from collections.abc import Callable
from functools import partial
from tempfile import TemporaryDirectory

import open_clip
import torch
from open_clip.model import CLIP
from torch import Tensor

from benchmarks.rows import Row, Ways
from ood_lightning.corpora.prompts import SIMPLE_7, Prompts, ensemble
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.wordnet import WordNet
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.detectors.negrefine import PairTexts
from ood_lightning.encoders.openclip import OpenClip, Towers
from ood_lightning.encoders.quick_tokens import quick
from ood_lightning.functional.confidence import multi_match
from ood_lightning.functional.similarity import top_k, unit

BLOCK, K = 1024, 5
SETS = "id_test", "id_val", "plants", "food"  # four fifths are ID images
CPU = torch.device("cpu")


def rows(small: bool) -> list[Row]:
    """On the built-in images and words: under the built-in text tower, and under one with CLIP's context."""
    n_images, n_alone = (40, 2) if small else (1000, 20)
    return [
        Row(
            f"multi-match-{context}",
            "NegRefine's S_MM, encoding its captions",
            f"{n_images:,} images, 5 x 5 pairs each, {len(SIMPLE_7)} templates; {tower}, 3 x 192, context {context}",
            f"{n_alone} of the images one at a time, on full contexts",
            f"ours at most {n_images / n_alone / 20:.1f}, which is 20 images in the time of one; equal scores",
            partial(ways, context, n_images, n_alone),
            repeats=2,
        )
        for context, tower in ((32, "built-in tower"), (77, "random tower"))
    ]


def ways(context: int, n_images: int, n_alone: int) -> Ways:
    """Scores of the images; of a quarter of them too, since fewer images share fewer pairs."""
    with TemporaryDirectory() as cache:
        task = MultiMatching(cache, n_images, context)

    difference = float((task.together(n_alone) - task.one_at_a_time(n_alone)).abs().max())
    if difference > 1e-5:
        raise AssertionError(f"scores of both ways differ by {difference}")
    return {
        "one at a time": partial(task.one_at_a_time, n_alone),
        "ours": partial(task.together, n_images),
        f"ours, {n_images // 4:,} images": partial(task.together, n_images // 4),
    }


def random_tower(context: int) -> OpenClip:
    """An encoder whose text tower has random weights and the built-in one's size."""
    torch.manual_seed(0)
    text = {"context_length": context, "width": 192, "heads": 6, "layers": 3}
    model = CLIP(192, {"image_size": 32, "layers": 1, "width": 64, "patch_size": 32}, text)
    encoder = OpenClip("random")
    tokenizer = quick(open_clip.SimpleTokenizer(context_length=context))
    encoder._towers = Towers(model.eval().requires_grad_(False), lambda image: image, tokenizer)
    return encoder


class MultiMatching:
    """Images with their nearest words.

    Args:
        cache: folder for features.
        n_images: random ones of the built-in sets.
        context: of the text tower that encodes pairs: 32, the built-in one, or 77, a random one.
    """

    def __init__(self, cache: str, n_images: int, context: int) -> None:
        builtin, self.prompts = OpenClip("builtin:pictograms/model"), Prompts(SIMPLE_7)
        builtin.load(CPU)
        self.encoder = builtin if context == 32 else random_tower(context)
        self.bank = TextBank(self.encoder, cache)
        self.scale = builtin.logit_scale

        sets = [read_manifest(f"builtin:pictograms/shards/{name}") for name in SETS]
        self.names = list(dict.fromkeys(name for name in sets[0].class_names))
        self.negatives = [word for word in WordNet().load().words[::40] if word not in self.names]
        features = torch.cat([embed(builtin, manifest, cache, device=CPU).read().image for manifest in sets])
        chosen = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:n_images]
        self.images = unit(features[chosen])

        self.positive_rows, self.negative_rows = (
            top_k(self.images, TextBank(builtin, cache).encode(words, self.prompts), K).indices
            for words in (self.names, self.negatives)
        )
        self.of_negatives = self.bank.encode(self.negatives, self.prompts)

    def together(self, n: int) -> Tensor:
        """Scores of n images, nothing of whose pairs is known."""
        encode = partial(self.bank.encode, prompts=self.prompts)
        pairs = PairTexts(self.names, self.negatives, encode, 200_000)
        return torch.cat(
            [
                self._score(rows, pairs.features(self.positive_rows[rows], self.negative_rows[rows]))
                for rows in torch.arange(n).split(BLOCK)
            ]
        )

    def one_at_a_time(self, n: int) -> Tensor:
        """Scores of n images as the published code gives them: all captions of each."""
        model, _, tokenizer = self.encoder._towers
        return torch.cat([self._alone(row, model.encode_text, tokenizer) for row in range(n)])

    @torch.inference_mode()
    def _alone(self, row: int, encode: Callable[[Tensor], Tensor], tokenizer: Callable[[list[str]], Tensor]) -> Tensor:
        pairs = [(i, j) for i in self.positive_rows[row].tolist() for j in self.negative_rows[row].tolist()]
        texts = [text for i, j in pairs for text in self.prompts.fill(f"{self.names[i]} and {self.negatives[j]}")]
        encoded = encode(tokenizer(texts)).view(len(pairs), len(SIMPLE_7), -1)
        joint = ensemble(encoded, self.prompts.order).view(1, K, K, -1)
        return self._score(torch.tensor([row]), joint)

    def _score(self, rows: Tensor, joint: Tensor) -> Tensor:
        of_negatives = self.of_negatives[self.negative_rows[rows]]
        return multi_match(self.images[rows], joint, of_negatives, self.scale)
