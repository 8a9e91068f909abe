"""`mine`: label sets from stored features, again with another corpus, prompts or count."""

from __future__ import annotations

from pathlib import Path

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.encoders.base import Encoder
from ood_lightning.places import FEATURES


def mine(
    encoder: Encoder,
    id_shards: str,
    corpus: Corpus,
    out: str,
    prompts: Prompts = Prompts(),  # noqa: B008
    votes: str | None = None,
    min_images: int = 100,
    most: int | None = None,
    cache_dir: str = FEATURES,
    max_bad_samples: int = 0,
) -> int:
    """Mine a label set from an ID set's features: ClusterMine where clusters are given, PosMine otherwise.

    Args:
        encoder: whose features the set has; missing ones are made.
        id_shards: folder with a manifest, or tars by a brace list.
        corpus: words to mine from.
        out: `labels.json` to write.
        prompts: templates around each word.
        votes: `votes.safetensors` of a fit on the same set, for its clusters; None mines without clusters.
        min_images: PosMine's M.
        most: PosMine keeps at most so many words, those of the most images; None: all.
        cache_dir: folder of all features.
        max_bad_samples: undecodable pictures that the set may have.
    """
    from safetensors import SafetensorError, safe_open

    from ood_lightning.cli.device import pick
    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.datamodules.embedding import embed
    from ood_lightning.errors import SettingsError
    from ood_lightning.label_sets.clustermine import clustermine
    from ood_lightning.label_sets.nearest import nearest_words
    from ood_lightning.label_sets.posmine import posmine
    from ood_lightning.label_sets.recipe import recipe, with_adjectives

    device = pick()
    manifest = read_manifest(id_shards)
    clusters = None
    if votes is not None:
        try:
            with safe_open(votes, framework="pt") as stored:
                clusters, of_set = stored.get_tensor("cluster"), (stored.metadata() or {}).get("id_set")
        except (OSError, SafetensorError) as error:
            raise SettingsError(f"{votes} holds no votes of a fit: {error}") from error
        if of_set not in (None, manifest.fingerprint):
            raise SettingsError(f"{votes} was made on another set than {manifest.name!r}: name the one of the fit")
    folder = embed(encoder, manifest, cache_dir, device=device, max_bad_samples=max_bad_samples)
    features = folder.read(max_bad_samples)
    encoder.load(device)
    words = corpus.load()
    word_features = TextBank(encoder, cache_dir).features(words.words, prompts, words.name, words.parts)
    nearest = nearest_words(features.image, word_features, device)
    about = recipe(words, prompts, encoder, manifest)
    if clusters is None:
        labels = posmine(nearest.indices, words.words, min_images, about, most)
    else:
        if len(clusters) != len(features):
            raise SettingsError(
                f"{votes} has clusters for {len(clusters)} pictures, set {manifest.name!r} has {len(features)}"
            )
        labels = clustermine(clusters, nearest.indices, nearest.values, words.words, about)
    labels = with_adjectives(labels, words, prompts)
    labels.write(Path(out))
    print(f"{len(labels.positives)} positives: {', '.join(labels.words[:12])}, ...\nlabel set: {out}")
    return 0
