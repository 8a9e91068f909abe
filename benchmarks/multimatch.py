"""NegRefine's multi-matching score: distinct pair texts encoded once a batch and kept, against one picture at a time.

python -m benchmarks.multimatch [--images 500] [--plain 40]

On the built-in pictures and model. The plain way encodes the 25 captions of each picture on full contexts, as the
published code does; both give the same scores.
"""

import argparse
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from torch import Tensor

from ood_lightning.corpora.prompts import SIMPLE_7, Prompts, ensemble
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.wordnet import WordNet
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.detectors.negrefine import PairTexts
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.functional.confidence import multi_match
from ood_lightning.functional.similarity import top_k, unit

BLOCK, K = 1024, 5
SETS = "builtin:pictograms/shards"


def main() -> None:
    """Print pictures a second of both ways, their ratio and the largest difference of scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--plain", type=int, default=40, help="pictures that the plain way scores")
    options = parser.parse_args()
    encoder, prompts = OpenClip("builtin:pictograms/model"), Prompts(SIMPLE_7)
    encoder.load(torch.device("cpu"))
    with TemporaryDirectory() as cache:
        bank = TextBank(encoder, cache)
        names = list(dict.fromkeys(read_manifest(f"{SETS}/id_test").class_names))
        negatives = [word for word in WordNet().load().words[::40] if word not in names]
        features = []
        for name in ("id_test", "plants"):
            folder = embed(encoder, read_manifest(f"{SETS}/{name}"), cache, device=torch.device("cpu"))
            features.append(folder.read().image.to("cpu"))
        images = unit(torch.cat(features))
        images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))][: options.images]
        positive_texts, negative_texts = bank.encode(names, prompts), bank.encode(negatives, prompts)
        positive_rows = top_k(images, positive_texts, K).indices
        negative_rows = top_k(images, negative_texts, K).indices

        def batched() -> Tensor:
            pairs = PairTexts(names, negatives, lambda texts: bank.encode(texts, prompts), 200_000)
            parts = []
            for rows in torch.arange(len(images)).split(BLOCK):
                joint = pairs.features(positive_rows[rows], negative_rows[rows])
                parts.append(multi_match(images[rows], joint, negative_texts[negative_rows[rows]], encoder.logit_scale))
            return torch.cat(parts)

        model, _, tokenizer = encoder._loaded()

        @torch.inference_mode()
        def one(row: int) -> Tensor:
            texts = [
                text
                for i in positive_rows[row].tolist()
                for j in negative_rows[row].tolist()
                for text in prompts.fill(f"{names[i]} and {negatives[j]}")
            ]
            encoded = model.encode_text(tokenizer(texts)).view(K * K, len(prompts.templates), -1)
            joint = ensemble(encoded, prompts.order).view(1, K, K, -1)
            return multi_match(images[[row]], joint, negative_texts[negative_rows[[row]]], encoder.logit_scale)

        start = perf_counter()
        ours = batched()
        middle = perf_counter()
        plain = torch.cat([one(row) for row in range(options.plain)])
        end = perf_counter()
    fast, slow = len(images) / (middle - start), options.plain / (end - middle)
    of_images = zip(positive_rows.tolist(), negative_rows.tolist(), strict=True)
    distinct = len({(i, j) for a, b in of_images for i in a for j in b})
    print(
        f"{len(images)} pictures, {distinct} distinct pairs of {K * K * len(images)}, {torch.get_num_threads()} threads"
    )
    print(f"batched {fast:.1f} pictures/s, one at a time {slow:.2f} pictures/s: {fast / slow:.1f} times faster")
    print(f"largest difference of scores {float((ours[: options.plain] - plain).abs().max()):.1e}")


if __name__ == "__main__":
    main()
