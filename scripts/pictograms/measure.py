"""Print every number of the model card, from the shipped files alone.

    python scripts/pictograms/measure.py --wordnet /usr/share/wordnet

The table of methods is a sanity check (k-means clusters, one prompt set), not the package's own protocol. The locked
sets are read only with ``--locked``, which is for one final measurement after every choice has been made.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import concepts
import numpy as np
import open_clip
import text_tower
import torch
import wordnet
from compose import compose, normalised
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score
from sources import HELD_OUT_VENDORS, LOCKED_VENDORS
from torch import Tensor
from training_data import Drawings

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "pictograms"
TEMPLATES = ("{}", "a photo of a {}.")
OOD = ("plants", "food", "transport", "places", "objects", "faces", "people", "symbols")
SHIFTED = ("id_test", "shaded", "contrast")
TEMPERATURE = 0.05
N_CLUSTERS = 256
N_NEGATIVES = 10_000


class Model:
    """The shipped model, loaded by open_clip alone."""

    def __init__(self, folder: Path) -> None:
        self.clip, _, self.preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
        self.clip.eval()

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Unit mean over the templates, ``(len(texts), D)``; cut to each batch's length, so faster than encode_text."""
        return text_tower.encode_texts(self.clip, texts, TEMPLATES)

    @torch.inference_mode()
    def pictures(self, folder: Path) -> tuple[Tensor, list[int]]:
        """Unit features of one set and its classes (-1 where it has none)."""
        pictures, classes = [], []
        for path in sorted(folder.glob("*.tar")):
            with tarfile.open(path) as tar:
                files = {member.name: tar.extractfile(member).read() for member in tar}
            for name in (name for name in files if name.endswith(".webp")):
                pictures.append(self.preprocess(Image.open(io.BytesIO(files[name])).convert("RGB")))
                classes.append(int(files.get(name.removesuffix("webp") + "cls", b"-1")))
        parts = torch.stack(pictures).split(256)
        return torch.cat([self.clip.encode_image(part, normalize=True) for part in parts]), classes


def fpr95(id_scores: Tensor, ood_scores: Tensor) -> float:
    """Percent of OOD pictures accepted by the strictest threshold that keeps 95 % of the ID pictures."""
    kept = id_scores.sort(descending=True).values[int(np.ceil(0.95 * len(id_scores))) - 1]
    return 100 * (ood_scores >= kept).double().mean().item()


def auroc(id_scores: Tensor, ood_scores: Tensor) -> float:
    """Percent chance that an ID picture outscores an OOD picture."""
    truth = [1] * len(id_scores) + [0] * len(ood_scores)
    return 100 * roc_auc_score(truth, torch.cat([id_scores, ood_scores]).numpy())


def log_share(cosines: Tensor, positives: Tensor) -> Tensor:
    """Eq. 1 in nats: the positives' share of the softmax over all words."""
    logits = cosines / TEMPERATURE
    return logits[:, positives].logsumexp(1) - logits.logsumexp(1)


def mined(features: Tensor, word_vectors: Tensor, seed: int = 0) -> dict[str, list[int]]:
    """Positive words by k-means ClusterMine, and by PosMine with at least 12 pictures, most votes first."""
    nearest = torch.cat([(part @ word_vectors.T).argmax(1) for part in features.split(512)]).numpy()
    clusters = KMeans(N_CLUSTERS, n_init=1, random_state=seed).fit(features.numpy()).labels_
    won: Counter[int] = Counter()
    for cluster in range(N_CLUSTERS):
        votes = Counter(nearest[clusters == cluster].tolist())
        if votes:
            won[votes.most_common(1)[0][0]] += sum(votes.values())
    frequent = [word for word, n in Counter(nearest.tolist()).most_common() if n >= 12]
    return {"ClusterMine": [word for word, _ in won.most_common()], "PosMine, 12": frequent}


class Methods:
    """Scores, higher = more ID, of every method for a batch of features."""

    def __init__(self, words: list[str], word_vectors: Tensor, names: list[str], name_vectors: Tensor) -> None:
        self.word_vectors, self.name_vectors = word_vectors, name_vectors
        known = set(names)
        others = torch.tensor([i for i, word in enumerate(words) if word not in known])
        closeness = (word_vectors[others] @ name_vectors.T).quantile(0.95, dim=1)
        self.negatives = others[closeness.argsort()[:N_NEGATIVES]]
        self.others = others
        self.positives: dict[str, Tensor] = {}

    def score(self, features: Tensor) -> dict[str, Tensor]:
        """One tensor a method, shape ``(len(features),)``."""
        parts = [self._score(part) for part in features.split(512)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _score(self, features: Tensor) -> dict[str, Tensor]:
        names, words = features @ self.name_vectors.T, features @ self.word_vectors.T
        out = {
            "max cosine (names)": names.amax(1),
            "MCM, tau 1 (names)": names.softmax(1).amax(1),
            f"MCM, tau {TEMPERATURE} (names)": (names / TEMPERATURE).softmax(1).amax(1),
        }
        columns = torch.arange(names.shape[1])
        out["NegLabel, 10,000 (names)"] = log_share(torch.cat([names, words[:, self.negatives]], 1), columns)
        out["Eq. 1, names and corpus"] = log_share(torch.cat([names, words[:, self.others]], 1), columns)
        return out | {name: log_share(words, rows) for name, rows in self.positives.items()}


def zero_shot(features: Tensor, classes: list[int], class_names: list[str], names: list[str], vectors: Tensor) -> str:
    """Top-1 / top-5 in percent of pictures whose class names are ``class_names`` among all ``names``."""
    right = torch.tensor([names.index(class_names[i]) for i in classes])
    best = (features @ vectors.T).topk(5).indices
    hit = best == right[:, None]
    return f"{100 * hit[:, 0].double().mean():.1f} / {100 * hit.any(1).double().mean():.1f}"


def print_vendors(model: Model, work: Path, vendors: Sequence[str]) -> None:
    """Print zero-shot top-1 / top-5 over every drawing of some vendors but flags, one rendering each."""
    table = concepts.load(work / "concepts.json")
    names = sorted({concept.name for concept in table if concept.group != "flags"})
    vectors = model.texts(names)
    for vendor in vendors:
        drawings = Drawings(work, [vendor], [concept for concept in table if concept.group != "flags"])
        with torch.inference_mode():
            parts = normalised(compose(drawings.pixels, seed=97)).split(256)
            features = torch.cat([model.clip.encode_image(part, normalize=True) for part in parts])
        right = [names.index(concept.name) for concept in drawings.concepts]
        print(f"| {vendor}, all {len(right)} drawings | {zero_shot(features, right, names, names, vectors)} | - |")


def print_training(log: Path) -> None:
    """Print how the towers' training ended."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for tower in ("text tower", "image tower"):
        of_tower = [line for line in lines if line["about"] == tower]
        print(f"{tower}: plan {[line for line in of_tower if 'seed' in line]}; last {of_tower[-1]}")


def table(methods: Methods, features: dict[str, Tensor], id_sets: Sequence[str], ood_sets: Sequence[str]) -> None:
    """Print AUROC / FPR95 by method: the mean over OOD sets, then each of them."""
    scores = {name: methods.score(features[name]) for name in [*id_sets, *ood_sets]}
    for id_set in id_sets:
        print(f"\n| ID: {id_set} | mean | {' | '.join(ood_sets)} |\n|---{'|---' * (len(ood_sets) + 1)}|")
        for method in scores[id_set]:
            pairs = [(scores[id_set][method], scores[ood_set][method]) for ood_set in ood_sets]
            cells = [(auroc(*pair), fpr95(*pair)) for pair in pairs]
            mean = np.mean(cells, axis=0)
            print(f"| {method} | " + " | ".join(f"{a:.1f} / {f:.1f}" for a, f in [mean, *cells]) + " |")


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, default=ASSETS, help="holds model/ and shards/")
    parser.add_argument("--wordnet", type=Path, required=True, help="holds data.noun and data.adj")
    parser.add_argument("--work", type=Path, help="also every drawing of each held-out vendor, from build.py's folder")
    parser.add_argument("--validation", action="store_true", help="the validation sets and nothing else")
    parser.add_argument("--locked", action="store_true", help="also the locked sets: once, after every choice")
    arguments = parser.parse_args()
    torch.manual_seed(0)

    weights = arguments.assets / "model" / "open_clip_model.safetensors"
    print(
        f"sha256 of the weights: {hashlib.sha256(weights.read_bytes()).hexdigest()}, {weights.stat().st_size:,} bytes"
    )
    model = Model(arguments.assets / "model")
    shards = arguments.assets / "shards"
    manifests = {path.parent.name: json.loads(path.read_text()) for path in sorted(shards.glob("*/manifest.json"))}
    names_of = {name: manifest["class_names"] for name, manifest in manifests.items()}
    names = sorted({text for name, texts in names_of.items() if name != "flags" for text in texts})
    id_names = names_of["id_test"]
    vectors = model.texts(names)
    id_vectors = vectors[[names.index(name) for name in id_names]]

    id_sets, ood_sets = list(SHIFTED), list(OOD)
    if arguments.validation:
        id_sets, ood_sets = ["id_val"], ["val_activities"]
    elif arguments.locked:
        id_sets, ood_sets = [*SHIFTED, "outlined"], [*OOD, "flags"]
    read = {name: model.pictures(shards / name) for name in ["id_train", *id_sets, *ood_sets]}

    print(f"\nzero-shot top-1 / top-5, percent\n\n| set | of {len(names)} names | of {len(id_names)} ID names |")
    print("|---|---|---|")
    for name in (name for name in read if name not in ("id_train", "flags")):
        features, classes = read[name]
        among_id = "-"
        if names_of[name] == id_names:
            among_id = zero_shot(features, classes, id_names, id_names, id_vectors)
        print(f"| {name} | {zero_shot(features, classes, names_of[name], names, vectors)} | {among_id} |")
    if arguments.work:
        print_vendors(model, arguments.work, HELD_OUT_VENDORS + (LOCKED_VENDORS if arguments.locked else ()))
    print()
    print_training(arguments.assets / "model" / "training_log.jsonl")

    words = wordnet.corpus(arguments.wordnet)
    methods = Methods(words, model.texts(words), id_names, id_vectors)
    print()
    for name, rows in mined(read["id_train"][0], methods.word_vectors).items():
        exact = sum(words[row] in id_names for row in rows)
        print(f"{name}: {len(rows)} positives, {exact} of them ID names: {', '.join(words[row] for row in rows)}")
        methods.positives[name] = torch.tensor(rows)
    table(methods, {name: features for name, (features, _) in read.items()}, id_sets, ood_sets)


if __name__ == "__main__":
    main()
