"""The images behind a stream's features, for detectors that show them to a model: read one by one, when asked for."""

from bisect import bisect_right
from collections import Counter
from functools import partial
from itertools import accumulate

from torch import Tensor

from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.data.shards.samples import located
from ood_lightning.data.shards.tars import Slice
from ood_lightning.detectors.image_texts import StreamImage
from ood_lightning.errors import SettingsError


class SetImages:
    """Images of a set by the row of their features.

    Where they lie in a shard is read once, when the first of its images is asked for: 0.3 KB an image.

    Args:
        one: the set.

    Raises:
        SettingsError: two of its images have one key, so that a text could belong to either.
    """

    def __init__(self, one: FeatureSet) -> None:
        self.manifest, self.features = one.manifest, one.features
        keys = list(self.features.keys)
        if len(set(keys)) < len(keys):
            repeated = next(key for key, n in Counter(keys).items() if n > 1)
            raise SettingsError(
                f"set {self.features.name!r} has the key {repeated!r} in several shards, so that a text on it could "
                f"belong to several images: pack the set again with keys of their own"
            )

        bad = Counter(line.split(" ", 1)[0] for line in self.features.bad)
        self._ends = list(accumulate(shard.samples - bad[shard.path] for shard in self.manifest.shards))
        self._places: dict[int, dict[str, Slice]] = {}  # of the images of each shard that was asked for

    def __getitem__(self, row: int) -> StreamImage:
        key = self.features.keys[row]
        return StreamImage(self.features.name, key, partial(self._read, row, key))

    def _read(self, row: int, key: str) -> bytes:
        number = bisect_right(self._ends, row)
        if number not in self._places:
            container = self.manifest.container(self.manifest.shards[number])
            self._places[number] = {sample.key: sample.picture for sample in located(container)}
        return self._places[number][key].read()


def images_of_stream(id_set: SetImages, ood_set: SetImages, rows: Tensor) -> list[StreamImage]:
    """The images of a stream, in its order.

    Args:
        id_set: n_id images.
        ood_set: the others.
        rows: of the stream; below n_id an ID image, from there on an OOD image.
    """
    n_id = len(id_set.features)
    return [id_set[row] if row < n_id else ood_set[row - n_id] for row in rows.tolist()]
