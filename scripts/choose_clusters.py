"""How the choice of the number of clusters fares where the best one is known in hindsight.

python -m scripts.choose_clusters [--cache_dir DIR] [--reuse]     (run as a file it would import numbers.py beside it)

Each group of the built-in drawings stands for a person's own pictures once, and all other groups are OOD: animals at 30
to 2,748 pictures to mine from (`id_train`) and others to test on (`id_test`), food, objects, symbols and people with
half of their drawings to mine from, at 30, 60, 120 and all of these, and the other half to test on. k-means and PosMine
are measured on three draws of pictures, TEMI on the first. What is finished is kept in runs/choose_clusters.jsonl and
not repeated; the tables go into docs/choosing_clusters.md, between marks `<!-- numbers: NAME -->`. Less than an
hour on one core.

With --reuse nothing is computed, and the tables are made from what the file holds.
"""

import argparse
import json
import logging
import math
import re
import time
import warnings
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import lightning.pytorch as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ood_lightning.clustering.choose import (
    LEAST_RATIO,
    candidate_numbers,
    choose_clusters,
)
from ood_lightning.clustering.kmeans import Method, cluster
from ood_lightning.clustering.pairs import EpochPairs, PairFeatures
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.wordnet import WordNet
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.functional.elbow import elbow
from ood_lightning.functional.moments import moments
from ood_lightning.functional.roc import auroc
from ood_lightning.functional.similarity import log_mass, neighbours, top_k, unit
from ood_lightning.functional.votes import elect, quality
from ood_lightning.label_sets.vocabulary import one_text_each
from ood_lightning.modules.temi import TEMIModule

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "choosing_clusters.md"
OUT = ROOT / "runs" / "choose_clusters.jsonl"

GROUPS = ("id_test", "plants", "food", "transport", "places", "objects", "faces", "people", "symbols")
SIZES = {"animals": (30, 100, 300, 1000, 2748)}
SIZES |= dict.fromkeys(("food", "objects", "symbols", "people"), (30, 60, 120, 10**6))
DRAWS = 3
MIN_IMAGES = (1, 2, 3, 4, 6, 10, 20, 40)


class Images(NamedTuple):
    """Some images with what their scores are made of.

    Attributes:
        image: features, (n, D).
        nearest: word, (n,).
        cosine: to it, (n,).
        total: log-mass of all words, (n,).
    """

    image: Tensor
    nearest: Tensor
    cosine: Tensor
    total: Tensor

    def at(self, rows: Tensor) -> "Images":
        """Some of them."""
        return Images(*(column[rows] for column in self))


class Cell(NamedTuple):
    """One group as ID, at one size, in one draw."""

    name: str
    n: int
    draw: int
    mine: Images
    test: Images
    ood: list[Images]


class Bench:
    """All drawings and the vocabulary."""

    def __init__(self, cache_dir: str) -> None:
        encoder, prompts = OpenClip("builtin:pictograms/model", precision="fp32"), Prompts(("{}",))
        words = one_text_each(WordNet().load(), prompts, encoder)
        self.words = TextBank(encoder, cache_dir).features(words.words, prompts, words.name, words.parts)
        device = torch.device("cpu")
        self.sets: dict[str, Images] = {}
        self.drawings: dict[str, list[str]] = {}

        encoder.load(device)
        self.scale = float(encoder.logit_scale)
        for name in ("id_train", *GROUPS):
            manifest = read_manifest(f"builtin:pictograms/shards/{name}")
            stored = embed(encoder, manifest, cache_dir, device=device).read()
            image = unit(stored.image[:].float())
            top = top_k(image, self.words, 1)
            total = log_mass(image, self.words, self.scale)
            self.sets[name] = Images(image, top.indices[:, 0], top.values[:, 0], total)
            self.drawings[name] = [key.split("_", 1)[1] for key in stored.keys]  # without the number of the rendering

    def score(self, images: Images, positives: Tensor) -> Tensor:
        """Log share of the positives' mass, which ranks as equation 1 does."""
        return log_mass(images.image, self.words[positives], self.scale) - images.total

    def auroc(self, cell: Cell, positives: Tensor) -> float:
        """Mean over the OOD groups, percent."""
        id_scores = self.score(cell.test, positives)
        return 100 * mean(float(auroc(id_scores, self.score(one, positives))) for one in cell.ood)

    def cells(self) -> Iterator[Cell]:
        """Small ones first."""
        for size in range(5):
            for name, sizes in SIZES.items():
                for draw in range(DRAWS) if size < len(sizes) else ():
                    yield self._cell(name, sizes[size], draw)

    def _cell(self, name: str, n: int, draw: int) -> Cell:
        generator = torch.Generator().manual_seed(draw)
        own = "id_test" if name == "animals" else name
        mine, test = (self.sets["id_train"], self.sets[own]) if name == "animals" else self._halves(name, generator)
        rows = torch.randperm(len(mine.image), generator=generator)[:n].sort().values
        ood = [self.sets[other] for other in GROUPS if other != own]
        return Cell(name, len(rows), draw, mine.at(rows), test, ood)

    def _halves(self, name: str, generator: torch.Generator) -> tuple[Images, Images]:
        """By drawings, so that no rendering of one is on both sides."""
        drawings = sorted(set(self.drawings[name]))
        order = torch.randperm(len(drawings), generator=generator)
        first = {drawings[i] for i in order[: len(drawings) // 2].tolist()}
        is_first = torch.tensor([drawing in first for drawing in self.drawings[name]])
        return self.sets[name].at(is_first.nonzero()[:, 0]), self.sets[name].at((~is_first).nonzero()[:, 0])


def min_images_for(n_images: int) -> int:
    """PosMine's M: images that a word needs, about sqrt(n) / 11.

    That is the paper's 100 on ImageNet's 1.28 million images. On 2,748 drawings it is 4, where any M of 2 to 10 does
    as well, and below 484 images it is 1: no word is asked to be named twice.

    Example:
        >>> [min_images_for(n) for n in (30, 1000, 2748, 1_281_167)]
        [1, 2, 4, 102]
    """
    return max(1, math.isqrt(n_images) // 11)


def elected(images: Images, clusters: Tensor, n_clusters: int) -> tuple[Tensor, dict[str, float]]:
    """The clusters' words, and measures of them."""
    election = elect(clusters, images.nearest, images.cosine)
    measured = quality(clusters, images.nearest, election, n_clusters)
    words = election.winner.unique()
    return words, {"P": len(words), "ratio": measured.label_ratio, "redundancy": measured.redundancy}


def of_kmeans(bench: Bench, cell: Cell) -> Iterator[dict[str, Any]]:
    """Every number of clusters, with what two halves of the images say of it."""
    order = torch.randperm(cell.n, generator=torch.Generator().manual_seed(cell.draw))
    halves = [cell.mine.at(rows.sort().values) for rows in (order[: cell.n // 2], order[cell.n // 2 :])]

    chosen = choose_clusters(cell.mine.image, bench.words).n_clusters
    for n_clusters in candidate_numbers(cell.n):
        words, measured = elected(cell.mine, cluster(cell.mine.image, "spherical", n_clusters, 0), n_clusters)
        n_half = max(1, n_clusters // 2)
        of_half = [elected(half, cluster(half.image, "spherical", n_half, 0), n_half)[0] for half in halves]

        both = int(torch.isin(*of_half).sum())
        stable = both / (len(of_half[0]) + len(of_half[1]) - both)
        mass = mean(float(bench.score(halves[1 - i], of_half[i]).mean()) for i in range(2))
        yield {"C": n_clusters, **measured, "stable": stable, "mass": mass, "auroc": bench.auroc(cell, words),
               "chosen": n_clusters == chosen}  # fmt: skip


def of_posmine(bench: Bench, cell: Cell) -> Iterator[dict[str, Any]]:
    """Every number of images that a word needs."""
    counts = torch.bincount(cell.mine.nearest, minlength=len(bench.words))
    for min_images in MIN_IMAGES:
        words = (counts >= min_images).nonzero()[:, 0]
        if len(words):
            yield {"M": min_images, "P": len(words), "auroc": bench.auroc(cell, words)}


class Pairs(L.LightningDataModule):
    """Features in memory, as TEMIModule asks for them."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.features = type("Features", (), {"image": image})
        self.moments = moments(image)
        self.batch_size = min(256, len(image) // 2 * 2)
        self.n_neighbours = min(20, max(1, len(image) // 10))

    def train_dataloader(self) -> Any:
        """As of a fit."""
        image, k = self.features.image, self.n_neighbours
        pairs = EpochPairs(len(image), k, self.batch_size, 0, 0, 1)
        return DataLoader(PairFeatures(image, neighbours(image, k)), sampler=pairs, batch_size=None)


def temi(image: Tensor, n_clusters: int, seed: int = 0) -> Tensor:
    """Clusters by the built-in fit's heads: 60 epochs as there, or more where these have fewer than 200 steps."""
    data = Pairs(image)
    epochs = max(60, -(-200 // (len(image) // data.batch_size)))
    module = TEMIModule(
        n_clusters, n_heads=8, hidden=256, bottleneck=128, lr=1e-3, warmup_epochs=epochs // 6, seed=seed
    )
    quiet: Any = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(max_epochs=epochs, accelerator="cpu", devices=1, deterministic=True, enable_model_summary=False,
                        use_distributed_sampler=False, **quiet)  # fmt: skip
    trainer.fit(module, datamodule=data)
    return module.assign(image)


def of_temi(bench: Bench, cell: Cell, chosen: int) -> Iterator[dict[str, Any]]:
    """Two numbers of clusters and the chosen one."""
    most = cell.n if cell.n < 1000 else cell.n // 4
    numbers = {most, most // 4, chosen}
    for n_clusters in sorted(number for number in numbers if number > 1):
        words, measured = elected(cell.mine, temi(cell.mine.image, n_clusters), n_clusters)
        yield {"C": n_clusters, **measured, "auroc": bench.auroc(cell, words), "chosen": n_clusters == chosen}


def at_256(bench: Bench) -> Iterator[dict[str, Any]]:
    """TEMI against k-means at the built-in fit's number of clusters, three seeds each."""
    mine = bench.sets["id_train"]
    cell = Cell("animals", len(mine.image), 0, mine, bench.sets["id_test"], [bench.sets[g] for g in GROUPS[1:]])
    methods: list[Method] = ["spherical", "raw", "standardised"]
    for method in ("TEMI", *methods):
        for seed in range(3):
            start = time.perf_counter()
            clusters = temi(mine.image, 256, seed) if method == "TEMI" else cluster(mine.image, method, 256, seed)  # type: ignore[arg-type]
            seconds = time.perf_counter() - start
            words, measured = elected(mine, clusters, 256)
            row = {"method": method, "seed": seed, "seconds": seconds, "in use": len(clusters.unique())}
            yield {**row, **measured, "auroc": bench.auroc(cell, words)}


def compute(cache_dir: str) -> None:
    """Add to the file what it lacks."""
    OUT.parent.mkdir(exist_ok=True)
    done = {tuple(row["key"]) for row in read()}
    bench = Bench(cache_dir)

    def keep(key: tuple[Any, ...], rows: Iterator[dict[str, Any]]) -> None:
        if key in done:
            return
        start = time.perf_counter()
        line = {"key": key, "rows": list(rows), "seconds": time.perf_counter() - start}
        with OUT.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(*key, f"{line['seconds']:.1f} s", flush=True)

    for with_temi in (False, True):
        for cell in bench.cells():
            key = (cell.name, cell.n, cell.draw)
            if not with_temi:
                keep((*key, "kmeans"), of_kmeans(bench, cell))
                keep((*key, "posmine"), of_posmine(bench, cell))
            elif cell.draw == 0:
                chosen = choose_clusters(cell.mine.image, bench.words).n_clusters
                keep((*key, "temi"), of_temi(bench, cell, chosen or 1))
    keep(("C = 256",), at_256(bench))


def read() -> list[dict[str, Any]]:
    """Finished parts."""
    lines = OUT.read_text(encoding="utf-8").splitlines() if OUT.is_file() else []
    return [json.loads(line) for line in lines]


Row = dict[str, Any]
Draws = list[list[Row]]  # rows of each draw of a cell


def by_cell(method: str) -> dict[tuple[str, int], Draws]:
    """Finished rows of a method, by group and size."""
    keyed = sorted((line["key"], line["rows"]) for line in read() if line["key"][-1] == method)
    order = list(SIZES)
    keyed.sort(key=lambda one: (order.index(one[0][0]), one[0][1], one[0][2]))
    return {cell: [rows for _, rows in part] for cell, part in groupby(keyed, key=lambda one: tuple(one[0][:2]))}


def best(rows: list[Row]) -> Row:
    """Of those of a draw, in hindsight."""
    return max(rows, key=lambda row: float(row["auroc"]))


def ours(rows: list[Row]) -> Row:
    """What `choose_clusters` chose."""
    return next(row for row in rows if row["chosen"])


def largest(rows: list[Row], key: str, floor: float) -> Row:
    """The largest C whose measure is at least so high; the smallest C where none is."""
    enough = [row for row in rows if row[key] >= floor]
    return enough[-1] if enough else rows[0]


def at_elbow(rows: list[Row]) -> Row | None:
    """None where the curve has no bend."""
    try:
        return rows[elbow([row["C"] for row in rows], [row["ratio"] for row in rows]).at]
    except ValueError:
        return None


RULES = {  # what stands in the table: what is chosen of a draw's rows
    f"**the largest C with {LEAST_RATIO} words a cluster or more**": ours,
    **{
        f"the largest C with {floor} words a cluster or more": lambda rows, floor=floor: largest(rows, "ratio", floor)
        for floor in (0.5, 0.6, 0.8, 0.9, 0.95)
    },
    "elbow of words per cluster, where it has one": at_elbow,
    "the largest C with at most 30 % of its words elected twice": lambda rows: largest(
        [{**row, "unique": -row["redundancy"]} for row in rows], "unique", -30
    ),
    "words most alike in both halves (Jaccard)": lambda rows: max(rows, key=lambda row: float(row["stable"])),
    "largest softmax mass of the other half": lambda rows: max(rows, key=lambda row: float(row["mass"])),
    "half as many clusters as pictures": lambda rows: [row for row in rows if row["C"] <= rows[-1]["C"] / 2 + 1][-1],
    "as many clusters as pictures": lambda rows: rows[-1],
}


def shown(value: float) -> str:
    """An AUROC in percent."""
    return f"{value:.1f}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """In Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def choices() -> list[str]:
    """Our choice, the elbow and the best C for each cell, means over the draws."""
    rows = []
    for (name, n), draws in by_cell("kmeans").items():
        bends = [row for draw in draws if (row := at_elbow(draw)) is not None]
        bend = shown(mean(row["auroc"] for row in bends)) if bends else "none"
        losses = [best(draw)["auroc"] - ours(draw)["auroc"] for draw in draws]
        rows.append([
            name, f"{n:,}", " ".join(str(ours(draw)["C"]) for draw in draws),
            shown(mean(ours(draw)["auroc"] for draw in draws)), bend,
            " ".join(str(best(draw)["C"]) for draw in draws), shown(mean(best(draw)["auroc"] for draw in draws)),
            f"{mean(losses):.2f}", f"{max(losses):.2f}",
        ])  # fmt: skip
    head = ["ID", "pictures", "our C", "AUROC", "elbow", "best C", "AUROC", "below best", "worst draw"]
    return table(head, rows)


def rules() -> list[str]:
    """How far below the best C each rule stays, over all cells."""
    cells, rows = by_cell("kmeans"), []
    for words, rule in RULES.items():
        per_cell, single = [], []
        for draws in cells.values():
            pairs = [(best(draw), rule(draw)) for draw in draws]
            of_cell = [top["auroc"] - row["auroc"] for top, row in pairs if row is not None]
            per_cell += [mean(of_cell)] if of_cell else []
            single += of_cell
        below = sum(loss > 3 for loss in single)
        rows.append(
            [words, f"{mean(per_cell):.2f}", f"{max(per_cell):.2f}", f"{max(single):.2f}", f"{below} of {len(single)}"]
        )
    return table(["rule", "mean", "worst cell", "worst draw", "draws more than 3 below"], rows)


def methods() -> list[str]:
    """k-means, PosMine and TEMI by size, on the first draw, which all have."""
    kmeans, posmine, temis, rows = by_cell("kmeans"), by_cell("posmine"), by_cell("temi"), []
    for (name, n), draws in kmeans.items():
        m = min_images_for(n)
        of_posmine = posmine[name, n][0]
        at_m = [row for row in of_posmine if row["M"] == m]
        of_temi = temis.get((name, n), [[]])[0]
        with_temi = [ours(of_temi)["auroc"], best(of_temi)["auroc"]] if of_temi else []
        rows.append([
            name, f"{n:,}", shown(ours(draws[0])["auroc"]), shown(best(draws[0])["auroc"]),
            shown(at_m[0]["auroc"]) if at_m else "none", shown(best(of_posmine)["auroc"]),
            *(map(shown, with_temi) if with_temi else ("", "")),
        ])  # fmt: skip
    head = ["ID", "pictures", "k-means", "best C", "PosMine", "best M", "TEMI, our C", "best C"]
    return table(head, rows)


def builtin() -> list[str]:
    """TEMI against k-means at 256 clusters."""
    (line,) = [line for line in read() if line["key"] == ["C = 256"]] or [{"rows": []}]
    rows = []
    for method, part in groupby(line["rows"], key=lambda row: row["method"]):
        seeds = list(part)
        columns = {key: [row[key] for row in seeds] for key in seeds[0] if key != "method"}
        title = "TEMI" if method == "TEMI" else f"k-means, {method}"
        of_seeds = columns["auroc"]
        rows.append([
            title, f"{mean(columns['in use']):.0f}", f"{mean(columns['P']):.0f}",
            f"{mean(columns['redundancy']):.0f} %", f"{mean(of_seeds):.2f}",
            f"{min(of_seeds):.2f} to {max(of_seeds):.2f}",
        ])  # fmt: skip
    head = ["clusters by", "in use", "words", "elected twice", "AUROC", "lowest to highest"]
    return table(head, rows)


def write() -> None:
    """Put the tables between their marks."""
    text = PAGE.read_text(encoding="utf-8")
    for part in (choices, rules, methods, builtin):
        mark = re.compile(rf"(<!-- numbers: {part.__name__} -->\n).*?(<!-- end of numbers -->)", re.DOTALL)
        text, n = mark.subn(lambda m, part=part: m[1] + "\n" + "\n".join(part()) + "\n\n" + m[2], text)
        assert n == 1, part.__name__
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache_dir", default=".cache/features", help="folder of all features")
    parser.add_argument("--reuse", action="store_true", help="compute nothing")
    arguments = parser.parse_args()
    if not arguments.reuse:
        warnings.filterwarnings("ignore", category=UserWarning)
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        compute(arguments.cache_dir)
    write()
