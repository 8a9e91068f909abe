"""`votes.safetensors`: the cluster and the nearest word of each image, as a fit found them."""

from pathlib import Path

import torch
from torch import Tensor

from ood_lightning.data.artifacts.store import opened, write_store
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.errors import SettingsError

FILE = "votes.safetensors"


def write_votes(path: Path, votes: dict[str, Tensor], id_set: Manifest, run: str = "") -> None:
    """Store the votes of a set's images.

    Args:
        path: the file.
        votes: `cluster` and `nearest`, int64, and `cosine`, float64, each (N,).
        id_set: the set; rows say nothing about another one of as many pictures.
        run: hash of the fit.
    """
    write_store(path, votes, {"id_set": id_set.fingerprint, "run": run})


def count_votes(path: str | Path) -> int:
    """Images that a file has votes for, whatever set they are of.

    Raises:
        SettingsError: the file is damaged, or holds no votes.
    """
    to_do = f"name {FILE} of a fit on the same set, or run that fit again, which goes on from its last.ckpt"
    with opened(path, {}, to_do, SettingsError) as store:
        return len(store.tensor("cluster", (None,), torch.int64))


def read_votes(path: str | Path, id_set: Manifest, n_images: int) -> dict[str, Tensor]:
    """What :func:`write_votes` wrote.

    Args:
        path: the file.
        id_set: that the votes have to be of.
        n_images: N, those of its pictures that have features.

    Raises:
        SettingsError: the file is damaged, or none of a fit on this set.
    """
    to_do = f"name {FILE} of a fit on set {id_set.name!r}, or run that fit again, which goes on from its last.ckpt"
    with opened(path, {}, to_do, SettingsError) as store:
        cluster = store.tensor("cluster", (None,), torch.int64)
        if store.provenance.get("id_set") != id_set.fingerprint:
            raise SettingsError(f"{path} was made on another set than {id_set.name!r}: name the one of the fit")
        if len(cluster) != n_images:
            raise SettingsError(
                f"{path} has clusters for {len(cluster)} pictures, set {id_set.name!r} has {n_images}: {to_do}"
            )

        nearest = store.tensor("nearest", (n_images,), torch.int64)
        cosine = store.tensor("cosine", (n_images,), torch.float64)

    if (cluster < 0).any() or (nearest < 0).any() or not cosine.isfinite().all():
        raise SettingsError(f"{path} holds a negative cluster or word, or a cosine that is not finite: {to_do}")
    return {"cluster": cluster, "nearest": nearest, "cosine": cosine}
