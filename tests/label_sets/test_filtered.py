"""A label set that is filtered where it is made, and NegRefine as one command on the built-in pictures."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from oracle_judge import Oracle
from torch.nn.functional import normalize

from ood_lightning.cli.main import main
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Words
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.errors import LabelSetError, SettingsError
from ood_lightning.filtering.asking import JudgeSession
from ood_lightning.filtering.judges.base import JudgeError, Question
from ood_lightning.filtering.judges.wordnet import WordNetJudge
from ood_lightning.filtering.rules import Rules
from ood_lightning.label_sets.filtered import Filtered, filter_negatives
from ood_lightning.label_sets.sources import CandidateNames, MinedNegatives
from ood_lightning.label_sets.vocabulary import Vocabulary
from ood_lightning.places import shipped

WORDS = ("oslo", "collie", "sofa", "bird's nest", "dog", "lamp")
YES = [Question("oslo"), Question("collie", "dog")]


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    """Six words, of which two are the names of `names.txt`."""
    (tmp_path / "names.txt").write_text("dog\nlamp\n")
    features = normalize(torch.randn(len(WORDS), 8, generator=torch.Generator().manual_seed(0)), dim=1)
    encoder = SimpleNamespace(name="tiny", fingerprint="f" * 16, logit_scale=10.0)
    bank = SimpleNamespace(
        encoder=encoder, logit_scale=10.0, features=lambda texts, prompts, what: torch.ones(len(texts), 8) / 8**0.5
    )
    return Vocabulary(Words("six", WORDS, "here"), features, Prompts(("{}",)), cast(Any, bank))


@pytest.fixture
def source() -> MinedNegatives:
    return MinedNegatives("names.txt", count=4)


def test_it_is_its_source_without_what_the_judge_drops(vocabulary: Vocabulary, source: MinedNegatives):
    before = source.make(vocabulary, Inputs())
    assert set(before.negatives or ()) == {"oslo", "collie", "sofa", "bird's nest"}

    after = Filtered(source, Oracle(YES), decisions="answers.jsonl").make(vocabulary, Inputs())
    assert set(after.negatives or ()) == {"sofa", "birds nest"}
    assert after.positives == before.positives
    assert after.supervision == ("id_names", "llm")
    assert after.recipe["filter"]["of"] == before.sha256
    assert after.recipe["filter"]["counts"] == {"given": 4, "kept": 2, "proper noun": 1, "subcategory": 1}

    originals = Filtered(source, Oracle(YES), Rules(cleaned=False), "answers.jsonl").make(vocabulary, Inputs())
    assert set(originals.negatives or ()) == {"sofa", "bird's nest"}


def test_id_pictures_that_vote_for_a_word_drop_it_before_the_judge_is_asked(
    vocabulary: Vocabulary, source: MinedNegatives
):
    before, judge = source.make(vocabulary, Inputs()), Oracle(YES)
    sofa = vocabulary.features[WORDS.index("sofa")]
    dog = vocabulary.features[WORDS.index("dog")]
    images = normalize(torch.stack([sofa] * 7 + [dog] * 4) + 0.01 * torch.randn(11, 8), dim=1)
    session = JudgeSession(judge, None, "stop")
    after, verdicts = filter_negatives(before, vocabulary, Rules(), session, images)

    assert set(after.negatives or ()) == {"birds nest"}
    assert [verdict.word for verdict in verdicts if verdict.reason == "ID pictures"] == ["sofa"]
    assert Question("sofa") not in judge.questions
    assert after.supervision == ("id_images", "id_names", "llm")
    assert (after.recipe["filter"]["id_pictures"], after.recipe["filter"]["nearest_pictures"]) == (11, 10)


def test_wordnet_needs_no_file_and_adds_no_supervision(vocabulary: Vocabulary, source: MinedNegatives):
    label_set = Filtered(source, WordNetJudge()).make(vocabulary, Inputs())
    assert set(label_set.negatives or ()) == {"sofa", "birds nest"}
    assert label_set.supervision == ("id_names",)


def test_answers_are_kept_and_nothing_is_asked_twice(vocabulary: Vocabulary, source: MinedNegatives):
    judge, again = Oracle(YES), Oracle([])
    first = Filtered(source, judge, decisions="answers.jsonl").make(vocabulary, Inputs())
    assert Filtered(source, again, decisions="answers.jsonl").make(vocabulary, Inputs()) == first
    assert judge.questions
    assert not again.questions

    with pytest.raises(SettingsError, match=r"of oracle cost too much.*name a file.*`decisions: "):
        Filtered(source, judge).known(vocabulary, Inputs())


def test_a_run_that_lost_its_judge_goes_on_with_the_answers_it_has(vocabulary: Vocabulary, source: MinedNegatives):
    with pytest.raises(JudgeError, match="the server is gone"):
        Filtered(source, Oracle(YES, dies_after=2), decisions="answers.jsonl").make(vocabulary, Inputs())
    rest, all_of_it = Oracle(YES), Oracle(YES)
    resumed = Filtered(source, rest, decisions="answers.jsonl").make(vocabulary, Inputs())
    assert resumed == Filtered(source, all_of_it, decisions="others.jsonl").make(vocabulary, Inputs())
    assert 0 < len(rest.questions) < len(all_of_it.questions)


def test_a_judge_that_cannot_be_asked_is_refused_before_anything_is_encoded(
    vocabulary: Vocabulary, source: MinedNegatives, monkeypatch: pytest.MonkeyPatch
):
    filtered = Filtered(source, Oracle(YES), decisions="answers.jsonl")
    assert filtered.known(vocabulary, Inputs()) is None

    def refuse(judge: Oracle) -> str:
        raise JudgeError("no server")

    monkeypatch.setattr(Oracle, "check", refuse)
    with pytest.raises(JudgeError, match="no server"):
        filtered.known(vocabulary, Inputs())
    filtered.make(vocabulary, Inputs())
    filtered.known(vocabulary, Inputs())  # what it said before may do


def test_what_leaves_nothing_to_score_with_is_an_error(vocabulary: Vocabulary, source: MinedNegatives):
    yes = [Question(word) for word in ("oslo", "collie", "sofa", "birds nest")]
    with pytest.raises(LabelSetError, match="oracle dropped every negative"):
        Filtered(source, Oracle(yes), decisions="answers.jsonl").make(vocabulary, Inputs())


def test_inputs_corpus_and_names_are_those_of_its_source(vocabulary: Vocabulary, source: MinedNegatives):
    listed = CandidateNames("names.txt", ["names.txt"])
    for one in (source, listed):
        filtered = Filtered(one, WordNetJudge())
        assert filtered.required_inputs == one.required_inputs
        assert filtered.reads_corpus == one.reads_corpus
        assert filtered.given_names(Inputs()) == one.given_names(Inputs())
        assert filtered.class_bounds(vocabulary, Inputs()) == one.class_bounds(vocabulary, Inputs())


@pytest.mark.slow
def test_negrefine_is_one_command_on_the_built_in_pictures():
    config = shipped("configs") / "pictograms" / "negrefine.yaml"
    assert main(["test", "--config", str(config), "--trainer.accelerator", "cpu", "--trainer.devices", "1"]) == 0

    written = json.loads(Path("runs/negrefine/results.json").read_text())
    rows = {(row["detector"], row["ood_set"]): row for row in written["results"]}
    detectors = {"NegLabel", "NegLabel, filtered", "NegLabel, multi-matching", "NegRefine"}
    assert {detector for detector, _ in rows} == detectors
    assert {row["supervision"] for row in rows.values()} == {"id_names"}
