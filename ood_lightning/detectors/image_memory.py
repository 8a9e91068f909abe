"""AdaNeg's memory: a few images of the stream for every label, and the proxies that they pull away from the texts."""

import torch
from torch import Tensor

from ood_lightning.functional.similarity import cosines, unit

_PIECE = 2**22  # float64 numbers held at once: 32 MiB


class ImageMemory:
    """Slot 0 of every label is its text and stays; the other slots hold the images of smallest entropy.

    Args:
        texts: unit vectors, shape (V, D).
        size: images per label, at least 1.
        replacement: whether a label without a free slot takes surer images.

    Attributes:
        proxies: unit mean of each label's slots, shape (V, D); the texts while no image is kept.
        images: shape (V, size, D); zero in empty slots.
        entropies: of the images of each label that has at least one, slot by slot.
    """

    def __init__(self, texts: Tensor, size: int, replacement: bool = True) -> None:
        self.texts, self.size, self.replacement = texts, size, replacement
        self.proxies = texts.clone()
        self.images = texts.new_zeros(len(texts), size, texts.shape[1])
        self.entropies: dict[int, list[float]] = {}  # of the images of each label, slot by slot

    def add(self, features: Tensor, rows: Tensor, entropies: Tensor) -> None:
        """Store images one by one, in their order.

        Where a label has no free slot, an image replaces the image of largest entropy (of equally large ones the one in
        the first slot) if its own entropy is smaller, and is left out otherwise; without replacement it is left out.

        Args:
            features: unit vectors, shape (b, D).
            rows: label of each image, int64, shape (b,).
            entropies: how unsure each image is, shape (b,).
        """
        stored: dict[tuple[int, int], int] = {}  # (label, slot): the last image of the batch that took it
        for image, (row, entropy) in enumerate(zip(rows.tolist(), entropies.tolist(), strict=True)):
            kept = self.entropies.setdefault(row, [])
            slot = len(kept) if len(kept) < self.size else kept.index(max(kept))
            if slot == len(kept) or (self.replacement and entropy < kept[slot]):
                kept[slot : slot + 1] = [entropy]  # a free slot is taken, a full one changes its image
                stored[row, slot] = image

        if not stored:
            return

        label, slot_of = torch.tensor(list(stored), device=self.images.device).unbind(dim=1)
        self.images[label, slot_of] = features[torch.tensor(list(stored.values()), device=features.device)]

        changed = label.unique()
        total = self.texts[changed].double() + self.images[changed].double().sum(dim=1)  # (v, D)
        self.proxies[changed] = unit(total).to(self.proxies.dtype)

    def cosines(self, features: Tensor, to_texts: Tensor, beta: float | None) -> Tensor:
        """Cosines to the labels' proxies: to the unit means of their slots, or with a beta to adaptive ones.

        Args:
            features: unit vectors, shape (b, D).
            to_texts: their cosines to the texts, which are the proxies of labels without an image, shape (b, V).
            beta: sharpness of the slots' weights; None: all slots weigh the same.

        Returns:
            Shape (b, V); float64 with a beta.
        """
        rows = torch.tensor(list(self.entropies), dtype=torch.int64, device=features.device)
        if beta is not None:
            return to_texts.double().index_copy_(1, rows, self._adaptive_cosines(features, rows, beta))

        if not len(rows):
            return to_texts
        if 2 * len(rows) > len(self.texts):  # picking the labels with an image would take as long as the product
            return cosines(features, self.proxies)
        return to_texts.index_copy(1, rows, cosines(features, self.proxies[rows]))

    def _adaptive_cosines(self, features: Tensor, with_images: Tensor, beta: float) -> Tensor:
        """Cosines to ``unit(sum_l exp(-beta (1 - h.F_l)) F_l)`` of some labels, float64, shape (b, v).

        Every image has proxies of its own, (b, v, D) numbers that would not fit. They are not needed: with the weights
        w and the Gram matrix G of a label's S slots, the cosine is ``w.(h.F) / sqrt(w' G w)``. Empty slots are zero
        vectors and add nothing.
        """
        result = torch.empty(len(features), len(with_images), dtype=torch.float64, device=features.device)
        per_label = (self.size + 1) * (len(features) + self.texts.shape[1]) + 1  # numbers held for one label
        pieces = (side.split(max(1, _PIECE // per_label), dim) for side, dim in ((with_images, 0), (result, 1)))
        for rows, part in zip(*pieces, strict=True):
            members = torch.cat([self.texts[rows, None], self.images[rows]], dim=1).double()  # (v, S, D)
            similarity = torch.einsum("bd,vsd->vbs", features.double(), members)
            weights = (-beta * (1 - similarity)).exp()  # (v, b, S)

            squared_length = (weights @ (members @ members.mT) * weights).sum(dim=2)  # w' G w, (v, b)
            part.copy_(((weights * similarity).sum(dim=2) / squared_length.sqrt()).T)

        return result
