"""`save-detector`: a detector folder of a label set and a way to score."""

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.detectors.base import Detector
from ood_lightning.encoders.base import Encoder
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.id_names import NamesCheck
from ood_lightning.places import FEATURES


def save_detector(
    encoder: Encoder,
    label_set: LabelSource | str,
    score: Detector,
    corpus: Corpus,
    out: str,
    prompts: Prompts = Prompts(),  # noqa: B008
    id_train_shards: str | None = None,
    copy_weights: bool = False,
    cache_dir: str = FEATURES,
    names_check: NamesCheck = "refuse",
) -> int:
    """Make a detector folder, with which `predict` and Python score images.

    Args:
        encoder: the one that the label set was or is mined with.
        label_set: where the set comes from; a path stands for a label set on disk, such as `labels.json` of a fit.
        score: how images are scored; its own `labels` is not looked at.
        corpus: the one that the label set was or is mined from.
        out: folder to write.
        prompts: the ones that the label set was or is mined with.
        id_train_shards: ID training images, for label sets and detectors that look at some.
        copy_weights: copy the encoder's files into the folder, where they lie in a folder of this machine.
        cache_dir: folder of all features.
        names_check: what to do where the label set is given names that are not those of `id_train_shards`.
    """
    from ood_lightning.checks import before_work, folder_check
    from ood_lightning.cli.without_trainer import begin, checks_before
    from ood_lightning.detector_folder.save import save_detector as save
    from ood_lightning.label_sets.ready import make_label_sets
    from ood_lightning.label_sets.sources import as_source
    from ood_lightning.label_sets.training_images import IDTrainingSet

    name, kind = score.labels, type(score).__name__
    sources = {name: as_source(label_set)}
    checks = checks_before(
        encoder, cache_dir, id_train_shards, names_check, sources, corpus, prompts, detectors={kind: score}
    )
    before_work([*checks, folder_check("detector folder", out, "out")])

    extra_features = encoder.extra_features
    device, bank, available = begin(encoder, cache_dir, id_train_shards, names_check, extra_features=extra_features)
    made = make_label_sets(sources, corpus, prompts, bank, available)[name]
    if made.remark:
        print(f"warning: {made.remark}")

    provenance = {}
    if IDTrainingSet in available:
        manifest = available[IDTrainingSet].images.manifest
        provenance["sets"] = {"id_train": {"name": manifest.name, "fingerprint": manifest.fingerprint}}
    folder = save(out, score, made, available, provenance=provenance, copy_weights=copy_weights, device=device)
    megabytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    print(f"detector folder: {out} ({kind}, {len(made.label_set.positives):,} positives, {megabytes:,.1f} MB)")
    return 0
