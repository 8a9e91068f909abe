"""Texts longer than a tower's context are logged, all of them and no others; towers without texts are refused."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor

from ood_lightning.corpora import texts as corpora_texts
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.encoders.tokens import cut
from ood_lightning.errors import EncoderError

CONTEXT = 8
PADDING = 1
CLIP_WORDS = ["dog", "!", "!%", "猫", "12"]


class Sentences:
    """A tokenizer of one token a word. Texts end with the padding's token, as SigLIP's, or with none, as SigLIP 2's."""

    def __init__(self, ends: bool) -> None:
        self.ends = ends

    def __call__(self, texts: list[str], context_length: int = CONTEXT) -> Tensor:
        rows = []
        for text in texts:
            tokens = [5 + len(word) for word in text.split()]
            tokens = [*tokens[: context_length - 1], PADDING] if self.ends else tokens[:context_length]
            rows.append([*tokens, *[PADDING] * (context_length - len(tokens))])
        return torch.tensor(rows)


def texts_of(n_words: int) -> list[str]:
    return [" ".join([word] * n) for word in CLIP_WORDS for n in range(n_words)]


def test_clips_tokenizer_cuts_exactly_the_texts_that_are_counted():
    tokenizer, texts = open_clip.SimpleTokenizer(context_length=CONTEXT), texts_of(CONTEXT + 3)
    expected = [i for i, text in enumerate(texts) if len(tokenizer.encode(text)) + 2 > CONTEXT]
    assert 0 < len(expected) < len(texts)
    assert cut(texts, tokenizer(texts), tokenizer, 0) == expected


@pytest.mark.parametrize("ends", [True, False])
def test_tokenizers_that_pad_with_the_end_or_have_none(ends: bool):
    tokenizer = Sentences(ends)
    texts = [" ".join(["ab"] * n) for n in range(2 * CONTEXT)]
    assert cut(texts, tokenizer(texts), tokenizer, PADDING) == [n for n in range(2 * CONTEXT) if n + ends > CONTEXT]


def test_nothing_is_tokenised_again_where_all_rows_are_padded():
    def never(*args: Any, **options: Any) -> Tensor:
        raise AssertionError("tokenised again")

    assert cut(["dog"] * 3, open_clip.SimpleTokenizer(context_length=CONTEXT)(["dog"] * 3), never, 0) == []


def test_an_encoder_logs_how_many_were_cut_and_which_came_first(tiny_model: Path, caplog: pytest.LogCaptureFixture):
    encoder = OpenClip(f"local-dir:{tiny_model}", text_batch=2)  # a context of 16
    fits, long, longer = ("dog " * n for n in (14, 15, 40))
    caplog.set_level(logging.WARNING, "ood_lightning")
    encoder.encode_text(["cat", fits, "tree"])
    assert not caplog.records

    features = encoder.encode_text(["cat", longer, fits, long, "tree"])
    (record,) = caplog.records
    message = record.getMessage()
    assert f"2 of 5 texts are longer than the 16 tokens that local-dir:{tiny_model} reads" in message
    assert message.endswith(f"the first: {longer!r}")
    torch.testing.assert_close(features[1], features[3])  # cut to the same text


def test_a_list_of_words_has_one_line_in_the_log_in_however_many_calls_it_is_encoded(
    tiny_model: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(corpora_texts, "WORDS_AT_ONCE", 2)
    words = [" ".join(["dog"] * n) for n in (1, 2, 3, 20, 4, 15, 30)]
    prompts = Prompts(("{}",), adjectives=("{}", "dog {}"))
    caplog.set_level(logging.WARNING, "ood_lightning")
    bank = TextBank(OpenClip(f"local-dir:{tiny_model}"), "cache")

    bank.features(words, prompts, parts=["noun"] * 5 + ["adj"] * 2)
    (record,) = caplog.records
    assert "5 of 9 texts are longer" in record.getMessage()
    assert record.getMessage().endswith(f"the first: {words[3]!r}")

    bank.features(words, prompts, parts=["noun"] * 5 + ["adj"] * 2)  # from the cache
    bank.encoder.encode_text(words[3:5])
    assert ["1 of 2 texts" in record.getMessage() for record in caplog.records] == [False, True]


def test_a_model_without_a_text_tower_is_refused_in_words(tiny_model: Path, tmp_path: Path):
    folder = tmp_path / "blind"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "open_clip_config.json").read_text())
    del config["model_cfg"]["text_cfg"]
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderError, match="have no 'text_cfg'; an encoder needs an image and a text tower"):
        OpenClip(f"local-dir:{folder}").encode_text(["dog"])
