"""A label set from images, a corpus and an encoder."""

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.encoders.base import Encoder
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.places import FEATURES


def mine(
    id_shards: str,
    source: LabelSource,
    corpus: Corpus,
    encoder: Encoder,
    *,
    prompts: Prompts | None = None,
    votes: str | None = None,
    cache_dir: str = FEATURES,
) -> LabelSet:
    """The words of a corpus that stand for unlabelled ID images; `write` of the result stores it.

    Args:
        id_shards: the images: a folder with a manifest, or tars by a brace list. Missing features are made, and kept.
        source: how to mine, such as :class:`ood_lightning.label_sets.posmine.PosMine`.
        corpus: words to mine from, such as :class:`ood_lightning.corpora.wordnet.WordNet`.
        encoder: such as :class:`ood_lightning.encoders.openclip.OpenClip`; loaded here.
        prompts: templates around each word; None: the seven of open_clip.
        votes: `votes.safetensors` of a fit on the same images, for methods that need clusters.
        cache_dir: folder of all features.

    Raises:
        UserError: what the command `mine` refuses, in the same words.
    """
    from ood_lightning.cli.without_trainer import mined

    return mined(encoder, id_shards, source, corpus, prompts or Prompts(), votes, cache_dir).declared
