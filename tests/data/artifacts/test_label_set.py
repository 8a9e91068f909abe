"""Label sets as files: the same bytes, edits noticed, other encoders refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ood_lightning.data.artifacts.label_set import FORMAT, LabelSet, Positive
from ood_lightning.errors import LabelSetError
from ood_lightning.spelling import is_blank

RECIPE = {"method": "ClusterMine", "encoder": {"name": "tiny", "fingerprint": "abc"}, "supervision": ["id_images"]}
MINED = LabelSet((Positive("dog", 2, 30, 0.9333), Positive("été", 1, 4, 1.0), Positive("猫")), None, RECIPE)


def test_a_label_set_survives_the_disk_with_the_same_bytes(tmp_path: Path):
    MINED.write(tmp_path / "a.json")
    labels = LabelSet.read(tmp_path / "a.json")
    assert labels == MINED
    assert not labels.edited
    assert labels.words == ["dog", "été", "猫"]
    assert labels.supervision == ("id_images",)
    labels.write(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert "猫" in (tmp_path / "a.json").read_text(encoding="utf-8")  # a person can read it


TEXTS = st.text(min_size=1).filter(lambda text: not is_blank(text))
POSITIVES = st.builds(
    Positive,
    TEXTS,
    st.none() | st.integers(0, 2**63 - 1),
    st.none() | st.integers(0, 2**63 - 1),
    st.none() | st.floats(0, 1).map(lambda x: round(x, 4)),
)


@pytest.mark.slow
@given(
    st.lists(POSITIVES, min_size=1),
    st.none() | st.lists(TEXTS).map(tuple),
    st.dictionaries(st.text().map("x".__add__), st.integers() | st.floats(allow_nan=False) | st.text() | st.none()),
)
def test_any_label_set_survives_the_disk(
    tmp_path_factory: pytest.TempPathFactory,
    positives: list[Positive],
    negatives: tuple[str, ...] | None,
    recipe: dict[str, Any],
):
    written = LabelSet(tuple(positives), negatives, recipe)
    path = tmp_path_factory.getbasetemp() / "any.json"
    written.write(path)
    labels = LabelSet.read(path)
    assert labels == written
    assert not labels.edited


def test_lists_of_negatives_none_and_the_rest_are_three_things(tmp_path: Path):
    for negatives in (None, (), ("cat", "cow")):
        replace(MINED, negatives=negatives).write(tmp_path / "x.json")
        assert LabelSet.read(tmp_path / "x.json").negatives == negatives
    hashes = {replace(MINED, negatives=n).sha256 for n in (None, (), ("cat",), ("rest of the corpus",))}
    assert len(hashes) == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["positives"].pop(),
        lambda content: content["positives"].reverse(),
        lambda content: content["positives"][0].update(label="cat"),
        lambda content: content.update(negatives=["cat"]),
        lambda content: content["recipe"].update(seed=1),
        lambda content: content.pop("sha256"),
    ],
)
def test_an_edit_by_hand_is_noticed_and_accepted(tmp_path: Path, change: Any):
    MINED.write(tmp_path / "x.json")
    content = json.loads((tmp_path / "x.json").read_text())
    change(content)
    (tmp_path / "x.json").write_text(json.dumps(content))
    labels = LabelSet.read(tmp_path / "x.json")
    assert labels.edited
    labels.write(tmp_path / "x.json")
    assert not LabelSet.read(tmp_path / "x.json").edited


def test_layout_alone_is_no_edit(tmp_path: Path):
    MINED.write(tmp_path / "x.json")
    content = json.loads((tmp_path / "x.json").read_text())
    (tmp_path / "x.json").write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert not LabelSet.read(tmp_path / "x.json").edited


A: dict[str, object] = {"label": "a"}


def content(**change: object) -> str:
    return json.dumps({"format": FORMAT, "recipe": {}, "positives": [A], "negatives": []} | change)


def test_a_recipe_is_free_but_for_what_is_read_of_it(tmp_path: Path):
    recipe = {"author": "me", "nested": [{"depth": 1.5e-300}], "encoder": None, "supervision": ["llm"]}
    (tmp_path / "x.json").write_text(content(recipe=recipe, positives=[A | {"agreement": 1, "clusters": None}]))
    labels = LabelSet.read(tmp_path / "x.json")
    assert (labels.recipe, labels.supervision) == (recipe, ("llm",))
    labels.check_encoder("abc", "tiny")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not readable as JSON"),
        ("[]", "the whole document is"),
        (content()[:-1] + ', "positives": []}', "the key 'positives' comes twice"),
        (content().replace('{"label": "a"}', '{"label": "a", "label": "b"}'), "the key 'label' comes twice"),
        ("{}", "format is missing"),
        (content(format="other/2"), "format is 'other/2': input should be 'ood_lightning/label-set/1'"),
        (content(words=[]), "words is a key that nothing here knows"),
        (content(positives=[]), "has no positives"),
        (content(positives=["a"]), "positives.0 is 'a'"),
        (content(positives=[A, {"label": "b", "weight": 2}]), "positives.1.weight is a key that nothing here knows"),
        (content(positives=[{"label": 3}]), "positives.0.label is 3"),
        (content(positives=[A, {"label": " "}]), "positives.1 is ' ': expected a text that is not empty"),
        (content(positives=[A | {"clusters": -1}]), "positives.0.clusters is -1: .*greater than or equal to 0"),
        (content(positives=[A | {"images": "12"}]), "positives.0.images is '12'"),
        (content(positives=[A | {"clusters": True}]), "positives.0.clusters is True"),
        (content(positives=[A | {"agreement": 1.5}]), "positives.0.agreement is 1.5: .*less than or equal to 1"),
        (content(positives=[A | {"agreement": float("nan")}]), "positives.0.agreement is nan"),
        (content(negatives="all others"), "negatives is 'all others', expected a list or 'rest of the corpus'"),
        (content(negatives=["cat", None]), "negatives.1 is None"),
        (content(negatives=["cat", ""]), "negatives.1 is '': expected a text that is not empty"),
        (content(negatives=None), "negatives is None"),
        (content(recipe="by hand"), "recipe is 'by hand'"),
        (content(recipe=None), "recipe is None"),
        (content(recipe={"supervision": "llm"}), "recipe: supervision is 'llm'"),
        (content(recipe={"encoder": "tiny"}), "recipe: encoder is 'tiny'"),
        (content(recipe={"method": ["hand"]}), "recipe: method is"),
        (content(recipe={"corpus": None}), "recipe: corpus is None"),
        (content(recipe={"prompts": "bare"}), "recipe: prompts is 'bare'"),
        (content(recipe={"adjectives": {"positives": 5}}), "recipe: adjectives.positives is 5"),
        (content(recipe={"adjectives": None}), "recipe: adjectives is None"),
        (content(positives=[A | {"images": 2**64}]), "positives.0.images is 18446744073709551616"),
        (content(recipe="deep").replace('"deep"', "[" * 100_000), "is not readable as JSON"),
        (content(recipe="deep").replace('"deep"', '{"a": ' * 500 + "1" + "}" * 500), "recursion limit"),
    ],
)
def test_what_is_no_label_set_is_refused(tmp_path: Path, text: str, words: str):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(LabelSetError, match=words):
        LabelSet.read(tmp_path / "x.json")


def test_bytes_that_are_no_text_a_folder_and_nothing_at_all(tmp_path: Path):
    (tmp_path / "x.json").write_bytes(b"\xff\xfe")
    for path, words in (
        ("x.json", "x.json is not readable as JSON: 'utf-8' codec"),
        (".", "is no label set"),
        ("none.json", "there is no label set"),
    ):
        with pytest.raises(LabelSetError, match=words):
            LabelSet.read(tmp_path / path)


def test_a_word_without_a_visible_character_is_empty(tmp_path: Path):
    MINED.write(tmp_path / "x.json")
    text = (tmp_path / "x.json").read_text()
    (tmp_path / "x.json").write_text(text.replace(f'"label": "{MINED.words[0]}"', '"label": "\\u200b"'))
    with pytest.raises(LabelSetError, match=r"positives\.0 is '\\u200b': expected a text that is not empty"):
        LabelSet.read(tmp_path / "x.json")


def test_another_encoder_is_refused_by_both_names():
    MINED.check_encoder("abc", "tiny")
    replace(MINED, recipe={}).check_encoder("def", "large")  # written by hand, made by no encoder
    with pytest.raises(LabelSetError, match=r"made with encoder 'tiny' \(abc\), the run uses 'large' \(def\)"):
        MINED.check_encoder("def", "large")
