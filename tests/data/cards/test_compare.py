"""A set against its card: confirmed counts are errors, remembered ones warnings."""

from dataclasses import replace

import pytest

from ood_lightning.data.cards.compare import Difference, differences
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.errors import SettingsError


def packed(samples: int, **about: object) -> Manifest:
    return replace(Manifest("x", "ood", (Shard("a.tar", samples, 0),)), **about)


def test_a_set_as_the_card_says_differs_in_nothing():
    assert differences(packed(5160, protocol="textures43"), "textures43") == []
    assert differences(packed(15869, protocol="openimage-o@openood"), "openimage-o@openood") == []
    names = tuple(map(str, range(200)))
    assert differences(packed(7500, role="covariate", class_names=names), "imagenet-a") == []
    assert differences(packed(1), "species") == [], "nobody states a count"


def test_another_count_is_certain_only_where_the_card_is():
    (found,) = differences(packed(5640), "textures43")
    assert found.certain
    assert found.text == "5,640 pictures, the card textures43 says 5,160 (counted in a list)"
    found, *_ = differences(packed(50_000, role="covariate"), "imagenet-sketch")
    assert not found.certain
    assert "50,000 pictures, the card imagenet-sketch says 50,889 (remembered" in found.text


def test_the_protocol_with_that_count_is_named():
    (found,) = differences(packed(17632), "openimage-o@openood")
    assert found.text.endswith("; openimage-o has 17,632")
    assert differences(packed(5878, protocol="ninco"), "ninco@imagefolder") == [
        Difference("packed as 'ninco', compared with 'ninco@imagefolder'", True)
    ]


def test_role_and_class_names_are_worth_a_look():
    told = differences(packed(50_000, role="covariate"), "imagenet-val")
    assert [(one.text, one.certain) for one in told] == [
        ("role covariate, the card imagenet-val says id", False),
        ("0 class names, the card imagenet-val says 1,000 classes", False),
    ]
    with pytest.raises(SettingsError, match="no card 'x'"):
        differences(packed(1), "x")
