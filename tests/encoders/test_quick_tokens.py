"""Quick tokens are those of open_clip's own tokenizer."""

import random
import string

import open_clip
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer

from ood_lightning.encoders.quick_tokens import QuickTokenizer, quick

TEXTS = [
    "",
    " ",
    "!",
    "Crane & Co. &amp; a &lt;b&gt;",
    "a  photo\tof\nthe naïve café’s 猫",
    "don't we'll I'M 12345 x_y <start_of_text> <|endoftext|>",
    "schÃ¶n",  # a broken encoding, which is mended
    "\x1b[36mblue\x1b[0m \u200b \ufb01ne",
    "word " * 90,
    " ".join(str(i) for i in range(60)),
]


@pytest.mark.slow
@pytest.mark.parametrize("context", [None, 3, 16, 78])
def test_tokens_are_open_clips_own(context: int | None):
    draw = random.Random(0)
    ascii_texts = ["".join(draw.choices(string.printable, k=draw.randint(0, 120))) for _ in range(300)]
    published = SimpleTokenizer()
    texts = TEXTS + ascii_texts
    for _ in range(2):  # the second time from memory
        assert torch.equal(quick(SimpleTokenizer())(texts, context), published(texts, context))
    assert quick(published)([], context).shape == (0, context or 77)


def test_only_tokenizers_that_are_known_are_replaced():
    assert isinstance(quick(open_clip.get_tokenizer("ViT-B-16")), QuickTokenizer)
    for other in (SimpleTokenizer(clean="whitespace"), SimpleTokenizer(reduction_mask="simple"), len):
        assert quick(other) is other
