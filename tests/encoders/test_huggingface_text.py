"""Texts of transformers' models: batches give what a model gives of one text, and are no longer than they need be."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ood_lightning.encoders.huggingface import HuggingFace

transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

from tiny_transformers import CONTEXT, TEXTS, one_text_at_a_time, tokenizer  # noqa: E402

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.mark.parametrize("text_batch", [1, 3, 512])
def test_texts_in_batches_are_those_of_one_at_a_time(model_folder: Path, text_batch: int):
    features = HuggingFace(str(model_folder), text_batch=text_batch).encode_text(TEXTS)
    expected = one_text_at_a_time(model_folder)
    assert expected.std(dim=0).min() > 0.01  # or the comparison could not fail
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)


def seen_by_tower(encoder: HuggingFace, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """Arguments of each call of the text tower from now on."""
    model = encoder._towers.model
    original = model.get_text_features
    calls: list[dict[str, Tensor]] = []

    def spy(**tokens: Tensor) -> Any:
        calls.append(tokens)
        return original(**tokens)

    monkeypatch.setattr(model, "get_text_features", spy)
    return calls


def test_causal_texts_are_trimmed_and_siglips_keep_their_padding(
    clip: Path, siglip: Path, monkeypatch: pytest.MonkeyPatch
):
    trimmed, kept = (HuggingFace(str(folder), text_batch=2) for folder in (clip, siglip))

    calls = seen_by_tower(trimmed, monkeypatch)
    trimmed.encode_text(TEXTS)
    widths = [tokens["input_ids"].shape[1] for tokens in calls]
    assert min(widths) <= 4 < max(widths) == CONTEXT

    calls = seen_by_tower(kept, monkeypatch)
    kept.encode_text(TEXTS)
    assert {tokens["input_ids"].shape[1] for tokens in calls} == {CONTEXT}
    assert all(tokens.keys() == {"input_ids"} for tokens in calls)


def test_siglip_without_its_padding_would_be_another_feature(siglip: Path):
    """What the test above would miss if the padding did not matter."""
    model, tok = transformers.AutoModel.from_pretrained(siglip).eval(), tokenizer()
    with torch.inference_mode():
        short = model.get_text_features(input_ids=tok("dog", return_tensors="pt")["input_ids"]).pooler_output
    assert (short - one_text_at_a_time(siglip, ["dog"])).abs().max() > 0.01


def test_siglips_texts_are_lower_cased_and_clips_left_to_its_tokenizer(clip: Path, siglip: Path):
    upper, lower = HuggingFace(str(siglip)).encode_text(["A Dog", "a dog"])
    torch.testing.assert_close(upper, lower, atol=1e-5, rtol=0)
    upper, lower = HuggingFace(str(clip)).encode_text(["A Dog", "a dog"])
    assert (upper - lower).abs().max() > 0.01


def test_texts_that_were_cut_are_logged(model_folder: Path, caplog: pytest.LogCaptureFixture):
    exact = " dog" * (CONTEXT - 2)  # and a token at either end
    assert len(tokenizer()(exact)["input_ids"]) == CONTEXT
    HuggingFace(str(model_folder)).encode_text(["dog", exact])
    assert not caplog.messages

    HuggingFace(str(model_folder), text_batch=1).encode_text(["dog", exact + " dog", TEXTS[3]])
    assert caplog.messages == [
        f"2 of 3 texts are longer than the {CONTEXT} tokens that {model_folder} reads and were cut; the first: "
        f"{exact + ' dog'!r}"
    ]


def test_the_order_of_many_texts_is_kept(clip: Path):
    texts = [f"{'very ' * (i % 3)}{i}" for i in range(150)]
    progress: list[int] = []
    features = HuggingFace(str(clip), text_batch=1).encode_text(texts, progress.append)  # 64 are sorted together
    assert progress == [1] * 150
    torch.testing.assert_close(features, one_text_at_a_time(clip, texts), atol=1e-5, rtol=1e-5)
