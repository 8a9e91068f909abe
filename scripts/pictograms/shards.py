"""Write the sets as WebDataset tars with a manifest each.

Run by `build.py --stage shards`; writes ``ASSETS/shards/SET/``. A picture is a WebP of 64 x 64 pixels. The tars carry
no time, owner or order of their own, so the same pictures give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from compose import compose
from concepts import Concept
from PIL import Image
from sets import SETS, PictureSet, class_names, members
from sources import LICENCES, PACKAGES, PROTOCOL

SHARD_SIZE = 1000
QUALITY = 85
CARDS = {"id_test": "pictograms"}  # ood_lightning/data/cards, with the model's zero-shot top-1
SOURCE_NOTES = {"flags": "; drawn by another vendor than id_test, so style differs as well as content"}

Sample = tuple[str, bytes, int]  # key, WebP, class


def webp(picture: np.ndarray) -> bytes:
    """One picture, uint8 ``(H, W, 3)``, as WebP."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def samples(picture_set: PictureSet, concepts: Sequence[Concept], work: Path) -> list[Sample]:
    """Every picture of a set by rendering, vendor and code point."""
    of_code = {concept.code: concept for concept in members(picture_set, concepts)}
    classes = {name: i for i, name in enumerate(class_names(picture_set, concepts))}
    table = json.loads((work / "drawings.json").read_text(encoding="utf-8"))
    rows = [i for i, (code, vendor, _) in enumerate(table) if vendor in picture_set.vendors and code in of_code]
    drawings = torch.from_numpy(np.load(work / "drawings.npy", mmap_mode="r")[rows])
    out = []
    for rendering in range(picture_set.renderings):
        pictures = compose(drawings, seed=1000 * picture_set.number + rendering)
        pixels = (pictures * 255).round().byte().permute(0, 2, 3, 1).numpy()
        for row, picture in zip(rows, pixels, strict=True):
            code, vendor, _ = table[row]
            out.append((f"{rendering}_{vendor}_{code}", webp(picture), classes[of_code[code].name]))
    return sorted(out)


def pack(path: Path, samples: Sequence[Sample], labelled: bool) -> dict:
    """Write one tar and return its line in the manifest."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, picture, label in samples:
            parts = [("cls", str(label).encode())] if labelled else []
            for ending, content in [*parts, ("webp", picture)]:
                member = tarfile.TarInfo(f"{key}.{ending}")
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"path": path.name, "samples": len(samples), "bytes": len(content), "sha256": digest}


def write(picture_set: PictureSet, concepts: Sequence[Concept], work: Path, assets: Path) -> None:
    """Write one set: its tars, its manifest and, where it is share-alike, its licence."""
    folder = assets / "shards" / picture_set.name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.tar"):
        old.unlink()

    every = samples(picture_set, concepts, work)
    n_shards = -(-len(every) // SHARD_SIZE)
    bounds = [round(i * len(every) / n_shards) for i in range(n_shards + 1)]
    shards = [
        pack(folder / f"{picture_set.name}-{i:06d}.tar", every[start:end], picture_set.labelled)
        for i, (start, end) in enumerate(pairwise(bounds))
    ]

    used = [package for package in PACKAGES if package.folder in picture_set.vendors]
    manifest = {
        "name": picture_set.name,
        "role": picture_set.role,
        "licence": " AND ".join(sorted({LICENCES[vendor] for vendor in picture_set.vendors})),
        "source": ", ".join(f"{package.name}@{package.version}" for package in used)
        + f"; group {picture_set.group}; renderings of each drawing: {picture_set.renderings}"
        + SOURCE_NOTES.get(picture_set.name, ""),
        "protocol": CARDS.get(picture_set.name, PROTOCOL),
        "class_names": class_names(picture_set, concepts),
        "shards": shards,
    }

    text = json.dumps(manifest, indent=2, sort_keys=False, ensure_ascii=False)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")

    n_bytes = sum(shard["bytes"] for shard in shards)
    print(f"{picture_set.name}: {len(every)} pictures, {n_shards} shards, {n_bytes / 1e6:.2f} MB", flush=True)


def write_all(concepts: Sequence[Concept], work: Path, assets: Path) -> None:
    """Write all sets."""
    for picture_set in SETS:
        write(picture_set, concepts, work, assets)
