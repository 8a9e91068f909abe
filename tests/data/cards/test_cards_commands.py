"""The commands of cards and pages: bash that parses, with sources and arguments that `data pack` takes."""

import re
import shlex
import subprocess
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from ood_lightning.cli import embed
from ood_lightning.cli.data_pack import pack
from ood_lightning.cli.parser import parsed
from ood_lightning.data.cards.cards import card_names, find, read_card
from ood_lightning.errors import UserError
from ood_lightning.report.cards import ENCODER, commands, embedding, packing

ROOT = Path(__file__).parents[3]
REFERENCES = [card.reference(protocol) for card in map(read_card, card_names()) for protocol in card.protocols]
LENGTHS = {"md5": 32, "sha256": 64}


def data_commands(text: str) -> list[list[str]]:
    """Every `python -m ood_lightning data ...` of a text, in words."""
    lines = re.findall(r"(?m)^python -m ood_lightning (data (?:.*\\\n)*.*)$", text)
    return [shlex.split(line.replace("\\\n", " "), comments=True) for line in lines]


def parsed_words(words: list[str]) -> dict[str, object]:
    _, step, *argv = words
    name = f"ood_lightning.cli.data_{step}"
    module = import_module(name if find_spec(name) else "ood_lightning.cli.data")
    return parsed(getattr(module, step), argv, f"data {step}")


@pytest.mark.parametrize("reference", [reference for reference in REFERENCES if find(reference)[1].pack])
def test_commands_are_bash_and_name_existing_arguments(reference: str, tmp_path: Path):
    card, protocol = find(reference)
    subprocess.run(["bash", "-n", "-c", commands(card, protocol)], check=True, cwd=tmp_path)
    assert set(re.findall(r"--(\w+)", embedding(["shards/a"]))) <= set(embed.embed.__annotations__)
    assert (ROOT / ENCODER).is_file()
    assert "'" not in card.licence, "needs quotes within quotes"


def test_arguments_of_packing_exist():
    for reference in REFERENCES:
        command = packing(*find(reference)).partition("\npython")[0]
        assert set(re.findall(r" --(\w+)", command)) <= set(pack.__annotations__), reference


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda path: path.name)
def test_the_pages_commands_are_what_the_parser_takes(page: Path):
    for words in data_commands(page.read_text(encoding="utf-8")):
        assert parsed_words(words), words


def test_the_cards_commands_are_what_the_parser_takes():
    packed = 0
    for reference in REFERENCES:
        card, protocol = find(reference)
        for words in data_commands(commands(card, protocol)):
            settings = parsed_words(words)
            if words[1] == "pack":
                packed += 1
                assert settings["role"] == card.role
                assert (settings["split"] is not None) == str(settings["source"]).startswith("['hf:")

    assert packed == sum(bool(find(reference)[1].pack) for reference in REFERENCES)
    with pytest.raises(UserError, match="no key 'splt'"):
        parsed_words(["data", "pack", "hf:a/b", "--splt=test", "--out=x", "--name=x", "--role=id"])


def test_what_a_copy_offers_to_pack_is_packable():
    mirrors = [mirror for name in card_names() for mirror in read_card(name).mirrors if mirror.pack]
    assert mirrors
    for mirror in mirrors:
        assert re.fullmatch(rf"hf:{mirror.at} --split \w+(\+\w+)*", mirror.pack)
        assert parsed_words(["data", "pack", *mirror.pack.split(), "--out=x", "--name=x", "--role=id"])


def test_checksums_are_of_the_very_files_that_are_fetched():
    """A line that compares a hash names a file that a line before it fetches, and says who published the hash."""
    n_compared = 0
    for reference in REFERENCES:
        fetched: set[str] = set()
        script = "\n".join(find(reference)[1].blocks).replace("\\\n", " ").replace("|\n", "| ")
        for line in script.splitlines():
            fetched |= set(re.findall(r"-o (raw/[\w.-]+)", line))
            if "sum -c" in line and "$md5" not in line:
                compared = re.search(r"echo '([0-9a-f]+)  (raw/\S+)' \| +(md5|sha256)sum -c # as \S", line)
                assert compared, (reference, line)
                digest, path, kind = compared.groups()
                assert path in fetched, reference
                assert len(digest) == LENGTHS[kind], reference
                n_compared += 1

    assert n_compared
