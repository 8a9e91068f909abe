"""The two steps of `corpus grow`: groups and proposals to a text file; a person's choice to a new corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from ood_lightning.calibration.split import split
from ood_lightning.class_paths import as_config
from ood_lightning.clustering.choose import choose_clusters
from ood_lightning.clustering.kmeans import cluster
from ood_lightning.corpora.grown import FORMAT, Grown, GrownFile, Parent, with_words
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.data.artifacts.files import atomic_write, make_folder, write_json
from ood_lightning.data.remote.chat import ChatServer
from ood_lightning.errors import CorpusError, SettingsError
from ood_lightning.functional.similarity import unit
from ood_lightning.growing import proposal as files
from ood_lightning.growing.asking import GroupQuestion, answers_to, model_of
from ood_lightning.growing.groups import Group, groups_of
from ood_lightning.growing.judgement import Judgement, as_plain, grown_vocabulary, judged
from ood_lightning.growing.proposal import Proposal, Reply, read_choices, read_proposal, write_proposal
from ood_lightning.growing.questions import question, words_in
from ood_lightning.label_sets.vocabulary import Vocabulary
from ood_lightning.making.pictures import Pictures
from ood_lightning.making.tools import Tools
from ood_lightning.plurals import many
from ood_lightning.reasons.thumbnails import images_at
from ood_lightning.report.sheet import contact_sheet
from ood_lightning.spelling import folded

CORPUS, CONFIG = "grown.json", "corpus.yaml"
FEWEST = 10  # different pictures: with fewer there is nothing to judge by


@dataclass(frozen=True)
class Prepared:
    """What both steps work on.

    Args:
        mining: pictures that groups are made of.
        rows: of those among all pictures, int64 (n,).
        held_out: pictures that a new corpus is judged by.
        assignments: cluster of each of the former, int64 (n,).
        vocabulary: of the corpus.
        made_from: what a proposal depends on, see :class:`~ood_lightning.growing.proposal.Proposal`.
    """

    mining: FeatureSet
    rows: Tensor
    held_out: FeatureSet
    assignments: Tensor
    vocabulary: Vocabulary
    made_from: dict[str, Any]


def prepared(everything: Pictures, vocabulary: Vocabulary, n_clusters: int | None, tools: Tools) -> Prepared:
    """Hold pictures out, and cluster the others; the same seed does the same.

    Args:
        everything: pictures of one set.
        vocabulary: of the corpus.
        n_clusters: that a person wants; None: chosen from the pictures, as `run` does.
        tools: of the run.

    Raises:
        SettingsError: too few pictures are different.
    """
    if everything.n_different < FEWEST:
        raise SettingsError(f"{everything.n_different} different pictures: at least {FEWEST} are needed")
    parts = split(everything.groups, tools.seed)
    mining, held_out = everything.part(parts.mining, "mining"), everything.part(parts.calibration, "held_out")

    features = mining.features.image[:].to(tools.device)
    if n_clusters is None:
        n_clusters = choose_clusters(features, vocabulary.features.to(tools.device), tools.seed).n_clusters
    assignments = cluster(features, "spherical", n_clusters, tools.seed)

    made_from = {
        "corpus": vocabulary.words.sha256,
        "prompts": vocabulary.prompts.fingerprint,
        "encoder": tools.encoder.fingerprint,
        "pictures": everything.images.manifest.fingerprint,
        "seed": tools.seed,
        "clusters": n_clusters,
    }
    return Prepared(mining, parts.mining, held_out, assignments.cpu(), vocabulary, made_from)


def propose(
    work: Prepared, everything: Pictures, server: ChatServer, n_words: int, with_pictures: bool, tools: Tools
) -> int:
    """Ask about every weak group, and write what a person edits; returns how many words are proposed.

    Args:
        work: pictures and words.
        everything: the pictures of `work` before they were parted.
        server: that is asked.
        n_words: of an answer at most.
        with_pictures: send the contact sheets too.
        tools: of the run.
    """
    words = work.vocabulary.words
    image = unit(work.mining.features.image[:].to(tools.device).float())
    groups = groups_of(image, work.assignments, work.vocabulary.features.to(tools.device), words.words)
    weak = [group for group in groups if group.reason]
    tools.say(f"{many(len(groups), 'group')} of {len(image):,} pictures, {len(weak)} of them described badly")

    sheets = _draw(weak, work, everything, tools)
    questions = [
        GroupQuestion(question(group, n_words, with_pictures), sheet if with_pictures else None)
        for group, sheet in zip(weak, sheets, strict=True)
    ]
    answers = answers_to(questions, server, tools.folder / files.ANSWERS)

    known = {folded(word) for word in words.words}
    replies = [
        Reply(group.number, one.text, one.picture is not None, answer, *words_in(answer, known, n_words))
        for group, one, answer in zip(weak, questions, answers, strict=True)
    ]
    made_from = {key: value for key, value in work.made_from.items() if key != "corpus"}
    parent = Parent(words.name, len(words), words.sha256)
    proposal = Proposal(format=files.FORMAT, parent=parent, model=model_of(server), replies=tuple(replies), **made_from)
    write_proposal(tools.folder, proposal, weak, len(groups))
    return len({word for one in replies for word in one.proposed})


def _draw(weak: Sequence[Group], work: Prepared, everything: Pictures, tools: Tools) -> list[Path]:
    """A contact sheet of each group."""
    rows = {group.number: work.rows[list(group.pictures)].tolist() for group in weak}
    all_rows = {row for of_group in rows.values() for row in of_group}
    images = images_at(everything.images.manifest, all_rows, list(everything.images.features.bad)) if all_rows else {}

    make_folder(tools.folder / files.SHEETS)
    paths = []
    for group in weak:
        path = tools.folder / files.SHEETS / f"{group.number}.jpg"
        contact_sheet([("", [images[row] for row in rows[group.number]])], columns=1).save(path, quality=90)
        paths.append(path)
    return paths


def apply(work: Prepared, corpus: Corpus, tools: Tools) -> tuple[GrownFile, Judgement]:
    """Make the new corpus of what a person accepted, and judge it.

    Args:
        work: the pictures and words that were asked about.
        corpus: the parent.
        tools: of the run.

    Raises:
        CorpusError: there is no proposal, it was made of something else, or nothing is accepted.
    """
    proposal = read_proposal(tools.folder)
    if other := [name for name, value in work.made_from.items() if proposal.made_from[name] != value]:
        raise CorpusError(
            f"{tools.folder / files.RECORD} was made with another {', another '.join(other)}: use the settings that "
            f"proposed, or propose anew into another folder"
        )

    choices = read_choices(tools.folder, proposal, work.vocabulary.words.words)
    accepted = [one.word for one in choices.accepted]
    grown = with_words(work.vocabulary.words, accepted, str(tools.folder / CORPUS))
    vocabularies = work.vocabulary, grown_vocabulary(work.vocabulary, grown)
    judgement = judged(work.mining, work.held_out, work.assignments, vocabularies, accepted, tools.device, tools.seed)

    file = GrownFile(
        format=FORMAT,
        parent=proposal.parent,
        accepted=choices.accepted,
        refused=choices.refused,
        model=proposal.model,
        replies=tuple(asdict(one) for one in proposal.replies),
        pictures={"fingerprint": proposal.pictures, "encoder": proposal.encoder},
        judgement=as_plain(judgement),
    )
    write_json(tools.folder / CORPUS, asdict(file))
    config = as_config(Grown(corpus, str(tools.folder / CORPUS)))
    head = f"# --corpus {tools.folder / CONFIG}: {proposal.parent.name} and {many(len(accepted), 'word')} more\n"
    atomic_write(tools.folder / CONFIG, (head + yaml.safe_dump(config, sort_keys=False)).encode())
    return file, judgement
