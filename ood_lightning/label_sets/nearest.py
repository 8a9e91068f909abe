"""Each image's nearest word: the vote that ClusterMine counts by cluster and PosMine over all."""

import torch
from torch import Tensor

from ood_lightning.functional.similarity import Top, top_k, unit
from ood_lightning.progress import bar

ROWS = 16384  # images between two moves of the progress bar


def nearest_words(image: Tensor, word_features: Tensor, device: torch.device) -> Top:
    """Nearest word of each image and the cosine to it, each of shape (N,), on the CPU.

    Args:
        image: (N, D) features in any float dtype.
        word_features: unit-norm (V, D).
        device: where the products are taken; holds V * D * 4 bytes of words.
    """
    words = word_features.to(device)
    values, indices = [], []
    with bar(len(image), f"match with {len(words):,} words", "img") as progress_bar:
        for block in torch.split(image, ROWS):
            top = top_k(unit(block.to(device)), words, 1)
            values.append(top.values[:, 0].cpu())
            indices.append(top.indices[:, 0].cpu())
            progress_bar.update(len(block))
    return Top(torch.cat(values), torch.cat(indices))
