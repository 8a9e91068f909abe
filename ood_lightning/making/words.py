"""The words that pictures are compared with: which templates, how long encoding takes, and a file to keep them in."""

from collections.abc import Callable
from time import perf_counter

from ood_lightning.corpora.prompts import BARE, SIMPLE_7, Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.data.artifacts.store import is_stored, opened
from ood_lightning.encoders.base import Encoder
from ood_lightning.label_sets.vocabulary import Vocabulary, one_text_each
from ood_lightning.places import expanded
from ood_lightning.plurals import many

TRIED = 64  # texts that the rate is measured on
PHOTO = ("a photo of a {}.",)
DRAWING_MODEL = "builtin:pictograms/model"


def default_prompts(encoder: Encoder, device: str) -> Prompts:
    """One template on a processor, where every text takes its time, and seven on a GPU; the bare word for drawings."""
    if encoder.name == DRAWING_MODEL:
        return Prompts(BARE)
    return Prompts(SIMPLE_7 if device == "cuda" else PHOTO)


def encoded_vocabulary(
    corpus: Corpus, prompts: Prompts, bank: TextBank, file: str | None, say: Callable[[str], object]
) -> Vocabulary:
    """The corpus with its features: from the cache, from a file that was passed on, or encoded now.

    Args:
        corpus: whose words.
        prompts: templates around each word.
        bank: of a loaded encoder.
        file: features that another machine encoded, or where to keep them for others; None: only the cache.
        say: takes how long encoding will take, before it begins.

    Raises:
        FeatureError: the file is damaged, or of another encoder, corpus or prompts.
    """
    import torch

    words = one_text_each(corpus.load(), prompts, bank.encoder)
    stored = bank.file(words.words, prompts, words.parts)
    passed_on = None if file is None else expanded(file)

    if passed_on is not None and passed_on.is_file() and not is_stored(stored.path):
        with opened(passed_on, stored.provenance, "leave --text_features out, or name another file") as store:
            store.tensor("text")  # compared with its checksum
        atomic_write(stored.path, passed_on.read_bytes())
        say(f"reusing the features of {many(len(words), 'word')} from {file}")
    elif is_stored(stored.path):
        say(f"reusing the features of {many(len(words), 'word')} in {stored.path}")
    else:
        say(_duration(len(words), prompts, bank))
    vocabulary = Vocabulary(words, torch.empty(0, 0), prompts, bank).encoded()

    if passed_on is not None and not passed_on.is_file():
        atomic_write(passed_on, stored.path.read_bytes())
        say(f"text features kept in {file}: pass them on with --text_features")
    return vocabulary


def _duration(n_words: int, prompts: Prompts, bank: TextBank) -> str:
    """How long encoding will take, in words, from a first few texts."""
    texts = [prompts.fill(f"word {i}", "noun")[0] for i in range(TRIED)]
    bank.encoder.encode_text(texts)  # brings the weights
    started = perf_counter()
    bank.encoder.encode_text(texts)
    rate = TRIED / (perf_counter() - started)

    n_texts = n_words * len(prompts.of("noun"))
    minutes = n_texts / rate / 60
    return (
        f"{n_texts:,} texts to encode, once for this encoder: about {rate:,.0f} a second, so "
        f"{f'{minutes:.0f} minutes' if minutes >= 1.5 else f'{60 * minutes:.0f} seconds'}"
    )
