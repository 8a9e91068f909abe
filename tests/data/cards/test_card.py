"""The published cards: complete, and their counts fit what their own texts and one another say."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest
import yaml

from ood_lightning.data.cards.card import FOLDER, NOT_STATED, Card, Protocol
from ood_lightning.data.cards.cards import card_names, find, group_names, groups_of, read_card, read_group, shards
from ood_lightning.data.cards.figures import Figure
from ood_lightning.errors import SettingsError

ROOT = Path(__file__).parents[3]
HARDER = ("imagenet-v2", "imagenet-sketch", "imagenet-a")  # than ImageNet's validation pictures, for every model
NUMBER = r"(\d[\d,]*)"


def every_protocol() -> Iterator[tuple[Card, Protocol]]:
    for card in map(read_card, card_names()):
        for protocol in card.protocols:
            yield card, protocol


def pictures(reference: str) -> int:
    """The count that a card states."""
    images = find(reference)[1].images
    assert images is not None, reference
    return images


def numbers(pattern: str, text: str) -> list[int]:
    """Groups of the first match as numbers; none without a match."""
    match = re.search(pattern, text)
    groups = match.groups() if match else ()
    return [int(group.replace(",", "")) for group in groups if group]


@pytest.mark.parametrize("name", card_names())
def test_a_card_is_complete(name: str):
    card = read_card(name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert card.traps
    assert re.fullmatch(r"https://\S+", card.source)
    assert not card.paper or re.fullmatch(r"https://\S+", card.paper)
    assert (card.role == "ood") == (card.contamination is not None)
    assert card.role == "ood" or card.classes is not None
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", mirror.at) for mirror in card.mirrors)

    for protocol in card.protocols:
        assert re.fullmatch(r"[a-z0-9-]+", protocol.name)
        assert protocol.images is None or protocol.images >= (card.classes or 1)
        assert not (protocol.images is None and protocol.confirmed), "a count that nobody states is confirmed"
        assert not ("remembered" in protocol.evidence and protocol.confirmed and "paper" not in protocol.evidence)
        assert bool(protocol.blocks) <= bool(protocol.pack), "commands that lead to no shards"


def test_counts_follow_from_the_evidence_that_is_stated():
    seen = 0
    for card, protocol in every_protocol():
        stated = numbers(rf"{NUMBER} \+ {NUMBER}", protocol.evidence)
        less = numbers(rf"{NUMBER} less {NUMBER}", protocol.evidence)
        per_synset = numbers(rf"{NUMBER} of each synset", protocol.evidence)

        derived = []
        if stated:
            derived.append(sum(stated))
        if less:
            derived.append(less[0] - less[1])
        if per_synset:
            derived.append(per_synset[0] * len(card.synsets))

        assert all(n == protocol.images for n in derived), (card.name, protocol.name)
        seen += len(derived)
    assert seen >= 5


def test_counts_follow_from_the_folders_that_are_to_be_looked_at():
    n_folders = n_pictures = 0
    for card in map(read_card, card_names()):
        for check in card.checks:
            for folders in numbers(rf"^{NUMBER} folders", check):
                assert folders == card.classes, card.name
                n_folders += 1
            for of_each in numbers(rf"folders of {NUMBER}\b|^{NUMBER} pictures (?:of .*)?in each", check):
                assert card.classes is not None
                assert of_each * card.classes == card.protocols[0].images, card.name
                n_pictures += 1
    assert n_folders >= 10
    assert n_pictures >= 8


def test_counts_of_sets_fit_one_another():
    assert pictures("openimage-o@openood") + pictures("openimage-o@openood-val") == pictures("openimage-o")
    textures = read_card("textures")
    assert textures.classes is not None
    per_class = pictures("textures") // textures.classes
    assert pictures("textures") - pictures("textures43") == per_class * len(read_card("textures43").excludes)
    assert pictures("ninco") == pictures("ninco@imagefolder") + 1
    assert pictures("imagenet-c@full") == 15 * 5 * pictures("imagenet-val")
    assert (pictures("waterbirds"), pictures("waterbirds@all")) == (pictures("cub@test"), pictures("cub"))
    assert sum(numbers(rf"{NUMBER} for training and {NUMBER} for testing", find("cars")[1].rule)) == pictures("cars")

    clean = read_card("ninco-clean")
    sources = [int(n) for n in re.findall(r"\b(\d+) (?:of )?[A-Z0-9i]", " ".join(clean.checks))]
    assert (len(sources), sum(sources)) == (clean.classes, pictures("ninco-clean"))


def test_a_part_of_a_set_is_smaller_than_all_of_it():
    for card, protocol in every_protocol():
        whole = card.protocols[0]
        if protocol.name in ("test", "openood-val") and whole.name in ("all", "full"):
            assert pictures(card.reference(protocol)) < pictures(card.name), card.name


def test_shares_of_id_pictures_follow_from_what_was_judged():
    seen = 0
    for card in map(read_card, card_names()):
        judged = numbers(rf"{NUMBER} of {NUMBER} judged", card.contamination.note) if card.contamination else []
        if judged:
            assert card.contamination is not None
            assert card.contamination.percent == round(100 * judged[0] / judged[1], 1), card.name
            seen += 1
    assert seen >= 6


@pytest.mark.parametrize("name", group_names())
def test_groups_name_cards_of_one_role(name: str):
    group = read_group(name)
    roles = {find(reference)[0].role for reference in group.sets}
    assert len(set(group.sets)) == len(group.sets)
    assert len(roles) == 1
    assert (roles == {"id"}) == (not group.id_set)
    assert not group.id_set or find(group.id_set)[0].role == "id"
    assert re.fullmatch(r"https://\S+", group.paper)
    assert all(name in groups_of(reference.partition("@")[0]) for reference in group.sets)


def test_a_card_is_in_no_group_that_does_not_name_it():
    grouped = {reference.partition("@")[0] for name in group_names() for reference in read_group(name).sets}
    alone = set(card_names()) - grouped
    assert alone
    assert all(groups_of(name) == [] for name in alone)
    assert all(groups_of(name) for name in grouped)


def test_no_address_without_encryption_and_nothing_that_yaml_reads_otherwise():
    for path in [*FOLDER.rglob("*.yaml"), *FOLDER.rglob("*.sh")]:
        text = path.read_text(encoding="utf-8")
        assert "http://" not in text, path
        if path.suffix == ".yaml" and path.parent == FOLDER:
            content = yaml.safe_load(text)
            assert all(isinstance(line, str) for line in [*content["checks"], *content["traps"]]), path


def test_choices_of_imagenets_classes_are_whole():
    chosen = {name: read_card(name) for name in card_names() if read_card(name).synsets}
    assert len(chosen) >= 4
    for name, card in chosen.items():
        assert name == f"imagenet-{card.classes}"
        assert len(set(card.synsets)) == len(card.synsets) == card.classes

    lists = {n: read_card(f"imagenet-{n}").synsets for n in (10, 20, 99, 100)}
    excluded = read_card("imagenet-99").excludes
    assert lists[99] == tuple(synset for synset in lists[100] if synset not in excluded)
    digests = {n: hashlib.sha256(" ".join(lists[n]).encode()).hexdigest()[:12] for n in (10, 20, 100)}
    assert digests == {10: "92285a054a32", 20: "53b09cea54c2", 100: "a2297e9af0d3"}

    spec = find_spec("timm")
    assert spec is not None
    assert spec.origin is not None
    known = Path(spec.origin).parent / "data" / "_info" / "imagenet_synsets.txt"
    assert set(chain.from_iterable(lists.values())) <= set(known.read_text().split())


def test_zero_shot_figures_are_of_the_same_models_and_source():
    validation = read_card("imagenet-val").top1
    assert validation is not None
    figures = {name: top1 for name in card_names() if (top1 := read_card(name).top1) and name != "pictograms"}
    assert set(HARDER) < set(figures)

    for name, top1 in figures.items():
        card = read_card(name)
        assert card.role != "ood"
        assert top1.percent.keys() == validation.percent.keys()
        assert top1.source == validation.source
        assert all(20 < percent < 100 for table in top1.tables for percent in table.percent.values())
        assert all(template.count("{}") == 1 for template in top1.templates)
        assert not top1.templates or not name.startswith("imagenet")
        assert set(top1.protocols) < {protocol.name for protocol in card.protocols}

    for name in HARDER:
        easier = {model for model, percent in figures[name].percent.items() if percent >= validation.percent[model]}
        assert easier <= {"ViT-L-14-336-quickgelu/openai"}  # on ImageNet-A, in the source too


def test_a_figure_is_found_by_the_encoders_name_and_protocol():
    card = read_card("imagenet-val")
    assert card.top1 is not None
    model, percent = next(iter(card.top1.percent.items()))
    figure = Figure(percent, card.top1.source)
    assert card.published_top1(model, card.protocol("openood")) == figure
    assert card.published_top1("ViT-H-14/dfn5b", card.protocol()) is None, "the name that loads another activation"

    of_one = replace(card, top1=replace(card.top1, protocols=("full",)))
    assert of_one.published_top1(model, card.protocol("full")) == figure
    assert of_one.published_top1(model, card.protocol("openood")) is None


def test_a_figure_of_another_source_comes_with_it_and_no_source_has_anothers_model():
    card = read_card("imagenet-val")
    assert card.top1 is not None
    figure = card.published_top1("ViT-B-16-SigLIP2/webli", card.protocol())
    assert figure is not None
    assert figure.percent == 78.2
    assert figure.source.startswith("big_vision")

    models = [model for table in card.top1.tables for model in table.percent]
    assert len(models) == len(set(models))
    assert len({table.source for table in card.top1.tables}) == len(card.top1.tables)


def test_the_built_in_figure_is_that_of_the_models_card():
    card = read_card("pictograms")
    assert card.top1 is not None
    page = (ROOT / card.top1.source).read_text()
    figure = card.published_top1("builtin:pictograms/model", card.protocol())
    assert figure is not None
    assert re.search(rf"`id_test` \(fluent-emoji-flat\) \|[^|]*\| {figure.percent} /", page)
    assert 'bare and "a photo of a {}." averaged' in page


UNPUBLISHED = {  # encoders for which no source at hand has a figure
    "vit_so400m14_siglip2_378",  # its authors took 384 pixels
    *("metaclip2_h14", "metaclip2_h14_378", "metaclip2_bigg14", "metaclip2_bigg14_378"),
}


def test_committed_configs_name_sets_and_models_that_have_cards():
    folders = {shards(card, protocol).removeprefix("shards/") for card, protocol in every_protocol()}
    names = {*folders, "imagenet_names.txt"}
    for path in (ROOT / "configs" / "imagenet").glob("*.yaml"):
        assert set(re.findall(r"shards/(\w[\w.-]*)", path.read_text())) <= names, path
        assert set(re.findall(r"group:([\w-]+)", path.read_text())) <= {*group_names()}, path

    validation = read_card("imagenet-val").top1
    assert validation is not None
    models = {model for table in validation.tables for model in table.percent}
    for path in (ROOT / "configs" / "encoders").glob("*.yaml"):
        init_args = yaml.safe_load(path.read_text())["init_args"]
        known = path.stem in UNPUBLISHED or f"{init_args['model']}/{init_args.get('pretrained')}" in models
        assert known or "pretrained" not in init_args, path


def test_not_stated_is_written_in_one_way():
    for name in card_names():
        licence = read_card(name).licence
        assert licence == NOT_STATED or not re.search(r"unknown|none|\?", licence), name


def test_sizes_are_figures_or_bounds_with_a_source():
    for card, protocol in every_protocol():
        size = card.size_of(protocol)
        assert size == NOT_STATED or re.match(r"(less than )?[\d.]+ GB\b.* \(.+\)", size), card.name
        assert (card.gigabytes(protocol) is None) == (size == NOT_STATED or size.startswith("less than")), card.name


def test_a_protocol_that_is_fetched_elsewhere_has_a_size_of_its_own():
    card = replace(read_card("cub"), size="47.5 GB as four archives (a page)")
    full, elsewhere = card.protocol(), replace(card.protocol(), size=NOT_STATED)
    assert (card.gigabytes(full), card.gigabytes(elsewhere)) == (47.5, None)
    assert card.size_of(elsewhere) == NOT_STATED
    assert replace(card, size="less than 2 GB (a page)").gigabytes(full) is None
    assert replace(card, size=None).size_of(full) == NOT_STATED


def test_an_unknown_protocol_is_answered_with_the_known_ones():
    with pytest.raises(SettingsError, match="'cub' has no protocol 'val', only all, test"):
        find("cub@val")
