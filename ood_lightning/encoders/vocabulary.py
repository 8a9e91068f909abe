"""Whether a tokenizer can be the one that a text tower was trained with."""

from collections.abc import Sequence

from ood_lightning.errors import EncoderError

WORDS = ("dog", "cat", "犬", "猫")


def check_words(tokens: Sequence[Sequence[int]], vectors: int | None, encoder: str) -> None:
    """Refuse a tokenizer that knows no words, or that gives tokens for which the tower has no vectors.

    transformers makes a CLIP tokenizer of two tokens where a folder holds none; open_clip takes CLIP's for every config
    that names none, even SigLIP's.

    Args:
        tokens: what the tokenizer makes of each of `WORDS`.
        vectors: number of the tower's token embeddings; None where it is unknown.
        encoder: its name.

    Raises:
        EncoderError: saying which files are missing.
    """
    if len({tuple(word) for word in tokens}) == 1:
        raise EncoderError(
            f"encoder {encoder!r}: to its tokenizer {', '.join(WORDS)} are all the same: it knows no words. Put the "
            f"tokenizer's files beside the weights (tokenizer.json and tokenizer_config.json)"
        )

    highest = max(max(word) for word in tokens)
    if vectors is not None and highest >= vectors:
        raise EncoderError(
            f"encoder {encoder!r}: its tokenizer gives token {highest}, its text tower has {vectors} vectors: it was "
            f"trained with another tokenizer. Put that one's files beside the weights, and name it in a config of "
            f"open_clip (hf_tokenizer_name)"
        )
