"""Label sets under corpora and prompts of their own, and label sets that know their adjectives."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import torch
import yaml
from torch import Tensor

from ood_lightning.cli.main import main
from ood_lightning.corpora.conjugated import Conjugated
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus, Part, WordFile, Words
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence, Inputs
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.official_negatives import AugmentedNames, CSPNegatives, NegLabelNegatives
from ood_lightning.label_sets.ready import label_features, texts_of
from ood_lightning.label_sets.sources import (
    CandidateNames,
    CLIPScopeNegatives,
    IDNames,
    MinedNegatives,
    Stored,
    WithCorpus,
)
from ood_lightning.label_sets.vocabulary import Vocabulary, build_vocabularies

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

CPU = torch.device("cpu")
NOUNS = ("sky", "cat", "orange", "stone", "lamp", "tree", "river", "chair")
ADJECTIVES = ("red", "wide", "grey", "tall")
BY_PART = Prompts(("a {}", "the {}"), "mean-then-normalise", ("{} thing", "a {} one", "{}"))
PLAIN = Prompts(("{}",))


@dataclass(frozen=True)
class Tagged(Corpus):
    """A corpus that tells nouns from adjectives."""

    nouns: tuple[str, ...] = NOUNS
    adjectives: tuple[str, ...] = ADJECTIVES

    def load(self) -> Words:
        parts: tuple[Part, ...] = ("noun",) * len(self.nouns) + ("adj",) * len(self.adjectives)
        return Words("tagged", (*self.nouns, *self.adjectives), "here", parts)


class FakeEncoder:
    name, fingerprint, logit_scale = "fake", "f" * 16, 10.0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_text(self, texts: Sequence[str], on_progress: Callable[[int], object]) -> Tensor:
        self.asked += texts
        return torch.stack([vector(text) for text in texts])


def vector(text: str) -> Tensor:
    draw = torch.Generator().manual_seed(sum(at * ord(letter) for at, letter in enumerate(text, 1)))
    return torch.randn(12, generator=draw) * (1 + len(text))


def feature(word: str, part: str, prompts: Prompts = BY_PART) -> Tensor:
    templates = prompts.templates if part == "noun" or prompts.adjectives is None else prompts.adjectives
    sentences = torch.stack([vector(template.replace("{}", word)) for template in templates])
    return unit((unit(sentences) if prompts.order == "normalise-then-mean" else sentences).mean(dim=0)[None])[0]


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def bank(encoder: FakeEncoder) -> TextBank:
    return TextBank(cast(Any, encoder), "cache")


@pytest.fixture
def names() -> str:
    Path("names.txt").write_text("grey\ncat\npansy\n")  # the first is an adjective to the corpus
    return "names.txt"


def single(source: LabelSource, bank: TextBank, corpus: Corpus = Tagged(), prompts: Prompts = BY_PART) -> Vocabulary:
    return build_vocabularies({"": source}, corpus, prompts, bank)[""]


def test_sets_under_the_same_words_and_prompts_share_one_lexicon(bank: TextBank, encoder: FakeEncoder, names: str):
    Path("w.txt").write_text("sky\nstone\n")
    sources: dict[str, LabelSource] = {
        "run": IDNames(names),
        "run, said again": WithCorpus(IDNames(names), Tagged(), PLAIN),
        "other words": WithCorpus(IDNames(names), WordFile("w.txt")),
        "other prompts": WithCorpus(MinedNegatives(names, 2), prompts=BY_PART),
        "both": WithCorpus(WithCorpus(IDNames(names), prompts=BY_PART), WordFile("w.txt"), PLAIN),  # the inner one wins
        "both again": WithCorpus(IDNames(names), WordFile("w.txt"), BY_PART),
    }
    found = build_vocabularies(sources, Tagged(), PLAIN, bank)
    assert found["run"] is found["run, said again"]
    assert found["both"] is found["both again"]
    assert len({id(vocabulary) for vocabulary in found.values()}) == 4
    assert found["other words"].words.words == ("sky", "stone")
    assert (found["other words"].prompts, found["other prompts"].prompts) == (PLAIN, BY_PART)
    assert len(encoder.asked) == 8 * 2 + 4 * 3  # only "other prompts" takes words of its corpus
    asked = len(encoder.asked)
    again = build_vocabularies(sources, Tagged(), PLAIN, bank)["other prompts"].features
    assert again.shape == (12, 12)
    assert again.equal(found["other prompts"].features)
    assert len(encoder.asked) == asked


def test_one_set_that_reads_the_corpus_is_enough_to_encode_it_for_all_that_share_it(bank: TextBank, names: str):
    sources: dict[str, LabelSource] = {"names": IDNames(names), "mined": MinedNegatives(names, 2)}
    found = build_vocabularies(sources, Tagged(), PLAIN, bank)
    assert found["names"] is found["mined"]
    assert found["names"].features.shape == (12, 12)
    assert build_vocabularies({"names": IDNames(names)}, Tagged(), PLAIN, bank)["names"].features.shape == (0, 0)


@pytest.mark.parametrize("negatives", [(), ("cat", "seven"), None])
def test_a_label_set_has_the_same_features_whether_its_corpus_is_encoded_or_not(
    bank: TextBank, negatives: tuple[str, ...] | None
):
    labels = LabelSet((Positive("grey"), Positive("cat"), Positive("unheard of")), negatives, {})
    labels.write(Path("labels.json"))
    source = Stored("labels.json")
    assert source.reads_corpus == (negatives is None)
    alone = build_vocabularies({"": source}, Tagged(), PLAIN, bank)[""]
    beside = build_vocabularies({"": source, "mined": MinedNegatives("labels.json", 1)}, Tagged(), PLAIN, bank)[""]
    assert len(beside.features) == 12
    device = torch.device("cpu")
    found, expected = (label_features(labels, vocabulary, device) for vocabulary in (alone, beside))
    assert found.positives.equal(expected.positives)
    assert found.negatives.equal(expected.negatives)
    assert found.negatives.shape[1] == 12
    assert found.positives.equal(torch.stack([feature(word, "noun", PLAIN) for word in labels.words]))


def test_the_runs_corpus_is_not_read_where_no_set_needs_it(bank: TextBank, names: str):
    source = WithCorpus(IDNames(names), Tagged(), BY_PART)
    assert single(source, bank, WordFile("nowhere.txt"), PLAIN).words.name == "tagged"


SOURCES: list[Callable[[str], LabelSource]] = [
    lambda names: IDNames(names),
    lambda names: CandidateNames(names, ["ood.txt"]),
    lambda names: MinedNegatives(names, 8),
    lambda names: CLIPScopeNegatives(names, 4, 4),
    lambda names: NegLabelNegatives(names, share=0.5),
    lambda names: CSPNegatives(names, share=0.5, without_names=True),
    lambda names: AugmentedNames(names, 6),
]


@pytest.mark.parametrize("make", SOURCES)
@pytest.mark.parametrize("conjugated", [False, True])
@pytest.mark.parametrize("prompts", [PLAIN, BY_PART])
def test_a_set_scores_the_same_when_it_is_read_back(
    make: Callable[[str], LabelSource], conjugated: bool, prompts: Prompts, bank: TextBank, names: str
):
    Path("ood.txt").write_text("wide\nstone\n")
    source, corpus = make(names), Conjugated(Tagged()) if conjugated else Tagged()
    vocabulary = single(source, bank, corpus, prompts)
    made = source.make(vocabulary, Inputs())
    assert ("adjectives" in made.recipe) == (prompts is BY_PART and not isinstance(source, IDNames | CandidateNames))
    made.write("labels.json")
    read = Stored("labels.json").make(vocabulary, Inputs())
    assert read == made
    first, second = (label_features(labels, vocabulary, CPU) for labels in (made, read))
    for side in ("positives", "negatives"):
        torch.testing.assert_close(getattr(first, side), getattr(second, side), rtol=0, atol=0)
    if made.negatives is not None:  # nor does it take the corpus then
        Path("w.txt").write_text("lamp\n")
        elsewhere = single(WithCorpus("labels.json", WordFile("w.txt")), bank, Tagged(), prompts)
        third = label_features(Stored("labels.json").make(elsewhere, Inputs()), elsewhere, CPU)
        for side in ("positives", "negatives"):
            torch.testing.assert_close(getattr(third, side), getattr(first, side))


@pytest.mark.parametrize("conjugated", [False, True])
def test_names_are_nouns_and_negatives_what_the_corpus_says(bank: TextBank, names: str, conjugated: bool):
    corpus = Conjugated(Tagged()) if conjugated else Tagged()
    words = corpus.load()
    source = NegLabelNegatives(names, share=1.0)
    vocabulary = single(source, bank, corpus)
    labels = source.make(vocabulary, Inputs())
    found = label_features(labels, vocabulary, CPU)
    torch.testing.assert_close(found.positives, torch.stack([feature(w, "noun") for w in ("grey", "cat", "pansy")]))
    assert set(labels.negatives or ()) == set(words.words)
    expected = [feature(w, "adj" if w in words.adjectives else "noun") for w in labels.negatives or ()]
    torch.testing.assert_close(found.negatives, torch.stack(expected))
    assert labels.recipe["adjectives"] == {
        "positives": [],
        "negatives": [w for w in labels.negatives or () if w in words.adjectives],
    }
    assert list(texts_of(labels, vocabulary).negatives) == list(labels.negatives or ())


def test_names_of_ood_classes_are_nouns(bank: TextBank, names: str):
    Path("ood.txt").write_text("wide\nstone\n")
    source = CandidateNames(names, ["ood.txt"])
    vocabulary = single(source, bank)
    found = label_features(source.make(vocabulary, Inputs()), vocabulary, CPU)
    torch.testing.assert_close(found.negatives, torch.stack([feature(w, "noun") for w in ("wide", "stone")]))


def test_added_words_are_what_the_corpus_says_and_the_rest_is_negative(bank: TextBank, names: str):
    source = AugmentedNames(names, 9)  # of ten words that are no name
    vocabulary = single(source, bank)
    labels = source.make(vocabulary, Inputs())
    added = labels.words[3:]
    assert {"red", "wide", "tall"} & set(added)
    expected = [feature(w, "noun") for w in labels.words[:3]]
    expected += [feature(w, "adj" if w in ADJECTIVES else "noun") for w in added]
    found = label_features(labels, vocabulary, CPU)
    torch.testing.assert_close(found.positives, torch.stack(expected))
    rest = [w for w in (*NOUNS, *ADJECTIVES) if w not in {*added, "grey", "cat"}]
    assert list(texts_of(labels, vocabulary).negatives) == rest
    expected = [feature(w, "adj" if w in ADJECTIVES else "noun") for w in rest]
    torch.testing.assert_close(found.negatives, torch.stack(expected))


def test_clipscopes_words_may_be_ranked_under_other_prompts(bank: TextBank, names: str):
    mining = Prompts(("the {}",))
    source = CLIPScopeNegatives(names, 3, 2, share=1.0, mining_prompts=mining)
    vocabulary = single(source, bank, prompts=PLAIN)
    labels = source.make(vocabulary, Inputs())
    known = torch.stack([feature(w, "noun", PLAIN) for w in ("grey", "cat", "pansy")])
    candidates = [w for w in (*NOUNS, *ADJECTIVES) if w not in {"grey", "cat"}]
    ranked = sorted(candidates, key=lambda w: float((known @ feature(w, "noun", mining)).min()))
    assert list(labels.negatives or ()) == ranked[:3] + ranked[-2:]
    assert labels.recipe["mining_prompts"]["templates"] == ["the {}"]
    found = label_features(labels, vocabulary, CPU).negatives
    torch.testing.assert_close(found, torch.stack([feature(w, "noun", PLAIN) for w in labels.negatives or ()]))


@pytest.fixture
def mined() -> LabelSet:
    """As `fit` writes one."""
    about = {"method": "ClusterMine", "encoder": {"name": "fake", "fingerprint": "f" * 16}}
    labels = LabelSet(
        (Positive("tree", 2, 9, 0.5), Positive("red", 1, 4, 1.0)), None, {**about, "supervision": ["id_images"]}
    )
    labels.write("fit.json")
    return labels


def test_mined_positives_may_take_the_names_place(bank: TextBank, mined: LabelSet):
    source = MinedNegatives("fit.json", 5)
    vocabulary = single(source, bank)
    labels = source.make(vocabulary, Inputs())
    assert labels.positives == mined.positives  # with their support
    assert labels.supervision == ("id_images",)
    assert labels.recipe["positives"] == {"method": "ClusterMine", "sha256": mined.sha256}
    positives = torch.stack([feature("tree", "noun"), feature("red", "adj")])
    torch.testing.assert_close(label_features(labels, vocabulary, CPU).positives, positives)
    candidates = [w for w in (*NOUNS, *ADJECTIVES) if w not in mined.words]
    cosines = {w: positives @ feature(w, "adj" if w in ADJECTIVES else "noun") for w in candidates}
    distance = {w: float(c.double().quantile(0.95)) for w, c in cosines.items()}
    assert list(labels.negatives or ()) == sorted(candidates, key=distance.__getitem__)[:5]  # the least similar first


def test_mined_positives_of_another_encoder_are_refused(bank: TextBank, encoder: FakeEncoder, mined: LabelSet):
    vocabulary = single(IDNames("x"), bank)
    encoder.fingerprint = "g" * 16  # type: ignore[misc]
    with pytest.raises(LabelSetError, match="was made with encoder 'fake'"):
        MinedNegatives("fit.json", 5).make(vocabulary, Inputs())


def test_a_set_is_not_read_under_other_templates_or_other_parts_of_speech(bank: TextBank, names: str):
    source = AugmentedNames(names, 2)
    source.make(single(source, bank), Inputs()).write("l.json")
    other = Prompts(BY_PART.templates, BY_PART.order, ("so {}",))
    other_order = Prompts(BY_PART.templates, adjectives=BY_PART.adjectives)
    with pytest.raises(
        LabelSetError, match=r"the prompts' adjectives \['\{\} thing', 'a \{\} one'\], the run uses \['so"
    ):
        Stored("l.json").make(single(Stored("l.json"), bank, prompts=other), Inputs())
    with pytest.raises(
        LabelSetError, match=r"the prompts' order mean-then-normalise, the run uses normalise-then-mean"
    ):
        Stored("l.json").make(single(Stored("l.json"), bank, prompts=other_order), Inputs())
    same_words = Tagged((*NOUNS, "red"), ADJECTIVES[1:])
    with pytest.raises(LabelSetError, match=r"rest of corpus 'tagged' .*give this set its own: .*WithCorpus"):
        Stored("l.json").make(single(Stored("l.json"), bank, same_words), Inputs())
    source.make(single(source, bank, prompts=PLAIN), Inputs()).write("l.json")
    Stored("l.json").make(single(Stored("l.json"), bank, same_words, PLAIN), Inputs())  # parts decide nothing here


@dataclass(frozen=True)
class Asks(Detector):
    """Scores with a further text; what it was given is kept for the test."""

    seen: ClassVar[dict[str, tuple[Tensor, Evidence]]] = {}

    labels: str = "names"

    def bind(self, evidence: Evidence) -> Scorer:
        text = evidence.label_sets[self.labels].encode(["a dog and a cat"])[0]
        self.seen[self.labels] = (text, evidence)
        return lambda features: (features @ text).double()


def test_a_run_holds_sets_under_several_lexica_and_each_has_its_own_texts(
    eval_yaml: Path, sets: Path, encoder_yaml: dict[str, Any]
):
    settings = yaml.safe_load(eval_yaml.read_text())
    model = settings["model"]["init_args"]
    sources = "ood_lightning.label_sets"
    Path("tagged").mkdir()
    Path("tagged/noun.act.txt").write_text("dog\ncat\nhorse\ntree\nriver\nstone\nchair\ntable\nlamp\nhouse\n")
    Path("tagged/adj.all.txt").write_text("red\nwide\nloud\nsad\n")
    folder = {"class_path": "ood_lightning.corpora.lexicographer.LexicographerFolder", "init_args": {"path": "tagged"}}
    Path("pool.yaml").write_text(
        yaml.safe_dump({"class_path": f"{Conjugated.__module__}.Conjugated", "init_args": {"corpus": folder}})
    )
    prompts = {"templates": ["a {}", "the {}"], "adjectives": ["{}"], "order": "mean-then-normalise"}
    negatives = {
        "class_path": f"{sources}.official_negatives.CSPNegatives",
        "init_args": {"names": str(sets / "id_test"), "share": 0.5},
    }
    under = {"source": negatives, "corpus": "pool.yaml", "prompts": prompts}
    model["label_sets"]["csp"] = {"class_path": f"{sources}.sources.WithCorpus", "init_args": under}
    for labels in ("csp", "neglabel"):
        model["detectors"][labels] = {"class_path": f"{__name__}.Asks", "init_args": {"labels": labels}}
        detector = {"class_path": "ood_lightning.detectors.neglabel.NegLabel", "init_args": {"labels": labels}}
        detector["init_args"]["groups"] = 2
        model["detectors"][f"{labels} again"] = detector
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["test", "--config", str(eval_yaml)]) == 0
    rows = json.loads(Path("run/eval/results.json").read_text())["results"]
    assert {row["detector"] for row in rows} == {"MCM", "NegLabel", "csp", "csp again", "neglabel", "neglabel again"}

    from ood_lightning.encoders.openclip import OpenClip

    encoder = OpenClip(**encoder_yaml["init_args"])  # type: ignore[arg-type]
    encoder.load(CPU)
    bank = TextBank(encoder, "other_cache")
    csp, plain = (Asks.seen[labels][0] for labels in ("csp", "neglabel"))
    own = Prompts(("a {}", "the {}"), "mean-then-normalise", ("{}",))
    torch.testing.assert_close(csp, bank.encode(["a dog and a cat"], own)[0])
    torch.testing.assert_close(plain, bank.encode(["a dog and a cat"], PLAIN)[0])
    evidence = Asks.seen["csp"][1]
    positives, words = evidence.label_sets["csp"].texts
    assert positives == ["red", "green"]
    phrases = [word for word in words if word.split()[0] in {"red", "wide", "loud", "sad"}]
    assert (len(words), len(phrases)) == (7, 2)
    expected = torch.cat([bank.encode(words[:5], own), bank.encode(words[5:], Prompts(("{}",)))])
    torch.testing.assert_close(evidence.labels("csp").negatives, expected)
    torch.testing.assert_close(evidence.labels("csp").positives, bank.encode(positives, own))

    # read back from what the run stored
    (stored,) = Path("run/eval/labels").glob("csp*.json")
    model["label_sets"]["csp"]["init_args"]["source"] = str(stored)
    settings["trainer"]["default_root_dir"] = "run/again"
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["test", "--config", str(eval_yaml)]) == 0
    assert json.loads(Path("run/again/results.json").read_text())["results"] == rows
