"""`filter`: a label set without the negatives that are proper nouns or subcategories of a positive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.encoders.base import Encoder
from ood_lightning.filtering.judges.base import Judge
from ood_lightning.filtering.rules import Rules
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.id_names import NamesCheck
from ood_lightning.places import FEATURES, expanded
from ood_lightning.report.console import console, table

if TYPE_CHECKING:
    from rich.table import Table


def filter(
    encoder: Encoder,
    label_set: LabelSource | str,
    judge: Judge,
    corpus: Corpus,
    out: str,
    prompts: Prompts = Prompts(),  # noqa: B008
    rules: Rules = Rules(),  # noqa: B008
    second_judge: Judge | None = None,
    id_train_shards: str | None = None,
    cache_dir: str = FEATURES,
    names_check: NamesCheck = "refuse",
    id_features: bool = False,
) -> int:
    """Drop proper nouns and subcategories of the positives from a label set's negatives (NegFilter).

    Args:
        encoder: whose cosines say which positives a word is compared with.
        label_set: where the set comes from; a path stands for a label set on disk.
        judge: who decides.
        corpus: that the set was or is mined from.
        out: folder for `labels.json`, `dropped.csv`, `report.json` and the decisions; the same command in the same
            folder goes on from the answers it has.
        prompts: that the set was or is mined with; words are compared without any.
        rules: the paper's, unless changed.
        second_judge: is asked the same questions; its answers are compared and change nothing.
        id_train_shards: ID training images, for label sets that are mined from some, and for `id_features`.
        cache_dir: folder of all features.
        names_check: what to do where the label set is given names that are not those of `id_train_shards`.
        id_features: drop, before the judge is asked, each negative that more than half of its ten nearest pictures of
            `id_train_shards` are nearer to than to any other text of the set; not in the paper.
    """
    from ood_lightning.checks import Check, before_work, folder_check
    from ood_lightning.cli.without_trainer import begin, checks_before
    from ood_lightning.detectors.evidence import IDFeatures
    from ood_lightning.errors import SettingsError
    from ood_lightning.filtering.asking import JudgeSession
    from ood_lightning.filtering.decisions import Decisions
    from ood_lightning.filtering.report import write_report
    from ood_lightning.label_sets.filtered import filter_negatives
    from ood_lightning.label_sets.ready import make_label_set
    from ood_lightning.label_sets.sources import as_source

    if id_features and id_train_shards is None:
        raise SettingsError("id_features lets ID pictures vote: name them as id_train_shards")
    folder = expanded(out)
    decisions = Decisions(folder / "decisions.jsonl")
    sources = {label_set if isinstance(label_set, str) else type(label_set).__name__: as_source(label_set)}
    judges = {"judge": judge, "second judge": second_judge}
    before_work(
        [
            *checks_before(encoder, cache_dir, id_train_shards, names_check, sources, corpus, prompts),
            folder_check("results", folder, "out"),
            *(
                # its answers may all be there already: whether it is still needed is known when the words are ranked
                Check(what, one.check if one.identity not in decisions.known else lambda: "has answered here before")
                for what, one in judges.items()
                if one is not None
            ),
        ]
    )
    _, bank, available = begin(encoder, cache_dir, id_train_shards, names_check, extra_features=encoder.extra_features)

    made = make_label_set(label_set, corpus, prompts, bank, available)
    if made.remark:
        print(f"warning: {made.remark}")
    session = JudgeSession(judge, decisions, rules.unclear)
    images = available[IDFeatures].image if id_features else None
    kept, verdicts = filter_negatives(made.declared, made.vocabulary, rules, session, images)
    kept.write(folder / "labels.json")
    report = write_report(folder, verdicts, session, None)

    if second_judge is not None:
        second = JudgeSession(second_judge, decisions, rules.unclear)
        questions = list(session.answers)
        second([question for question in questions if question.name is None])
        second([question for question in questions if question.name is not None])
        report = write_report(folder, verdicts, session, second)
    _print(report, folder)
    return 0


def _print(report: dict[str, Any], folder: Path) -> None:
    """Counts, costs, how far two judges agree, and warnings."""
    out = console()
    counts, cost = dict(report["counts"]), report["cost"]
    total, kept = counts.pop("given"), counts.pop("kept", 0)
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts.items())
    dropped = f"; dropped: {reasons}" if reasons else ""
    answered = f"{cost['questions']:,} questions, {cost['recalled']:,} answered before, {cost['seconds']:,.1f} s"
    out.print(f"{kept:,} of {total:,} negatives kept{dropped}", soft_wrap=True)
    out.print(f"{cost['judge']}: {answered}", soft_wrap=True)

    if "second" in report:
        out.print(_agreement(report["second"]))
    if cost.get("mean_mass_on_yes_and_no", 1.0) < 0.5:
        share = f"{100 * cost['mean_mass_on_yes_and_no']:.0f} %"
        out.print(
            f"warning: on average the model puts only {share} on yes or no: it may not follow the question. Look at "
            f"some replies with `mode: generate`.",
            soft_wrap=True,
        )
    if not kept:
        out.print("warning: no negative is left, so detectors that need negatives will refuse this set")
    out.print(f"label set: {folder / 'labels.json'}", soft_wrap=True)


def _agreement(second: dict[str, Any]) -> Table:
    """How far the second judge agrees with the first, a row for each kind of question."""
    columns = ("question", "asked", "both yes", "only first", "only second", "agreement", "precision", "recall")
    rows = []
    for row in second["agreement"]:
        numbers = [f"{row[key]:,}" for key in ("asked", "both_yes", "only_first_yes", "only_second_yes")]
        shares = [row[key] for key in ("agreement", "precision", "recall")]
        percents = ["-" if share is None else f"{100 * share:.1f} %" for share in shares]
        rows.append([row["question"], *numbers, *percents])
    return table(f"second judge: {second['cost']['judge']}", columns, rows)
