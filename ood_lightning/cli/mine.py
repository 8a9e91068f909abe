"""`mine`: a label set from the stored features of ID images, again with another method, corpus or prompts."""

from functools import partial

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.encoders.base import Encoder
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.id_names import NamesCheck
from ood_lightning.places import FEATURES, expanded


def mine(
    encoder: Encoder,
    id_shards: str,
    source: LabelSource,
    corpus: Corpus,
    out: str,
    prompts: Prompts = Prompts(),  # noqa: B008
    votes: str | None = None,
    cache_dir: str = FEATURES,
    max_bad_samples: int = 0,
    names_check: NamesCheck = "refuse",
) -> int:
    """Mine a label set from an ID set's features.

    Args:
        encoder: whose features the set has; missing ones are made.
        id_shards: folder with a manifest or of pictures, or tars by a brace list.
        source: how to mine, such as ood_lightning.label_sets.clustermine.ClusterMine.
        corpus: words to mine from.
        out: `labels.json` to write.
        prompts: templates around each word.
        votes: `votes.safetensors` of a fit on the same set, for methods that need clusters.
        cache_dir: folder of all features.
        max_bad_samples: undecodable pictures that the set may have.
        names_check: what to do where the source is given names that are not those of the set's manifest.
    """
    from ood_lightning.checks import Check, before_work, file_check
    from ood_lightning.cli.without_trainer import checks_before, mined
    from ood_lightning.label_sets.training_images import Clusters

    sources = {type(source).__name__: source}
    checks = checks_before(
        encoder, cache_dir, id_shards, names_check, sources, corpus, prompts, clusters=votes is not None
    )
    if votes is not None:
        checks.append(Check("votes", partial(Clusters.describe, votes)))
    before_work([*checks, file_check("label set to write", out, "out")])

    made = mined(encoder, id_shards, source, corpus, prompts, votes, cache_dir, names_check, max_bad_samples)
    label_set = made.declared
    label_set.write(expanded(out))
    if made.remark:
        print(f"warning: {made.remark}")
    print(f"{len(label_set.positives)} positives: {', '.join(label_set.words[:12])}, ...\nlabel set: {out}")
    return 0
