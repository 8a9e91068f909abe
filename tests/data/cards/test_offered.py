"""The table of shipped encoders: what it says of licences, sizes and the papers, and a table that is damaged."""

from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest
import yaml

from ood_lightning.data.cards.offered import TABLE, Offered, offered, read_table
from ood_lightning.errors import SettingsError

ROWS = {one.name: one for one in offered()}


def test_the_table_marks_the_twelve_of_the_figure_and_who_may_use_what():
    assert sum(one.figure is not None for one in offered()) == 12
    assert [one.name for one in offered() if one.figure == "certain"] == ["vit_h14_dfn5b"]
    assert {one.free for one in offered() if one.family == "MetaCLIP 2, worldwide" or "dfn" in one.name} == {False}


@pytest.mark.parametrize(("name", "twin"), [("hf_clip_vit_b16", "vit_b16_openai"), ("hf_siglip_b16", "vit_b16_siglip")])
def test_the_same_model_through_transformers_has_the_same_numbers(name: str, twin: str):
    def numbers(one: Offered) -> tuple[float, ...]:
        return one.dim, one.pixels, one.params

    assert numbers(ROWS[name]) == numbers(ROWS[twin])


def test_what_is_fetched_follows_from_the_parameters():
    assert ROWS["vit_h14_laion2b"].gigabytes == pytest.approx(3.94, abs=0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table["encoders"][0].pop("dim"), r"encoders\.0\.dim is missing"),
        (lambda table: table["encoders"][0].update(dim="192"), r"encoders\.0\.dim is '192'"),
        (lambda table: table["encoders"][0].update(colour="red"), r"encoders\.0\.colour is a key that nothing here"),
        (
            lambda table: table["encoders"][0].update(licence="beer"),
            r"encoders\.0\.licence is 'beer', which is none of",
        ),
        (lambda table: table["encoders"][0].update(family="x"), r"encoders\.0\.family is 'x', which is none of"),
    ],
)
def test_a_damaged_table_is_named_by_its_field(change: Callable[[Any], None], words: str):
    content = yaml.safe_load(resources.files("ood_lightning").joinpath(TABLE).read_text(encoding="utf-8"))
    change(content)
    with pytest.raises(SettingsError, match=words):
        read_table(content)
