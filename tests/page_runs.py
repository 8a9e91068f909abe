"""A run's folder for pages: two detectors, three OOD sets, words and pictures, some under hostile names."""

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from score_tables import set_scores

from ood_lightning.data.artifacts.scores import write_scores
from ood_lightning.metrics.intervals import bootstrap
from ood_lightning.metrics.results import Result, evaluate
from ood_lightning.reasons.stored import Neighbour, Picture, Pull, Reasons, Word, write_reasons
from ood_lightning.reasons.thumbnails import thumbnail
from ood_lightning.report.stored import write_results

SCRIPT = "</script><script>document.title='taken'</script>"
IMAGE = "<img src=x onerror=\"document.title='taken'\">"
TURNED = "abc\u202egpj.exe"
HOSTILE = (
    SCRIPT,
    IMAGE,
    TURNED,
    "two\nlines",
    "\x1b[31mred",
    "{{ 7 * 7 }}",
    "<!--<script>",
    '{"a": "]]>"}',
    "=1+1",
    "&lt;b&gt;",
)
SETS = {"birds": "id", "near1": "ood", IMAGE: "ood", "far1": "ood"}
GROUPS = {"near1": "near", IMAGE: "near", "far1": "far"}
RUN = "abcdef0123456789"


def picture(colour: str) -> str:
    return thumbnail(Image.new("RGB", (60, 40), colour))


def scores(shift: float = 0.0) -> dict[str, torch.Tensor]:
    """Scores (n, 2) of each set; the second detector's are noisier."""
    generator = torch.Generator().manual_seed(0)
    centres = {"birds": 2.0 + shift, "near1": 0.5, IMAGE: 0.0, "far1": -2.0}
    of_sets = {}
    for i, (name, centre) in enumerate(centres.items()):
        noise = torch.randn(60 + 7 * i, 2, generator=generator, dtype=torch.float64)
        of_sets[name] = centre + noise * torch.tensor([1.0, 2.0])
    return of_sets


def pulls(*words: str, side: float) -> tuple[Pull, ...]:
    return tuple(Pull(word, 0.2 / (i + 1), side - 0.5 * i) for i, word in enumerate(words))


def reasons(run: str = RUN) -> Reasons:
    """Words and pictures, the first of each with a small picture."""
    words = tuple(
        Word(
            label,
            1 + i,
            3 * i + 1,
            min(1.0, 0.2 + 0.1 * i),
            i,
            0.3 if i else None,
            (float(i), float(i % 3)),
            (Neighbour("sparrow", 0.9),),
            (Neighbour("stone", 0.4),),
            ("few votes",) if i < 2 else (),
            ("0", "1") if i == 1 else (),
            (float(-i), float(i % 2)) if i else None,
        )
        for i, label in enumerate(("owl", *HOSTILE))
    )

    of_misses = [
        Picture(IMAGE, name, False, "miss", 2.0 - 0.1 * i, 2.0 - 0.1 * i, 5.0, 3.0 + 0.1 * i,
                pulls("owl", SCRIPT, side=-3.0), pulls("stone", TURNED, side=2.1), "0" if i == 0 else "")
        for i, name in enumerate(HOSTILE)
    ]  # fmt: skip
    alarm = Picture(
        "birds", "k3", True, "false alarm", -1.0, -1.0, 2.0, 3.0, pulls("owl", side=-2.0), pulls("stone", side=9.0), "1"
    )

    small = {"0": picture("red"), "1": picture("blue")}
    return Reasons(
        "ClusterMine", True, "mined", 20.0, "birds", 0.0, "keeps at least 95 % of birds", 1000, "60 pictures of birds",
        0.4, words, (*of_misses, alarm), small, (f"a remark {IMAGE}",), run=run, explained_pictures=0.7,
    )  # fmt: skip


def results_of(of_sets: dict[str, torch.Tensor], detectors: tuple[str, str] = ("ClusterMine", "MCM")) -> list[Result]:
    supervision = {detectors[0]: ("id_images",), detectors[1]: ("id_names",)}
    return [
        evaluate(
            name,
            "birds",
            ood,
            of_sets["birds"][:, k],
            of_sets[ood][:, k],
            supervision=supervision[name],
            group=GROUPS[ood],
        )
        for k, name in enumerate(detectors)
        for ood in GROUPS
    ]


def write_run(folder: Path, *, with_reasons: bool = True, run: str = RUN, shift: float = 0.0) -> Path:
    """A folder as `test` leaves it."""
    folder.mkdir(parents=True)
    of_sets = scores(shift)
    texts = (["owl"], [SCRIPT])
    tables = [
        set_scores(
            name,
            role,
            [f"{i:03d} {HOSTILE[i % len(HOSTILE)]}" for i in range(len(of_sets[name]))],
            of_sets[name],
            texts,
        )
        for name, role in SETS.items()
    ]
    write_scores(folder / "scores.parquet", ["ClusterMine", "MCM"], tables, run)

    results, comparisons = bootstrap(results_of(of_sets), of_sets, ["ClusterMine", "MCM"], 100)
    write_results(folder, results, {"run": run, "encoder": f"tiny {IMAGE}"}, comparisons)
    (folder / "DONE").write_text(f"{run}\n")
    if with_reasons:
        write_reasons(folder, replace(reasons(run)))
    return folder
