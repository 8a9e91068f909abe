"""Cards: complete, with the counts that their sources state, and recipes whose parts were run on small stand-ins."""

import hashlib
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest
import yaml

from ood_lightning.cli import embed
from ood_lightning.cli.parser import parsed
from ood_lightning.data.cards.cards import (
    FOLDER,
    NOT_STATED,
    card_names,
    find,
    group_names,
    groups_of,
    read_card,
    read_group,
)
from ood_lightning.data.shards.manifest import Role
from ood_lightning.errors import SettingsError, UserError
from ood_lightning.report.cards import ENCODER, commands, embedding, packing

ROOT = Path(__file__).parents[3]
# pictures, whether a list or a paper states them, classes; None: no source says
COUNTS: dict[str, tuple[int | None, bool, int | None]] = {
    "imagenet-train": (1_281_167, True, 1000),
    "imagenet-val": (50_000, True, 1000),
    "imagenet-val@openood": (45_000, True, 1000),
    "imagenet-v2": (10_000, True, 1000),
    "imagenet-a": (7_500, True, 200),
    "imagenet-r": (30_000, True, 200),
    "imagenet-sketch": (50_889, False, 1000),
    "imagenet-c": (10_000, True, 1000),  # ours, by definition
    "imagenet-c@full": (3_750_000, False, 1000),
    "imagenet-c@openood": (10_000, False, 1000),
    "imagenet-10": (500, True, 10),
    "imagenet-10@train": (None, False, 10),
    "imagenet-20": (1_000, True, 20),
    "imagenet-100": (5_000, True, 100),
    "imagenet-99": (4_950, True, 99),
    "cub": (11_788, True, 200),
    "cub@test": (5_794, True, 200),
    "cars": (16_185, True, 196),
    "cars@test": (8_041, True, 196),
    "food101": (101_000, True, 101),
    "food101@test": (25_250, True, 101),
    "pets": (7_349, True, 37),
    "pets@test": (3_669, True, 37),
    "waterbirds": (5_794, True, 2),
    "waterbirds@all": (11_788, True, 2),
    "cifar10": (10_000, True, 10),
    "cifar100": (10_000, True, 100),
    "inaturalist": (10_000, True, 110),
    "sun": (10_000, True, 50),
    "places": (10_000, True, 50),
    "textures": (5_640, True, 47),
    "textures@test": (1_880, False, 47),
    "textures43": (5_160, True, 43),
    "openimage-o": (17_632, True, None),
    "openimage-o@openood": (15_869, True, None),
    "openimage-o@openood-val": (1_763, True, None),
    "imagenet-o": (2_000, True, 200),
    "imagenet-ood": (31_802, True, 637),
    "ninco": (5_879, True, 64),
    "ninco@imagefolder": (5_878, True, 64),
    "ninco-clean": (2_715, True, 11),
    "ninco-unit-tests": (6_800, True, 17),
    "ninco-v2": (None, False, None),
    "ssb-hard": (49_000, True, 980),
    "species": (None, False, None),
    "placesbg": (None, False, None),
    "pictograms": (488, True, 108),
}
GROUPS = {
    "clustermine": "ninco imagenet-o openimage-o inaturalist imagenet-ood textures43",
    "clustermine-further": "places textures sun ssb-hard ninco-v2",
    "negrefine": "inaturalist openimage-o ninco-clean ninco@imagefolder",
    "classic": "inaturalist sun places textures",
    "openood-near": "ssb-hard ninco",
    "openood-far": "inaturalist textures43 openimage-o@openood",
    "openood-covariate": "imagenet-v2 imagenet-c@openood imagenet-r",
    "covariate": "imagenet-sketch imagenet-r imagenet-a imagenet-v2 imagenet-c",
    "imagenet": "imagenet-train imagenet-val",
    "imagenet-subsets": "imagenet-10 imagenet-20 imagenet-99 imagenet-100",
    "fine-grained": "cub cars food101 pets waterbirds",
}
CONTAMINATION = {  # percent; ID among the judged
    "inaturalist": (2.5, 10, 393),
    "places": (59.3, 227, 383),
    "textures": (25.6, 99, 387),
    "openimage-o": (4.9, 19, 387),
    "imagenet-o": (20.2, 78, 387),
    "species": (57.0, 228, 400),
}
TOP1 = {  # ImageNet-1K
    "ViT-H-14-quickgelu/dfn5b": 83.44,
    "ViT-bigG-14/laion2b_s39b_b160k": 80.09,
    "ViT-H-14/laion2b_s32b_b79k": 77.96,
    "ViT-L-14-quickgelu/openai": 75.54,
    "ViT-B-16-quickgelu/openai": 68.34,
    "ViT-B-16/laion2b_s34b_b88k": 70.23,
    "ViT-L-14/laion2b_s32b_b82k": 75.25,
    "ViT-B-16-quickgelu/dfn2b": 76.24,
    "ViT-L-14-quickgelu/dfn2b": 81.41,
    "ViT-B-16-SigLIP/webli": 76.04,
    "ViT-L-16-SigLIP-256/webli": 80.45,
    "ViT-SO400M-14-SigLIP/webli": 82.03,
}
REFERENCES = sorted(COUNTS)


def every_reference() -> set[str]:
    return {card.reference(one) for card in map(read_card, card_names()) for one in card.protocols}


def bash(script: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # `python` is the one that runs this
    command, environment = ["bash", "-euo", "pipefail", "-c", script], {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", card_names())
def test_a_card_is_complete(name: str):
    card = read_card(name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert card.role in get_args(Role)
    assert all((card.title, card.licence, card.citation, card.traps))
    assert re.fullmatch(r"https://\S+", card.source)
    assert not card.paper or re.fullmatch(r"https://\S+", card.paper)
    assert (card.role == "ood") == (card.contamination is not None)
    assert card.role == "ood" or card.classes is not None
    for protocol in card.protocols:
        assert re.fullmatch(r"[a-z0-9-]+", protocol.name)
        assert protocol.rule
        assert protocol.evidence
        assert protocol.images is None or protocol.images > 0
        assert not (protocol.images is None and protocol.confirmed), "a count that nobody states is confirmed"
        assert not ("remembered" in protocol.evidence and protocol.confirmed and "paper" not in protocol.evidence)
        assert bool(protocol.blocks) <= bool(protocol.pack), "commands that lead to no shards"
    for mirror in card.mirrors:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", mirror.at)
        assert mirror.holds


def test_every_count_is_that_of_its_source():
    assert every_reference() == set(COUNTS)
    for reference, expected in COUNTS.items():
        card, protocol = find(reference)
        assert (protocol.images, protocol.confirmed, card.classes) == expected, reference


def test_counts_fit_one_another():
    pictures = {reference: find(reference)[1].images or 0 for reference in REFERENCES}
    assert pictures["openimage-o@openood"] + pictures["openimage-o@openood-val"] == pictures["openimage-o"]
    assert pictures["textures"] == 47 * 120
    assert pictures["textures43"] == pictures["textures"] - 120 * len(read_card("textures43").excludes)
    assert pictures["ninco"] == pictures["ninco@imagefolder"] + 1
    assert pictures["ssb-hard"] == 980 * 50
    assert pictures["ninco-unit-tests"] == 17 * 400
    assert pictures["imagenet-c@full"] == 15 * 5 * pictures["imagenet-val"]
    sources = [int(n) for n in re.findall(r"\b(\d+) (?:of )?[A-Z0-9i]", " ".join(read_card("ninco-clean").checks))]
    assert (len(sources), sum(sources)) == (11, pictures["ninco-clean"])


def test_shares_of_id_pictures_follow_from_what_was_judged():
    for name, (percent, shown, judged) in CONTAMINATION.items():
        said = read_card(name).contamination
        assert said is not None
        assert said.percent == percent == round(100 * shown / judged, 1)
        assert f"{shown} of {judged} judged" in said.note


def test_groups_hold_the_papers_sets():
    assert set(group_names()) == set(GROUPS)
    for name, expected in GROUPS.items():
        group = read_group(name)
        assert group.sets == tuple(expected.split())
        roles = {find(one)[0].role for one in group.sets}
        assert len(roles) == 1
        assert (roles == {"id"}) == (not group.id_set)
        assert not group.id_set or find(group.id_set)[0].role == "id"
        assert re.fullmatch(r"https://\S+", group.paper)
        assert group.title
        assert group.note
    assert groups_of("inaturalist") == ["classic", "clustermine", "negrefine", "openood-far"]
    assert groups_of("species") == []


def test_no_address_without_encryption_and_nothing_that_yaml_reads_otherwise():
    for path in [*FOLDER.rglob("*.yaml"), *FOLDER.rglob("*.sh")]:
        text = path.read_text(encoding="utf-8")
        assert "http://" not in text, path
        if path.suffix == ".yaml" and path.parent == FOLDER:
            flat = yaml.safe_load(text)
            assert all(isinstance(line, str) for line in [*flat["checks"], *flat["traps"]]), path


def test_choices_of_imagenets_classes_are_whole():
    lists = {n: read_card(f"imagenet-{n}").synsets for n in (10, 20, 99, 100)}
    assert all(len(set(synsets)) == n for n, synsets in lists.items())
    assert lists[99] == tuple(one for one in lists[100] if one not in read_card("imagenet-99").excludes)
    digests = {n: hashlib.sha256(" ".join(lists[n]).encode()).hexdigest()[:12] for n in (10, 20, 100)}
    assert digests == {10: "92285a054a32", 20: "53b09cea54c2", 100: "a2297e9af0d3"}
    spec = find_spec("timm")
    assert spec is not None
    assert spec.origin is not None
    known = Path(spec.origin).parent / "data" / "_info" / "imagenet_synsets.txt"
    assert {one for synsets in lists.values() for one in synsets} <= set(known.read_text().split())


def test_zero_shot_figures_are_those_of_open_clip():
    card = read_card("imagenet-val")
    assert card.top1 is not None
    assert dict(card.top1.percent) == TOP1
    assert card.published_top1("ViT-H-14-quickgelu/dfn5b", card.protocol("openood")) == 83.44
    assert card.published_top1("ViT-H-14/dfn5b", card.protocol()) is None, "the name that loads another activation"
    figures = {name: top1 for name in card_names() if (top1 := read_card(name).top1) and name != "pictograms"}
    for name, top1 in figures.items():
        assert {model for model, _ in top1.percent} == set(TOP1)
        assert top1.source == card.top1.source
        assert all(20 < percent < 100 for _, percent in top1.percent)
        assert all(template.count("{}") == 1 for template in top1.templates)
        assert not top1.templates or not name.startswith("imagenet")
        assert set(top1.protocols) < {protocol.name for protocol in read_card(name).protocols}
        assert read_card(name).role != "ood"
    for harder in ("imagenet-v2", "imagenet-sketch", "imagenet-a"):
        assert all(percent < TOP1[model] for model, percent in figures[harder].percent)


def test_the_built_in_figure_is_that_of_the_models_card():
    card = read_card("pictograms")
    assert card.top1 is not None
    said = (ROOT / card.top1.source).read_text()
    percent = card.published_top1("builtin:pictograms/model", card.protocol())
    assert re.search(rf"`id_test` \(fluent-emoji-flat\) \|[^|]*\| {percent} /", said)
    assert 'bare and "a photo of a {}." averaged' in said


def test_committed_configs_name_sets_and_models_that_have_cards():
    names = {*card_names(), "imagenet_names.txt"}
    for path in (ROOT / "configs" / "imagenet").glob("*.yaml"):
        assert set(re.findall(r"shards/(\w[\w.-]*)", path.read_text())) <= names, path
    models = set(TOP1)
    for path in (ROOT / "configs" / "encoders").glob("*.yaml"):
        given = yaml.safe_load(path.read_text())["init_args"]
        assert "pretrained" not in given or f"{given['model']}/{given['pretrained']}" in models, path


def test_unknown_names_are_answered_with_near_ones():
    for wrong, near in (
        ("texture", "'textures' or 'textures43'"),
        ("imagenet_v2", "'imagenet-v2'"),
        ("NINCO", "'ninco'"),
    ):
        with pytest.raises(SettingsError, match=f"no card '{wrong}'; did you mean {near}"):
            read_card(wrong)
    with pytest.raises(SettingsError, match=r"no card '\.\./groups/classic'"):
        read_card("../groups/classic")
    with pytest.raises(SettingsError, match="no group 'clasic'; did you mean 'classic'"):
        read_group("clasic")
    with pytest.raises(SettingsError, match="'cub' has no protocol 'val', only all, test"):
        find("cub@val")


def test_not_stated_is_written_in_one_way():
    for name in card_names():
        licence = read_card(name).licence
        assert licence == NOT_STATED or not re.search(r"unknown|none|\?", licence), name


@pytest.mark.parametrize("reference", [one for one in REFERENCES if find(one)[1].pack])
def test_commands_are_bash_and_name_existing_arguments(reference: str, tmp_path: Path):
    card, protocol = find(reference)
    subprocess.run(["bash", "-n", "-c", commands(card, protocol)], check=True, cwd=tmp_path)
    told = embedding(["shards/a"])
    assert set(re.findall(r"--(\w+)", told)) <= set(embed.embed.__annotations__)
    assert (ROOT / ENCODER).is_file()
    assert "'" not in card.licence, "needs quotes within quotes"


def test_arguments_of_packing_exist():
    from ood_lightning.cli.data_pack import pack

    for reference in REFERENCES:
        packed = packing(*find(reference)).partition("\npython")[0]
        assert set(re.findall(r" --(\w+)", packed)) <= set(pack.__annotations__), reference


def data_commands(text: str) -> list[list[str]]:
    """Every `python -m ood_lightning data ...` of a text, in words."""
    found = re.findall(r"(?m)^python -m ood_lightning (data (?:.*\\\n)*.*)$", text)
    return [shlex.split(one.replace("\\\n", " "), comments=True) for one in found]


def parsed_words(words: list[str]) -> dict[str, object]:
    _, step, *given = words
    own = f"ood_lightning.cli.data_{step}"
    module = import_module(own if find_spec(own) else "ood_lightning.cli.data")
    return parsed(getattr(module, step), given, f"data {step}")


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda path: path.name)
def test_the_pages_commands_are_what_the_parser_takes(page: Path):
    for words in data_commands(page.read_text(encoding="utf-8")):
        assert parsed_words(words), words


def test_the_cards_commands_are_what_the_parser_takes():
    seen = 0
    for reference in REFERENCES:
        card, protocol = find(reference)
        for words in data_commands(commands(card, protocol)):
            settings = parsed_words(words)
            if words[1] == "pack":
                seen += 1
                assert settings["role"] == card.role
                assert (settings["split"] is not None) == str(settings["source"]).startswith("['hf:")
    assert seen == sum(bool(find(reference)[1].pack) for reference in REFERENCES)
    with pytest.raises(UserError, match="no key 'splt'"):
        parsed_words(["data", "pack", "hf:a/b", "--splt=test", "--out=x", "--name=x", "--role=id"])


def test_what_a_copy_offers_to_pack_is_packable():
    for mirror in (mirror for name in card_names() for mirror in read_card(name).mirrors if mirror.pack):
        assert re.fullmatch(rf"hf:{mirror.at} --split \w+(\+\w+)*", mirror.pack)
        assert parsed_words(["data", "pack", *mirror.pack.split(), "--out=x", "--name=x", "--role=id"])


def test_sizes_are_figures_or_bounds_with_a_source():
    for card in map(read_card, card_names()):
        for protocol in card.protocols:
            size = card.size_of(protocol)
            assert size == NOT_STATED or re.match(r"(less than )?[\d.]+ GB\b.* \(.+\)", size), card.name
            assert (card.gigabytes(protocol) is None) == (size == NOT_STATED or size.startswith("less than")), card.name
    sizes = {name: card.gigabytes(protocol) for name in REFERENCES for card, protocol in [find(name)]}
    assert (sizes["imagenet-sketch"], sizes["cub"], sizes["imagenet-10"]) == (7.8, 1.15, None)
    assert (sizes["imagenet-c"], sizes["imagenet-c@openood"]) == (47, None), "OpenOOD's pictures come from elsewhere"


def test_checksums_are_of_the_very_files_that_are_fetched():
    """A line that compares a hash names a file that a line before it fetches, and says who published the hash."""
    seen = set()
    for reference in REFERENCES:
        fetched: set[str] = set()
        for line in "\n".join(find(reference)[1].blocks).replace("\\\n", " ").replace("|\n", "| ").splitlines():
            fetched |= set(re.findall(r"-o (raw/[\w.-]+)", line))
            if found := re.search(r"echo '([0-9a-f]+)  (raw/\S+)' \| +(md5|sha256)sum -c # as \S", line):
                assert found[2] in fetched, reference
                assert len(found[1]) == {"md5": 32, "sha256": 64}[found[3]], reference
                seen.add(found[2])
    assert len(seen) == 10


def test_the_choice_of_imagenet_c_is_the_stated_one(tmp_path: Path):
    protocol = read_card("imagenet-c").protocol()
    pictures = [
        f"{corruption}/{severity}/{synset}/{i}.JPEG"
        for corruption in ("fog", "snow", "jpeg_compression", "saturate")
        for severity in (1, 5)
        for synset in ("n01440764", "n01443537")
        for i in range(4)
    ]
    for name in pictures:
        path = tmp_path / "raw" / "imagenet-c" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    script = protocol.get[protocol.get.index("python -") :].replace("10000", "7")
    bash(script, tmp_path)
    listed = [line.split() for line in (tmp_path / "raw" / "imagenet-c.txt").read_text().splitlines()]
    among = [name for name in pictures if not name.startswith("saturate")]
    expected = sorted(among, key=lambda name: hashlib.sha256(f"0/{name}".encode()).hexdigest())[:7]
    assert [name for name, _ in listed] == sorted(expected)
    assert all(label == ("0" if "n01440764" in name else "1") for name, label in listed)


def test_the_classes_that_textures43_leaves_out_are_those_of_its_recipe(tmp_path: Path):
    card = read_card("textures43")
    (tmp_path / "raw").mkdir()
    bash(card.protocol().blocks[-1], tmp_path)
    written = (tmp_path / "raw" / "textures43_excluded.txt").read_text().split()
    assert written == [f"{name}/" for name in card.excludes]


def test_test_pictures_of_cub_and_waterbirds_are_picked_by_the_archives_own_splits(tmp_path: Path):
    cub = tmp_path / "raw" / "CUB_200_2011"
    cub.mkdir(parents=True)
    (cub / "images.txt").write_text("1 001.Black_footed_Albatross/a.jpg\n2 002.Laysan_Albatross/b.jpg\n")
    (cub / "train_test_split.txt").write_text("1 1\n2 0\n")
    (cub / "image_class_labels.txt").write_text("1 1\n2 2\n")
    (cub / "classes.txt").write_text("1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n")
    shared, own = find("cub@test")[1].blocks
    bash(shared[shared.index("cut -d") :] + "\n" + own, tmp_path)
    assert (tmp_path / "raw" / "cub_test.txt").read_text() == "002.Laysan_Albatross/b.jpg 1\n"
    assert (tmp_path / "raw" / "cub_names.txt").read_text().splitlines()[0] == (
        "001.Black_footed_Albatross\tBlack footed Albatross"
    )
    birds = tmp_path / "raw" / "waterbird_complete95_forest2water2"
    birds.mkdir()
    rows = "img_id,img_filename,y,split,place,place_filename\n1,a/1.jpg,0,0,0,x\n2,b/2.jpg,1,2,0,x\n"
    (birds / "metadata.csv").write_text(rows)
    bash(find("waterbirds")[1].blocks[-1], tmp_path)
    assert (tmp_path / "raw" / "waterbirds_test.txt").read_text() == "b/2.jpg 1\n"


def test_ninco_is_whole_or_short_of_its_gif(tmp_path: Path):
    from PIL import Image

    folder = tmp_path / "raw" / "NINCO" / "NINCO_OOD_classes" / "a"
    folder.mkdir(parents=True)
    Image.new("P", (4, 4)).save(folder / "moving.gif")
    Image.new("RGB", (4, 4)).save(folder / "still.jpg")
    again = (folder / "moving.gif").read_bytes()
    bash(find("ninco")[1].blocks[-1], tmp_path)
    assert {path.name for path in folder.iterdir()} == {"moving.png", "still.jpg"}
    (folder / "moving.gif").write_bytes(again)  # the archive was unpacked once more
    bash(find("ninco@imagefolder")[1].blocks[-1], tmp_path)
    assert {path.name for path in folder.iterdir()} == {"moving.gif", "still.jpg"}
