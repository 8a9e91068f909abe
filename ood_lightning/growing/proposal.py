"""A proposal's two files: `proposal.txt`, which a person edits, and `proposal.json`, how it came about."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from ood_lightning.corpora.grown import AcceptedWord, Parent
from ood_lightning.data.artifacts.files import atomic_write, write_json
from ood_lightning.data.artifacts.typed import STRICT, Count, Text, decode_json
from ood_lightning.errors import CorpusError
from ood_lightning.growing.groups import Group
from ood_lightning.spelling import folded, one_text
from ood_lightning.text_files import lines_of, read_text

TEXT, RECORD, ANSWERS, SHEETS = "proposal.txt", "proposal.json", "answers.json", "sheets"
Format = Literal["ood_lightning/corpus-proposal/1"]
FORMAT: Format = "ood_lightning/corpus-proposal/1"
HEAD = """\
# Words that {model}
# proposes for {n_groups} of {n_all} groups of pictures, which {corpus} describes badly.
#
#   ? word    undecided: it is not added
#   + word    accepted: edit it as you like, and add lines of your own
#   - word    refused
#
# Then the same command with --apply. `sed -i 's/^? /+ /' {file}` accepts all that are undecided.
"""
_LINE = re.compile(r"([?+-])\s+(\S.*)")
_GROUP = re.compile(r"\[(\d{1,9})\].*")  # Python makes no number of thousands of digits


@dataclass(frozen=True)
class Reply:
    """What was asked of one group, and answered.

    Args:
        group: its number.
        question: as it was sent.
        picture: whether a contact sheet went with it.
        answer: as it came.
        proposed: words of the answer that the corpus lacks.
        known: words of the answer that the corpus has.
    """

    __pydantic_config__: ClassVar = STRICT

    group: Count
    question: Text
    picture: bool
    answer: str
    proposed: tuple[str, ...]
    known: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """How a proposal came about.

    Args:
        format: of the file.
        parent: the corpus.
        prompts: fingerprint of the templates.
        encoder: fingerprint of the encoder.
        pictures: fingerprint of the set.
        seed: of the split and the clusters.
        clusters: how many.
        model: that was asked.
        replies: one entry a group.
    """

    __pydantic_config__: ClassVar = STRICT

    format: Format
    parent: Parent
    prompts: Text
    encoder: Text
    pictures: Text
    seed: Count
    clusters: Count
    model: Text
    replies: tuple[Reply, ...]

    @property
    def made_from(self) -> dict[str, Any]:
        """What has to be the same when it is applied."""
        names = ("prompts", "encoder", "pictures", "seed", "clusters")
        return {"corpus": self.parent.sha256, **{name: getattr(self, name) for name in names}}


class Choices(NamedTuple):
    """What a person chose.

    Attributes:
        accepted: words to add, distinct.
        refused: words that the model proposed and that are not added.
        n_undecided: of those, how many the person left as they were.
    """

    accepted: tuple[AcceptedWord, ...]
    refused: tuple[str, ...]
    n_undecided: int


def write_proposal(folder: Path, proposal: Proposal, groups: Sequence[Group], n_all: int) -> None:
    """Write both files, the person's last.

    Args:
        folder: where they lie.
        proposal: how it came about.
        groups: that were asked of, in the order of `proposal.replies`.
        n_all: groups that there are.
    """
    names = {"model": proposal.model, "corpus": proposal.parent.name, "file": shlex.quote(str(folder / TEXT))}
    lines = [HEAD.format(n_groups=len(groups), n_all=n_all, **names)]
    for group, reply in zip(groups, proposal.replies, strict=True):
        nearest = ", ".join(f"{word} ({votes})" if votes else word for word, votes in group.words)
        lines += [
            f"[{group.number}] {group.size} pictures, {SHEETS}/{group.number}.jpg: {group.reason}",
            f"# nearest: {nearest}",
            *(f"? {word}" for word in reply.proposed),
            "",
        ]

    write_json(folder / RECORD, asdict(proposal))
    atomic_write(folder / TEXT, "\n".join(lines).encode())


def read_proposal(folder: Path) -> Proposal:
    """How a proposal came about.

    Raises:
        CorpusError: there is none, or it cannot be read.
    """
    path = folder / RECORD
    return decode_json(read_text(path, "proposal", CorpusError), Proposal, str(path), CorpusError)


def read_choices(folder: Path, proposal: Proposal, words: Sequence[str]) -> Choices:
    """What a person made of `proposal.txt`.

    Args:
        folder: where it lies.
        proposal: how it came about.
        words: of the corpus.

    Raises:
        CorpusError: a line is none of the file's kinds, names another group, or accepts a word that the corpus has; or
            nothing is accepted.
    """
    path = folder / TEXT
    by_group = {reply.group: reply.proposed for reply in proposal.replies}
    known = {folded(word) for word in words}
    accepted: dict[str, AcceptedWord] = {}
    group, n_undecided = None, 0

    for number, line in enumerate(lines_of(read_text(path, "proposal", CorpusError)), 1):
        where, text = f"{path}, line {number}", line.strip()
        if not text or text.startswith("#"):
            continue
        if header := _GROUP.fullmatch(text):
            group = int(header[1])
            if group not in by_group:
                raise CorpusError(f"{where}: there is no group {group} in {folder / RECORD}")
            continue

        choice = _LINE.fullmatch(text)
        if choice is None or group is None:
            raise CorpusError(f"{where}: {text!r} is no `+ word`, `- word` or `? word` below a group's line `[12] ...`")
        n_undecided += choice[1] == "?"
        if choice[1] != "+":
            continue

        word = one_text(choice[2]).lower()
        if not word.isprintable() or not word.strip():
            raise CorpusError(f"{where}: {word!r} is no word that can be printed")
        if folded(word) in known:
            raise CorpusError(f"{where}: {word!r} is in the corpus already: refuse it, or write another word")
        origin: Literal["model", "person"] = "model" if word in by_group[group] else "person"
        accepted.setdefault(folded(word), AcceptedWord(word, group, origin))

    if not accepted:
        undecided = f", {n_undecided} are undecided (`?`)" if n_undecided else ""
        raise CorpusError(f"{path} accepts no word{undecided}: write `+` before those that are to be added")
    proposed = dict.fromkeys(word for reply in proposal.replies for word in reply.proposed)
    return Choices(tuple(accepted.values()), tuple(w for w in proposed if folded(w) not in accepted), n_undecided)
