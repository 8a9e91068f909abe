"""Make every number of the README and the docs anew.

python scripts/write_numbers.py [PART ...] [--reuse]

Parts: demo (two minutes), unseen, detectors, label_free, filters (half an hour together), benchmarks, growth (an hour
each; nothing else should run). Without a name all of them. Each runs the commands that its page shows, and writes what
they found between the marks of the Markdown files::

    <!-- numbers: NAME -->
    <!-- end of numbers -->

With --reuse the commands are left out, and the results that lie in runs/ are taken. What a text says in words beside a
table has to be read again by a person: `git diff` shows which numbers moved.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OURS = [sys.executable, "-m", "ood_lightning"]
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{page}.md" for page in ("filter", "pictograms", "speed"))]

FIT = "fit --config configs/clustermine.yaml"
PLP = "fit --config configs/plp.yaml"
UNSEEN = f"{FIT} --config configs/pictograms/with_unseen_vendor.yaml"
FILTER = "filter --config configs/filter.yaml"
PICTURES = "--id_train_shards builtin:pictograms/shards/id_train --id_features true"
COMMANDS = {
    "demo": [FIT, "test --config configs/eval.yaml"],
    "unseen": [
        UNSEEN,
        "test --config configs/eval.yaml --trainer.default_root_dir runs/eval_unseen"
        " --model.label_sets.clustermine runs/unseen_vendor/labels.json"
        " --model.label_sets.posmine runs/unseen_vendor/posmine.json"
        " --data.covariate_shards [builtin:pictograms/shards/contrast]",
    ],
    "detectors": [FIT, UNSEEN, PLP, "test --config configs/pictograms/detectors.yaml"],
    "label_free": [
        FIT,
        PLP,
        *(
            f"{PLP} --model.label_set runs/clustermine/{file}.json --trainer.default_root_dir runs/plp_{name}"
            for name, file in (("clustermine", "labels"), ("posmine", "posmine"))
        ),
        *(
            f"{FILTER} --label_set runs/clustermine/{file}.json --out runs/filter_{name}"
            for name, file in (("clustermine", "labels"), ("posmine", "posmine"))
        ),
        "test --config configs/eval.yaml --config configs/pictograms/with_label_free.yaml",
    ],
    "filters": [
        FIT,
        *(
            f"{FILTER} --label_set runs/clustermine/labels.json --out runs/filter_{name} {options}".rstrip()
            for name, options in (
                ("pictures", f"{PICTURES} --rules.proper_nouns false --rules.subcategories false"),
                ("clustermine", ""),
                ("both", PICTURES),
            )
        ),
        "test --config configs/eval.yaml --config configs/pictograms/with_filters.yaml",
    ],
}
LABEL_FREE = {  # a row of the page, and what its detectors are called behind ClusterMine and PosMine
    "rest of the corpus": "",
    "10,000 mined negatives": ", mined negatives",
    "the same in 100 groups": ", groups",
    "PLP": ", PLP",
    "mined negatives, multi-matching": ", multi-matching",
    "filtered rest of the corpus": ", filtered negatives",
    "filtered, multi-matching": ", filtered, multi-matching",
}


def results(run: str, id_set: str = "id_test") -> dict[str, dict[str, Any]]:
    """Of a run, the mean over all OOD sets of every detector."""
    rows = json.loads((ROOT / "runs" / run / "results.json").read_text())["results"]
    return {
        row["detector"]: row
        for row in rows
        if row["ood_set"] == "mean" and not row["group"] and row["id_set"] == id_set
    }


def percent(row: dict[str, Any], measure: str, interval: bool = True) -> str:
    """`95.72 [94.67, 96.67]`."""
    value = f"{100 * row[measure]:.2f}"
    if not interval or row.get(f"{measure}_low") is None:
        return value
    return f"{value} [{100 * row[f'{measure}_low']:.2f}, {100 * row[f'{measure}_high']:.2f}]"


def both(row: dict[str, Any]) -> str:
    """`95.72 / 34.03`."""
    return " / ".join(percent(row, measure, interval=False) for measure in ("auroc", "fpr_ood@id_tpr95"))


def made_with() -> str:
    """When and with what."""
    return f"{date.today()}, torch {version('torch').split('+')[0]}, open_clip {version('open_clip_torch')}, 2 cores"


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def readme() -> list[str]:
    """The tables that `report` prints of the demo, without the other FPR95 by set and the legend."""
    wide = {**os.environ, "COLUMNS": "100"}
    command = [*OURS, "report", "runs/eval"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, env=wide).stdout
    paragraphs = ["\n".join(line.rstrip() for line in part.splitlines()).strip("\n") for part in printed.split("\n\n")]
    left_out = re.compile(r"ID set \S+: fpr_id|p: |In percent|$")
    kept = [part for part in paragraphs if not left_out.match(part)]
    return ["```", *"\n\n".join(kept).splitlines(), "```"]


def readme_date() -> list[str]:
    """Under the README's table."""
    where = f"drawings of animals are ID; {made_with()}, no GPU"
    return [f"Printed on the built-in pictures ({where})."]


def vendors() -> list[str]:
    """The page's first table."""
    names = ["ClusterMine", "PosMine", "MCM", "NegLabel"]
    here, unseen = results("eval"), results("eval_unseen")
    return [
        f"Mean AUROC / FPR95 in percent over eight OOD sets; {made_with()}.",
        "",
        *table(
            ["mined from", "ClusterMine", "PosMine", "MCM (names)", "NegLabel (names)"],
            [
                ["`id_train`: vendors that the model was trained on", *(both(here[name]) for name in names)],
                [
                    "`shaded`: a vendor that the model never saw",
                    *(both(unseen[name]) for name in names[:2]),
                    "the same",
                    "the same",
                ],
            ],
        ),
    ]


MINED = ("ClusterMine", "ClusterMine, unseen vendor")  # what the others are compared with


def compared(run: str = "detectors") -> list[dict[str, Any]]:
    """Every detector with intervals and differences, sorted by supervision."""
    rows: list[dict[str, Any]] = json.loads((ROOT / "runs" / run / "against.json").read_text())["rows"]
    return rows


def interval(estimate: dict[str, float]) -> str:
    """`95.72 [94.67, 96.67]`."""
    value, low, high = (100 * estimate[part] for part in ("value", "low", "high"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def difference(row: dict[str, Any], name: str) -> str:
    """`+0.08, p = 0.002`."""
    its = row["differences"].get(name)
    return "" if its is None else f"{100 * its['value']:+.2f}, p = {its['p_value']:.3f}"


def filters() -> list[str]:
    """ClusterMine with filtered negatives."""
    cells = [
        [row["detector"], interval(row["auroc"]), interval(row["fpr"]), difference(row, "ClusterMine")]
        for row in compared("filters")
    ]
    return table(["negatives", "AUROC", "FPR95", "minus ClusterMine"], cells)


def detectors() -> list[str]:
    """Every detector by supervision, and its differences to ClusterMine."""
    cells = [
        [row["detector"], "+".join(row["supervision"]), interval(row["auroc"]), interval(row["fpr"])]
        + [difference(row, name) for name in MINED]
        for row in compared()
    ]
    return table(["detector", "supervision", "AUROC", "FPR95", *(f"minus {name}" for name in MINED)], cells)


def without_names() -> list[str]:
    """Whether one of the label-free rows beats ClusterMine on either vendor's pictures."""
    rows = {row["detector"]: row for row in compared()}
    methods = [name.removesuffix(", mined") for name in rows if name.endswith(", mined")]
    lines, better = [], []
    for method in methods:
        pairs = [
            rows[f"{method}, {ending}"]["differences"][reference]
            for ending, reference in zip(("mined", "unseen vendor"), MINED, strict=True)
        ]
        lines.append([method, *(f"{100 * its['value']:+.2f}, p = {its['p_value']:.3f}" for its in pairs)])
        if all(its["value"] > 0 and its["p_value"] < 0.01 for its in pairs):
            better.append(method)

    verdict = ", ".join(better) or "None of them"
    return [
        *table(["with mined positives", "`id_train`: minus ClusterMine", "`shaded`: minus ClusterMine"], lines),
        "",
        f"Better than ClusterMine at p < 0.01 on both: {verdict[0].lower() + verdict[1:] if not better else verdict}.",
    ]


def differences() -> list[str]:
    """What stands above NegLabel."""
    stored = json.loads((ROOT / "runs/detectors/results.json").read_text())["comparisons"]
    found = {
        row["label_free"]: row for row in stored if row["names_based"] == "NegLabel" and row["id_set"] == "id_test"
    }
    words = " and ".join(
        f"{name}'s {100 * found[name]['difference']:+.2f} points (p = {found[name]['p_value']:.3f})"
        for name in ("ClusterMine", "PosMine")
    )
    test = f"two-sided paired bootstrap, not corrected for {len(stored)} comparisons"
    return [f"Against NegLabel's mean AUROC, {words}; {test}."]


def label_free() -> list[str]:
    """Mined positives with parts of other methods."""
    found = results("label_free")
    cells = []
    for row, suffix in LABEL_FREE.items():
        of_both = [found[f"{name}{suffix}"] for name in ("ClusterMine", "PosMine")]
        cells.append([row, *(percent(one, m) for one in of_both for m in ("auroc", "fpr_ood@id_tpr95"))])
    return table(["", "ClusterMine: AUROC", "FPR95", "PosMine: AUROC", "FPR95"], cells)


def benchmarks() -> list[str]:
    """benchmarks/RESULTS.md without its title."""
    return (ROOT / "benchmarks/RESULTS.md").read_text().splitlines()[2:]


def growth() -> list[str]:
    """What benchmarks.growth printed."""
    return (ROOT / "benchmarks/GROWTH.md").read_text().splitlines()


BLOCKS: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "readme": ("demo", readme),
    "readme date": ("demo", readme_date),
    "vendors": ("unseen", vendors),
    "detectors": ("detectors", detectors),
    "without names": ("detectors", without_names),
    "differences": ("detectors", differences),
    "label-free": ("label_free", label_free),
    "filters": ("filters", filters),
    "benchmarks": ("benchmarks", benchmarks),
    "growth": ("growth", growth),
}


def written(text: str, parts: list[str]) -> str:
    """A page with the blocks of these parts made anew."""

    def block(found: re.Match[str]) -> str:
        part, make = BLOCKS[found[1]]
        if part not in parts:
            return found[0]
        return "\n".join([f"<!-- numbers: {found[1]} -->", "", *make(), "", "<!-- end of numbers -->"])

    return re.sub(r"<!-- numbers: (.+?) -->\n.*?<!-- end of numbers -->", block, text, flags=re.DOTALL)


def run(part: str) -> None:
    """The commands of a part."""
    if part == "benchmarks":
        subprocess.run([sys.executable, "-m", "benchmarks"], cwd=ROOT, check=True)
    elif part == "growth":
        command = [sys.executable, "-m", "benchmarks.growth", "--figure", "docs/growth.svg"]
        printed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        (ROOT / "benchmarks/GROWTH.md").write_text(printed)
    for command in COMMANDS.get(part, []):
        print(f"$ python -m ood_lightning {command}", flush=True)
        subprocess.run([*OURS, *command.split()], cwd=ROOT, check=True)


def main() -> None:
    """Run what was asked for, and write the pages."""
    every = [*COMMANDS, "benchmarks", "growth"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(every))
    parser.add_argument("--reuse", action="store_true", help="take the results that are there")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(every):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(every)}")

    parts = options.parts or every
    if not options.reuse:
        for part in parts:
            run(part)
    for page in PAGES:
        page.write_text(written(page.read_text(), parts))


if __name__ == "__main__":
    main()
