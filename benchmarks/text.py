"""Text encoding: trimmed, length-sorted batches against open_clip's `encode_text` on full contexts.

python -m benchmarks.text [--words 1000] [--model ViT-B-16] [--pretrained TAG]

Without a tag the model has random weights, which take the same time.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import open_clip
import torch
from safetensors.torch import save_model

from ood_lightning.corpora.wordnet import WordNet
from ood_lightning.encoders.openclip import OpenClip


def timed(work: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, float]:
    """What `work` gives, and the seconds that it takes."""
    start = perf_counter()
    return work(), perf_counter() - start


def main() -> None:
    """Print times, ratio and the largest difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=1000)
    parser.add_argument("--model", default="ViT-B-16")
    parser.add_argument("--pretrained")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = options.pretrained
        if weights is None and not options.model.startswith("builtin:"):
            torch.manual_seed(0)
            weights = str(Path(folder) / "random.safetensors")
            save_model(open_clip.create_model(options.model), weights)
        encoder = OpenClip(options.model, weights)
        encoder.load(torch.device("cpu"))
    model, _, tokenizer = encoder._towers
    every = WordNet().load().words
    texts = [f"a photo of a {word}." for word in every[:: max(len(every) // options.words, 1)][: options.words]]
    tokens = tokenizer(texts)

    @torch.inference_mode()
    def plain() -> torch.Tensor:
        return torch.cat([model.encode_text(part) for part in tokens.split(encoder.text_batch)])

    encoder.encode_text(texts[:32])  # the first use of anything takes longer
    expected, slow = timed(plain)
    encoded, fast = timed(lambda: encoder.encode_text(texts))
    print(f"{len(texts)} texts, context {tokens.shape[1]}, {torch.get_num_threads()} threads, {options.model}")
    print(f"full contexts {slow:.2f} s, trimmed and sorted, with tokenising, {fast:.2f} s")
    print(f"{slow / fast:.1f} times faster")
    print(f"largest difference {float((encoded - expected).abs().max()):.1e}")


if __name__ == "__main__":
    main()
