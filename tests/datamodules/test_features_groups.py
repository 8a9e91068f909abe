"""An evaluation that names groups of cards in place of their sets."""

import yaml

from ood_lightning.data.cards.cards import read_group
from ood_lightning.datamodules.features import EvalFeatures
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.places import shipped


def test_a_group_stands_for_its_sets_in_its_order():
    encoder = OpenClip("ViT-B-16-quickgelu", "openai")
    data = EvalFeatures(encoder, ["a"], {"far": ["b", "group:openood-far"]}, ["group:openood-covariate", "c"])
    assert data.sources == [
        ("id", "", "a"),
        *(("covariate", "", f"shards/{name}") for name in ("imagenet-v2", "imagenet-c-openood", "imagenet-r")),
        ("covariate", "", "c"),
        ("ood", "far", "b"),
        *(("ood", "far", f"shards/{name}") for name in ("inaturalist", "textures43", "openimage-o-openood")),
    ]


def test_the_papers_evaluation_has_all_sets_of_its_table():
    config = yaml.safe_load((shipped("configs") / "imagenet" / "eval.yaml").read_text(encoding="utf-8"))
    settings = config["data"]["init_args"]
    sets = {key: settings[key] for key in ("id_shards", "ood_shards", "covariate_shards")}
    data = EvalFeatures(OpenClip("ViT-B-16-quickgelu", "openai"), **sets)
    assert len(data.sources) == 1 + len(read_group("clustermine").sets) + len(read_group("covariate").sets) == 12
    assert ("covariate", "", "shards/imagenet-c") in data.sources
