"""WordNet as a judge: on its real graph, by words whose answers anyone can check."""

from pathlib import Path

import pytest
from released_decisions import RELEASED

from ood_lightning.errors import CorpusError
from ood_lightning.filtering.asking import JudgeSession, agreement
from ood_lightning.filtering.judges.base import Question
from ood_lightning.filtering.judges.replay import ReplayJudge
from ood_lightning.filtering.judges.wordnet import WordNetJudge


@pytest.fixture(scope="module")
def judge() -> WordNetJudge:
    return WordNetJudge()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "proper"),
    [
        ("samarkand", True),
        ("Lake Superior", True),
        ("wrangell-st elias national park", True),  # cleaned: WordNet writes 'Wrangell-St. Elias'
        ("malayalam", True),  # no instance, but always a capital
        ("genus ginkgo", True),
        ("asphodelaceae", False),  # a taxon
        ("turkey", False),  # the bird is the more frequent sense
        ("jeffrey pine", False),  # one capital of two
        ("collie", False),
        ("gooey landscape", False),
        ("qwertz", False),
    ],
)
def test_proper_nouns(judge: WordNetJudge, word: str, proper: bool):
    assert JudgeSession(judge, None)([Question(word)]) == [proper]


@pytest.mark.parametrize(
    ("word", "name", "kind"),
    [
        ("collie", "dog", True),
        ("dog", "collie", False),
        ("collies", "Dogs", True),  # plurals, capitals
        ("shaggy collie", "dog", True),  # a phrase is a kind of its head
        ("asama", "mountain", True),  # an instance
        ("steam whistle", "whistle", True),
        ("squirrel corn", "corn", False),  # a plant that WordNet knows: its own sense, not its last word
        ("whooping crane", "crane bird", True),  # a word and its class
        ("derrick", "crane bird", False),
        ("timber wolf", "red wolf or grey wolf", True),
        ("gooey landscape", "safe", False),
        ("collie", "qwertz", False),
        ("qwertz", "dog", False),
    ],
)
def test_subcategories(judge: WordNetJudge, word: str, name: str, kind: bool):
    assert JudgeSession(judge, None)([Question(word, name)]) == [kind]


@pytest.mark.slow
def test_cousins_share_a_small_class(judge: WordNetJudge):
    close = WordNetJudge(cousins=40)
    questions = [Question("border collie", "collie"), Question("komondor", "kelpie"), Question("oak", "collie")]
    assert JudgeSession(judge, None)(questions) == [False, False, False]
    assert JudgeSession(close, None)(questions) == [True, True, False]  # both shepherd dogs
    assert judge.identity != close.identity


@pytest.mark.slow
def test_cousins_are_counted_with_the_class_itself():
    """WordNet 3.0 has 14 synsets of shepherd dogs, the shepherd dog itself among them."""
    questions = [Question("komondor", "kelpie")]
    assert JudgeSession(WordNetJudge(cousins=14), None)(questions) == [True]
    assert JudgeSession(WordNetJudge(cousins=13), None)(questions) == [False]


def test_another_wordnet_may_be_named(tmp_path: Path):
    (tmp_path / "data.noun").write_text(
        "00000001 03 n 01 thing 0 000 | all\n00000002 05 n 01 Zork 0 001 @i 00000001 n 0000 | one\n"
    )
    (tmp_path / "index.noun").write_text("thing n 1 0 1 0 00000001\nzork n 1 0 1 0 00000002\n")
    other = WordNetJudge(str(tmp_path))
    questions = [Question("zork"), Question("zork", "things"), Question("oslo")]
    assert JudgeSession(other, None)(questions) == [True, True, False]
    assert other.identity == "WordNet of unknown release, cousins 0"
    with pytest.raises(CorpusError, match=r"cannot read WordNet's .*data\.noun"):
        WordNetJudge(str(tmp_path / "none")).identity  # noqa: B018


@pytest.mark.slow
@pytest.mark.skipif(not RELEASED.is_dir(), reason=f"no released decisions at {RELEASED}: set REFERENCE_DIR")
def test_agreement_with_the_released_decisions_is_what_the_documentation_says(judge: WordNetJudge):
    said = ReplayJudge([str(RELEASED / f"llm_decisions_{part}.txt.gz") for part in ("noun", "adj")])
    first, second = JudgeSession(said, None), JudgeSession(judge, None)
    questions = list(said.decisions)
    first(questions)
    second(questions)

    proper, kind = agreement(first.answers, second.answers)
    assert (proper["both_yes"], proper["only_first_yes"], proper["only_second_yes"]) == (1542, 206, 176)
    assert (kind["both_yes"], kind["only_first_yes"], kind["only_second_yes"]) == (12, 295, 5)
    docs = (Path(__file__).parents[3] / "docs" / "filter.md").read_text()
    assert "| proper noun | 8,425 | 1,542 | 206 | 176 | 6,501 | 95.5 % | 89.8 % | 88.2 % |" in docs
