"""Prompt templates: slots, parts of speech, fingerprints, the mean over sentences, and the published sets."""

import subprocess
import sys
from pathlib import Path

import jsonargparse
import published_prompts as published
import pytest
import torch
import yaml

from ood_lightning.corpora.prompts import BARE, OPENAI_80, SIMPLE_7, Order, Prompts, ensemble
from ood_lightning.errors import CorpusError

CONFIGS = Path(__file__).parents[2] / "configs"
PARTED = Prompts(("a {}", "the {}", "{}"), "mean-then-normalise", ("{} thing", "a {} one"))
SETS = {
    "bare": BARE,
    "basic": published.BASIC,
    "ming5": published.MING_5,
    "nice": published.NICE,
    "simple7": SIMPLE_7,
    "openai80": OPENAI_80,
}


@pytest.fixture
def features() -> torch.Tensor:
    """Of very different lengths, so that the two orders differ."""
    rng = torch.Generator().manual_seed(0)
    lengths = torch.tensor([0.1, 1.0, 30.0, 5.0])
    return torch.randn(6, 4, 8, generator=rng) * lengths[:, None]  # (W, J, D)


def by_loop(features: torch.Tensor, order: str) -> torch.Tensor:
    rows = []
    for sentences in features.double():
        total = torch.zeros(sentences.shape[1], dtype=torch.float64)
        for sentence in sentences:
            total += sentence / sentence.square().sum().sqrt() if order == "normalise-then-mean" else sentence
        rows.append(total / total.square().sum().sqrt())
    return torch.stack(rows)


@pytest.mark.parametrize("order", ["normalise-then-mean", "mean-then-normalise"])
def test_both_orders_match_a_loop(features: torch.Tensor, order: Order):
    torch.testing.assert_close(ensemble(features, order).double(), by_loop(features, order), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ensemble(features.double(), order), by_loop(features, order))
    torch.testing.assert_close(ensemble(features.half(), order), ensemble(features.half().float(), order))


def test_the_orders_differ_where_lengths_do(features: torch.Tensor):
    first, second = ensemble(features, "normalise-then-mean"), ensemble(features, "mean-then-normalise")
    assert (first - second).abs().max() > 0.1


def test_orders_agree_for_one_template_and_copies_of_it_change_nothing(features: torch.Tensor):
    single = features[:, :1]
    expected = single[:, 0] / single[:, 0].norm(dim=-1, keepdim=True)
    orders: tuple[Order, Order] = ("normalise-then-mean", "mean-then-normalise")
    for order in orders:
        torch.testing.assert_close(ensemble(single, order), expected)
        torch.testing.assert_close(ensemble(single.expand(-1, 5, -1), order), expected)


def test_the_word_goes_where_the_slot_is_and_braces_in_it_stay():
    assert Prompts(("a {}.", "{} in a box")).fill("set {}") == ["a set {}.", "set {} in a box"]
    assert len(Prompts().fill("crane")) == 7


@pytest.mark.parametrize(
    ("template", "n_slots"), [("a photo", 0), ("a {} and a {}", 2), ("a {0}", 0), ("a {label}", 0)]
)
def test_a_template_has_exactly_one_slot(template: str, n_slots: int):
    with pytest.raises(
        CorpusError, match=rf"prompt template 1, .*has {n_slots} slots '{{}}' and must have exactly one"
    ):
        Prompts(("{}", template))


def test_no_templates_one_text_and_an_unknown_order_are_refused():
    with pytest.raises(CorpusError, match="at least one"):
        Prompts(())
    with pytest.raises(CorpusError, match="a list is expected"):
        Prompts("a {}.")  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match="expected one of normalise-then-mean, mean-then-normalise"):
        Prompts(order="sum")  # type: ignore[arg-type]


def test_the_fingerprint_tells_templates_their_order_and_the_order_of_the_mean_apart():
    made = {
        Prompts().fingerprint,
        Prompts(SIMPLE_7[::-1]).fingerprint,
        Prompts(SIMPLE_7[:6]).fingerprint,
        Prompts(order="mean-then-normalise").fingerprint,
        Prompts(("a {}", "b")[:1]).fingerprint,
    }
    assert len(made) == 5
    assert Prompts(list(SIMPLE_7)).fingerprint == Prompts().fingerprint  # type: ignore[arg-type]
    assert Prompts().fingerprint == "ece5cbf14cd9496bf649e808a8d855fcc55ec8f440482732fe8096aac4af8d99"


def test_sets_are_the_published_ones():
    assert [len(templates) for templates in SETS.values()] == [1, 1, 5, 1, 7, 80]
    assert len(set(OPENAI_80)) == 80
    assert set(published.MING_5) < set(OPENAI_80)
    assert set(SIMPLE_7) < set(OPENAI_80)
    assert published.NEGLABEL_NOUN + published.NEGLABEL_ADJECTIVE == ("the nice {}", "This is a {} photo")


@pytest.mark.slow
def test_openai80_and_simple7_are_those_of_open_clip():
    open_clip = pytest.importorskip("open_clip")
    assert tuple(fill("{}") for fill in open_clip.OPENAI_IMAGENET_TEMPLATES) == OPENAI_80
    assert tuple(fill("{}") for fill in open_clip.SIMPLE_IMAGENET_TEMPLATES) == SIMPLE_7


@pytest.mark.parametrize("name", SETS)
def test_each_config_is_its_constant(name: str):
    path = CONFIGS / "prompts" / f"{name}.yaml"
    assert Prompts(**yaml.safe_load(path.read_text())) == Prompts(SETS[name])
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--prompts", type=Prompts)
    parsed = parser.instantiate_classes(parser.parse_args([f"--prompts={path}"])).prompts
    assert (parsed.templates, parsed.order) == (SETS[name], "normalise-then-mean")


def test_the_templates_of_clipn_keep_the_quotes_that_reach_its_tokenizer():
    templates = Prompts(**yaml.safe_load((CONFIGS / "prompts" / "clipn128.yaml").read_text())).templates
    assert len(set(templates)) == len(templates) == 128
    assert [line for line in templates if not (line.startswith("'") and line.endswith(".'"))] == [
        "'a photo of a {}.',",
        "'a photo with a {}.',",
    ]
    bare = [line.strip("',") for line in templates]
    assert set(bare[:64]) < set(OPENAI_80)
    assert not set(bare[64:]) & set(OPENAI_80)


def test_prompts_know_their_parts_apart():
    assert PARTED.fill("red", "adj") == ["red thing", "a red one"]
    assert PARTED.fill("red") == ["a red", "the red", "red"]
    assert PARTED.without_adjectives().fill("red", "adj") == ["a red", "the red", "red"]


def test_the_fingerprint_knows_adjectives_and_is_the_old_one_without():
    old = "ece5cbf14cd9496bf649e808a8d855fcc55ec8f440482732fe8096aac4af8d99"
    assert Prompts().fingerprint == Prompts(adjectives=None).fingerprint == old
    prompts_of = [Prompts(("{}",)), Prompts(("{}",), adjectives=("{}",)), Prompts(("{}",), adjectives=("a {}",))]
    assert len({prompts.fingerprint for prompts in prompts_of}) == 3


def test_adjectives_templates_are_checked_as_the_others():
    with pytest.raises(CorpusError, match=r"adjectives' template 1, 'photo', has 0 slots"):
        Prompts(("{}",), adjectives=("{}", "photo"))
    with pytest.raises(CorpusError, match=r"no prompt adjectives: give at least one"):
        Prompts(("{}",), adjectives=())
    with pytest.raises(CorpusError, match=r"adjectives is the text 'a \{\}'; a list is expected"):
        Prompts(("{}",), adjectives="a {}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("neglabel", Prompts(published.NEGLABEL_NOUN, adjectives=published.NEGLABEL_ADJECTIVE)),
        ("oovlm", Prompts(published.OOVLM_NOUN, adjectives=published.OOVLM_ADJECTIVE)),
        ("csp", Prompts(published.CSP_NOUN, "mean-then-normalise", published.CSP_ADJECTIVE)),
        ("mcm", Prompts(published.MCM_NAME)),
    ],
)
def test_configs_of_the_methods_are_their_constants(name: str, expected: Prompts):
    assert Prompts(**yaml.safe_load((CONFIGS / "prompts" / f"{name}.yaml").read_text())) == expected
    assert (len(published.CSP_NOUN), len(published.CSP_ADJECTIVE)) == (8, 4)


def test_prompts_are_read_without_torch():
    code = "import sys, ood_lightning.corpora.prompts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
