"""`run`: from a folder of pictures to a detector with a threshold, in one command."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ood_lightning.class_paths import as_config
from ood_lightning.cli.loggers import viewer
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.errors import SOME_UNREAD, SettingsError, check_least, percent_hint
from ood_lightning.places import FEATURES, expanded, shipped, shipped_config

if TYPE_CHECKING:
    from ood_lightning.cli.encoder_choice import Choice
    from ood_lightning.data.artifacts.label_set import LabelSet
    from ood_lightning.data.shards.manifest import Manifest
    from ood_lightning.detectors.base import Detector
    from ood_lightning.label_sets.base import LabelSource
    from ood_lightning.metrics.results import Result

MINED, NAMED = "clustermine", "neglabel"  # shipped detectors, of mined and of given names
MOST_MARKS = 100_000  # mined pictures that a detector remembers: 2 MB
LISTED = 10  # unreadable pictures on the terminal


def run(
    folders: list[str],
    ood: list[str] | None = None,
    out: str | None = None,
    encoder: str | None = None,
    accept_license: bool = False,
    detector: str | None = None,
    names: str | None = None,
    clusters: int | None = None,
    tpr: float = 0.95,
    corpus: Corpus | None = None,
    prompts: Prompts | None = None,
    text_features: str | None = None,
    cache_dir: str = FEATURES,
    num_workers: int = 2,
    seed: int = 0,
) -> int:
    """Make a detector of one's own unlabelled pictures, with a threshold and what it promises.

    Args:
        folders: folders of pictures, sets with manifests, or tars; `hf:` and `https:` too. All are in-distribution.
        ood: further ones, which are scored with the finished detector; nothing is learned from them. Several are named
            one behind the other (`--ood A B`) or as a list (`--ood '["A", "B"]'`, and so in YAML).
        out: folder of the run; `runs/NAME` of the first folder's name if None.
        encoder: name of a shipped config, such as `pictograms`; or any model of open_clip or transformers. None: by the
            machine.
        accept_license: the licence of an encoder that is not free to use was read and accepted.
        detector: name of a shipped config in `configs/detectors`, or a YAML file; None: `clustermine`, or `neglabel`
            where names are given.
        names: a text file with one class name a line: then nothing is mined.
        clusters: how many; None: chosen from the pictures.
        tpr: share of new in-distribution pictures to accept.
        corpus: words to mine from; None: WordNet's nouns and adjectives.
        prompts: templates around each word; None: one on a processor, seven on a GPU.
        text_features: file to read the words' features from, or to keep them in for other machines.
        cache_dir: folder of all features.
        num_workers: processes that decode pictures.
        seed: of everything that is drawn.
    """
    from ood_lightning.cli.encoder_choice import choose_encoder
    from ood_lightning.data.artifacts.files import sole_writer
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.devices import pick_device
    from ood_lightning.making.checks import check_can_work, check_sets, foreign, out_among_pictures

    check_least(0, num_workers=num_workers, seed=seed)
    check_least(1, **({} if clusters is None else {"clusters": clusters}))
    if not 0 < tpr <= 1:
        raise SettingsError(f"tpr is {tpr}: expected a share above 0 and up to 1{percent_hint(tpr)}")

    manifests = [read_manifest(source, "id") for source in folders]
    ood_manifests = [read_manifest(source, "ood") for source in ood or []]
    check_sets(manifests, ood_manifests)
    if names is not None and not expanded(names).exists():
        raise SettingsError(f"names is {names!r}, and there is no such file: expected one class name a line")
    device = pick_device()
    choice = choose_encoder(encoder, device.type, accept_license)
    score = _detector(detector or (NAMED if names else MINED))
    check_can_work(score, clusters, manifests)
    source = None if names is None else _source_of(names, score)

    folder = expanded(out) if out else Path("runs") / manifests[0].name
    remarks = out_among_pictures(folder, [*manifests, *ood_manifests])
    for remark in remarks + ([] if names is None else foreign(names, manifests)):
        print(f"warning: {remark}", file=sys.stderr)
    words = Words(corpus, prompts, text_features)
    settings = {
        "folders": folders,
        "ood": ood,
        "out": str(folder),
        "encoder": choice.name,
        "accept_license": accept_license,
        "detector": detector,
        "names": names,
        "clusters": clusters,
        "tpr": tpr,
        "corpus": as_config(corpus),
        "prompts": as_config(prompts),
        "seed": seed,
    }
    machine = {"device": device, "folder": folder, "cache_dir": cache_dir, "num_workers": num_workers, "seed": seed}
    with sole_writer(folder):
        return _made(manifests, ood_manifests, choice, score, source, words, settings, machine)


class Words(NamedTuple):
    """The words that a person chose, each None where they chose none; see :func:`run`."""

    corpus: Corpus | None
    prompts: Prompts | None
    file: str | None


def _made(
    manifests: list[Manifest],
    ood_manifests: list[Manifest],
    choice: Choice,
    score: Detector,
    source: LabelSource | None,
    words: Words,
    settings: dict[str, Any],
    machine: dict[str, Any],
) -> int:
    """The steps, and what they print; returns the exit status.

    Args:
        manifests: of ID sets.
        ood_manifests: of sets that are only scored.
        choice: of the encoder.
        score: the detector.
        source: of given names; None: words are mined.
        words: that a person chose.
        settings: all that the results depend on, as plain data; `settings.yaml` holds them.
        machine: the fields of :class:`ood_lightning.making.tools.Tools` but for `encoder` and `say`.
    """
    from ood_lightning.calibration.checks import marks
    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.corpora.wordnet import WordNet
    from ood_lightning.detector_folder.save import save_detector
    from ood_lightning.making import steps
    from ood_lightning.making.kept import write_settings
    from ood_lightning.making.looking import part_of, write_looks
    from ood_lightning.making.scoring import Bound
    from ood_lightning.making.summary import write_summary
    from ood_lightning.making.tools import Tools
    from ood_lightning.making.words import default_prompts, encoded_vocabulary

    clusters, tpr = settings["clusters"], settings["tpr"]
    lines: list[str] = []

    def say(line: str) -> None:
        print(line)
        lines.append(line)

    say(f"encoder: {choice.reason}")
    encoder = _with_columns(choice.encoder, score)
    tools = Tools(encoder, say=say, **machine)
    encoder.load(tools.device)
    pictures = steps.looked_at(manifests, tools)
    parts = steps.set_apart(pictures, tpr, tools)

    prompts = words.prompts or default_prompts(encoder, tools.device.type)
    bank = TextBank(encoder, tools.cache_dir)
    vocabulary = encoded_vocabulary(words.corpus or WordNet(), prompts, bank, words.file, print)
    made_from = {
        "images": [(manifest.name, manifest) for manifest in manifests],
        "ood": [(manifest.name, manifest) for manifest in ood_manifests],
        "encoder": encoder,
        "words": vocabulary.key,
        "names": source,
        "detector": score,
        "clusters": clusters,
        "tpr": tpr,
        "seed": tools.seed,
    }
    steps.begin(made_from, mines=source is None, tools=tools)
    mined = steps.label_set_of(pictures, parts, vocabulary, source, clusters, tools)

    bound = Bound(score, mined.made, mined.available, tools.device)
    scores = bound.scores(pictures.images, parts.calibration)
    calibration = steps.calibrated(pictures, parts, scores, tpr)
    provenance = {
        "images": {manifest.name: manifest.fingerprint for manifest in manifests},
        "mined": marks(pictures.images.features.image[parts.mining[:MOST_MARKS]]),
        "held_out_scores": list(calibration.scores),
        "seed": tools.seed,
        "choice": mined.reason,
    }
    detector = save_detector(
        tools.folder / "detector",
        score,
        mined.made,
        mined.available,
        calibration=calibration,
        provenance=provenance,
        device=tools.device,
    )
    for statement in (*calibration.statements(), *steps.more_pictures(calibration)):
        say(statement)

    rows, results, sets = steps.scored(bound, pictures, parts, scores, ood_manifests, calibration, tools)
    lines += [f"cannot be read: {line}" for line in pictures.unreadable]
    write_summary(tools.folder, lines, rows, results, encoder.name)
    write_settings(tools.folder, settings)
    _log(tools.folder, encoder.fingerprint, manifests, mined.made.label_set, rows, results)
    mined_from = part_of(pictures, parts.mining, pictures.part(parts.mining, "mining"))
    page = write_looks(tools.folder, bound, sets, mined_from, calibration)
    print(f"detector: {detector}")
    print(f"to look at: {page}")
    for line in pictures.unreadable[:LISTED]:
        print(f"cannot be read: {line}")
    if len(pictures.unreadable) > LISTED:
        print(f"... and {len(pictures.unreadable) - LISTED:,} more, all in {tools.folder / 'summary.md'}")
    return SOME_UNREAD if pictures.unreadable else 0


def _log(
    folder: Path,
    encoder: str,
    manifests: list[Manifest],
    label_set: LabelSet,
    rows: list[dict[str, Any]],
    results: list[Result],
) -> None:
    """Show how scores of the sets lie, the label set, and the results where there are OOD sets."""
    view = viewer(folder, command="run")
    if view is None:
        return
    import torch

    from ood_lightning.callbacks.panels import histograms
    from ood_lightning.callbacks.wandb import log_file, log_lines, log_memory, log_table
    from ood_lightning.making.summary import DECISIONS
    from ood_lightning.metrics.rows import to_row

    names = list(dict.fromkeys(row["set"] for row in rows))
    middles, shares = histograms([torch.tensor([row["score"] for row in rows if row["set"] == name]) for name in names])
    series = {name: (middles.tolist(), share.tolist()) for name, share in zip(names, shares, strict=True)}
    log_lines(view, "run/scores", "scores", "score", series)
    log_table(view, "run/words", ("word",), [[word] for word in label_set.words])
    if results:
        cells = [to_row(result) for result in results]
        log_table(view, "run/results", list(cells[0]), [list(row.values()) for row in cells])

    made_from = {"encoder": encoder, "labels": label_set.sha256}
    made_from |= {manifest.name: manifest.fingerprint for manifest in manifests}
    log_file(view, folder / DECISIONS, "decisions", "results", made_from)
    log_memory(view)


def _with_columns(encoder: Any, score: Detector) -> Any:
    """The encoder, which also stores what the detector reads beside image features."""
    from dataclasses import replace

    further = tuple(name for name in score.columns if name != "image")
    return replace(encoder, extra_features=further) if further else encoder


def _detector(name: str) -> Detector:
    """The detector of a shipped config's name, or of a YAML file."""
    from ood_lightning.cli.parser import parsed

    file = name if name.endswith((".yaml", ".yml")) else f"detectors/{name}.yaml"
    if file != name and shipped_config(file) is None:
        shipped_names = sorted(path.stem for path in (shipped("configs") / "detectors").glob("*.yaml"))
        similar = get_close_matches(name, shipped_names, n=1)
        hint = f"did you mean {similar[0]!r}? " if similar else ""
        raise SettingsError(
            f"there is no detector {name!r}: {hint}There are {', '.join(shipped_names)}, or a YAML file"
        )

    return parsed(_takes_detector, ["--detector", file], "run")["detector"]  # type: ignore[no-any-return]


def _takes_detector(detector: Detector) -> int:
    """A function whose settings the parser reads.

    Args:
        detector: how to score.
    """
    return 0


def _source_of(names: str, score: Detector) -> LabelSource:
    """The label set of given names, with negatives mined from the corpus where the detector needs some."""
    from ood_lightning.label_sets.sources import IDNames, MinedNegatives

    return MinedNegatives(names) if score.needs_negatives else IDNames(names)
