"""`corpus grow`: words for pictures that a corpus describes badly: a model proposes, a person chooses."""

from pathlib import Path
from typing import TYPE_CHECKING

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError, check_least
from ood_lightning.filtering.judges.openai_compatible import OpenAICompatibleJudge
from ood_lightning.places import FEATURES, expanded

if TYPE_CHECKING:
    from ood_lightning.growing.steps import Prepared
    from ood_lightning.making.tools import Tools


def grow(
    encoder: Encoder,
    id_shards: str,
    corpus: Corpus,
    out: str,
    server: OpenAICompatibleJudge | None = None,
    apply: bool = False,
    prompts: Prompts = Prompts(),  # noqa: B008
    clusters: int | None = None,
    words: int = 5,
    pictures: bool = False,
    cache_dir: str = FEATURES,
    num_workers: int = 2,
    seed: int = 0,
) -> int:
    """A model proposes words into OUT/proposal.txt; with --apply, those that a person accepted make a new corpus.

    Args:
        encoder: whose features the pictures have; missing ones are made.
        id_shards: unlabelled ID pictures: folder with a manifest or of pictures, or tars by a brace list.
        corpus: to grow.
        out: folder of the proposal and of the new corpus.
        server: chat completions server that proposes, such as configs/judges/server.yaml; not needed with --apply.
        apply: take what was accepted in OUT/proposal.txt; all other settings as they were.
        prompts: templates around each word.
        clusters: groups of pictures; None: chosen from the pictures.
        words: that a model may propose for a group.
        pictures: send a contact sheet of each group too, for a multimodal model.
        cache_dir: folder of all features.
        num_workers: processes that decode pictures.
        seed: of what is drawn: which pictures are held out, and the clusters.
    """
    from ood_lightning.growing.proposal import TEXT

    check_least(1, words=words, **({} if clusters is None else {"clusters": clusters}))
    check_least(0, num_workers=num_workers, seed=seed)
    folder = expanded(out)
    _check(folder / TEXT, server, apply)

    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.data.artifacts.files import sole_writer
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.devices import pick_device
    from ood_lightning.growing.proposal import read_proposal
    from ood_lightning.growing.steps import prepared, propose
    from ood_lightning.making.pictures import embedded
    from ood_lightning.making.pictures import pictures as as_pictures
    from ood_lightning.making.tools import Tools
    from ood_lightning.making.words import encoded_vocabulary

    manifest = read_manifest(id_shards, "id")
    tools = Tools(encoder, pick_device(), folder, cache_dir, num_workers, seed, say=print)
    with sole_writer(folder):
        _check_text(folder / TEXT, apply)  # another process may have ended just now
        if apply and clusters is None:  # on another machine rounding may choose another number
            clusters = read_proposal(folder).clusters

        encoder.load(tools.device)
        of_set = [embedded(manifest, encoder, cache_dir, tools.device, num_workers)]
        everything = as_pictures(of_set, tools.device)
        vocabulary = encoded_vocabulary(corpus, prompts, TextBank(encoder, cache_dir), None, print)
        work = prepared(everything, vocabulary, clusters, tools)

        if server is None or apply:
            return _apply(work, corpus, tools)
        n_proposed = propose(work, everything, server, words, pictures, tools)
        print(f"{n_proposed} words are proposed: accept, edit or refuse them in {folder / TEXT}, then --apply")
        return 0


def _check_text(text: Path, apply: bool) -> None:
    """Never write over what a person has edited, and apply nothing that is not there."""
    if apply and not text.is_file():
        raise SettingsError(f"there is no {text}: run the command without --apply first, which proposes words")
    if not apply and text.exists():
        raise SettingsError(f"{text} is there already: add --apply to take what it accepts, or name another folder")


def _check(text: Path, server: OpenAICompatibleJudge | None, apply: bool) -> None:
    """Refuse early what cannot work."""
    _check_text(text, apply)
    if apply:
        return
    if server is None:
        raise SettingsError("no server is named that proposes words: --server configs/judges/server.yaml")
    server.check()


def _apply(work: "Prepared", corpus: Corpus, tools: "Tools") -> int:
    """Make and judge the new corpus, and say what it is."""
    from ood_lightning.growing.steps import CONFIG, apply
    from ood_lightning.plurals import many

    file, judgement = apply(work, corpus, tools)
    n_own = sum(one.origin == "person" for one in file.accepted)
    of_person = f", {n_own} of them edited or your own" if n_own else ""
    print(f"{many(len(file.accepted), 'word')} accepted{of_person}; {len(file.refused)} not taken")
    print(
        f"{many(len(judgement.elected), 'accepted word')} elected by the pictures: "
        f"{', '.join(judgement.elected) or 'none'}"
    )
    print(f"positives: {judgement.positives_before} before, {judgement.positives_after} after")
    print(judgement)
    print(f"grown corpus: --corpus {tools.folder / CONFIG}")
    return 0
