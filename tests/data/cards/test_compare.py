"""A set against its card: confirmed counts are errors, remembered ones warnings."""

from dataclasses import replace

import pytest

from ood_lightning.data.cards.cards import find
from ood_lightning.data.cards.compare import Difference, differences
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.errors import SettingsError


def stated(reference: str) -> int:
    """The number of pictures that a card states."""
    images = find(reference)[1].images
    assert images is not None
    return images


def packed(samples: int, **entries: object) -> Manifest:
    return replace(Manifest("x", "ood", (Shard("a.tar", samples, 0),)), **entries)


def test_a_set_as_the_card_says_differs_in_nothing():
    for reference in ("textures43", "openimage-o@openood"):
        assert differences(packed(stated(reference), protocol=reference), reference) == []

    names = tuple(map(str, range(find("imagenet-a")[0].classes or 0)))
    assert differences(packed(stated("imagenet-a"), role="covariate", class_names=names), "imagenet-a") == []
    assert differences(packed(1), "species") == [], "nobody states a count"


def test_another_count_is_certain_only_where_the_card_is():
    expected = stated("textures43")
    (difference,) = differences(packed(expected + 1), "textures43")
    assert difference.certain
    assert difference.text == (f"{expected + 1:,} pictures, the card textures43 says {expected:,} (counted in a list)")

    expected = stated("imagenet-sketch")
    difference, *_ = differences(packed(expected - 1, role="covariate"), "imagenet-sketch")
    assert not difference.certain
    assert f"{expected - 1:,} pictures, the card imagenet-sketch says {expected:,} (remembered" in difference.text


def test_the_protocol_with_that_count_is_named():
    (difference,) = differences(packed(stated("openimage-o")), "openimage-o@openood")
    assert difference.text.endswith(f"; openimage-o has {stated('openimage-o'):,}")
    assert differences(packed(stated("ninco@imagefolder"), protocol="ninco"), "ninco@imagefolder") == [
        Difference("packed as 'ninco', compared with 'ninco@imagefolder'", True)
    ]


def test_role_and_class_names_are_worth_a_look():
    differing = differences(packed(stated("imagenet-val"), role="covariate"), "imagenet-val")
    assert [(difference.text, difference.certain) for difference in differing] == [
        ("role covariate, the card imagenet-val says id", False),
        ("0 class names, the card imagenet-val says 1,000 classes", False),
    ]
    with pytest.raises(SettingsError, match="no card 'x'"):
        differences(packed(1), "x")
