"""`data get`: published sets from their addresses to shards. Needs no torch, but for names of ImageNet's classes."""

import shlex
import sys
from pathlib import Path

from ood_lightning.data.cards.card import Card, Protocol
from ood_lightning.data.cards.cards import GROUP, find, read_group
from ood_lightning.data.get.getting import Names, get_set
from ood_lightning.data.get.plan import WIDTH, Plan, lines, plan_of
from ood_lightning.data.get.space import free_bytes, gigabytes
from ood_lightning.errors import SOME_UNREAD, SettingsError, SourceError, UserError, check_least
from ood_lightning.places import expanded
from ood_lightning.plurals import many

HUB = "hf:"


def get(
    names: list[str],
    raw: str = "raw",
    shards: str = "shards",
    dry_run: bool = False,
    workers: int = 2,
    max_bad_samples: int = 0,
) -> int:
    """Fetch published sets, verify and pack them; what needs an account is named, with what to do.

    Exit status 1: done, but pictures were left out, the count is not the card's, or a set cannot be had so.

    Args:
        names: cards, as `data list` has them; `NAME@PROTOCOL` for another choice of the pictures, `group:NAME` for all.
        raw: folder of what is fetched; may be removed when the sets are packed.
        shards: folder of the sets.
        dry_run: only print what would be fetched from where, its hash, and the room that it takes.
        workers: processes that read and check pictures.
        max_bad_samples: pictures of a set that may be left out because they cannot be had or read; they are listed.
    """
    check_least(1, workers=workers)
    check_least(0, max_bad_samples=max_bad_samples)
    chosen = [find(reference) for reference in _references(names)]
    by_hand = [_by_hand(card, protocol) for card, protocol in chosen if not _can_get(protocol)]
    sets = [(card, protocol) for card, protocol in chosen if _can_get(protocol)]
    if not sets and not dry_run:
        raise SettingsError("\n".join(by_hand))

    failures = []
    status = 0
    for card, protocol in sets:
        try:
            plan = plan_of(card, protocol, expanded(raw), expanded(shards))
            if plan is None:
                status |= _from_hub(card, protocol, expanded(shards), dry_run, workers, max_bad_samples)
            elif dry_run:
                sys.stdout.write("".join(f"{line}\n" for line in lines(plan)) + "\n")
            else:
                status |= _get(plan, workers, max_bad_samples)
        except UserError as error:  # a server that is down is no reason not to ask others
            failures.append(f"{card.reference(protocol)}: {error}")

    if failures and len(failures) == len(sets):
        raise SourceError("\n".join([*failures, *by_hand]))
    for text in by_hand:
        print(text)
    if dry_run:
        free = [f"{gigabytes(free_bytes(expanded(folder)))} in {folder}" for folder in (raw, shards)]
        print(f"free: {', '.join(free)}")
    for text in failures:
        print(f"not had: {text}", file=sys.stderr)
    return 0 if dry_run else status or int(bool(failures or by_hand))


def _references(names: list[str]) -> list[str]:
    """Cards that are meant, each once."""
    references: list[str] = []
    for name in names:
        references += read_group(name.removeprefix(GROUP)).sets if name.startswith(GROUP) else [name]
    return list(dict.fromkeys(references))


def _can_get(protocol: Protocol) -> bool:
    return protocol.fetch is not None or protocol.pack.startswith(HUB)


def _by_hand(card: Card, protocol: Protocol) -> str:
    """What a person has to do for a set that is not fetched here, in one line."""
    reference = card.reference(protocol)
    if protocol.by_hand:
        return f"{reference} cannot be fetched here: {protocol.by_hand}"
    commands = f"`data show {reference}` has the commands" if protocol.pack else f"its page is {card.source}"
    return f"{reference} cannot be fetched here, its card says no address of it: {commands}"


def _get(plan: Plan, workers: int, max_bad_samples: int) -> int:
    """Fetch and pack one set; returns the exit status."""
    if (there := plan.packed()) is not None:
        print(f"{plan.reference}: is packed already, {many(there.n_samples, 'picture')}: {plan.out}")
        return 0

    manifest, bad = get_set(plan, _imagenet_names, workers, max_bad_samples)
    for image in bad:
        print(f"left out: {image.path!r}: {image.reason}")
    print(
        f"{plan.reference}: {many(manifest.n_samples, 'picture')} in {many(len(manifest.shards), 'shard')}: {plan.out}"
    )

    expected = plan.protocol.images
    if expected is not None and manifest.n_samples != expected:
        print(f"worth a look: its card counts {expected:,}{'' if plan.protocol.confirmed else ', not confirmed'}")
    is_other = plan.protocol.confirmed and expected not in (None, manifest.n_samples)
    print(f"{plan.target} is no longer needed; its hash stays in {plan.target.name}.fetched.json beside it")
    return SOME_UNREAD if bad or is_other else 0


def _from_hub(card: Card, protocol: Protocol, shards: Path, dry_run: bool, workers: int, max_bad_samples: int) -> int:
    """The same for a set of the Hugging Face hub, which its own client fetches and verifies; returns the status."""
    from ood_lightning.cli.data_pack import pack
    from ood_lightning.data.cards.cards import shards as place_of

    source, *options = shlex.split(protocol.pack)
    split = options[1] if options[:1] == ["--split"] else None
    reference, out = card.reference(protocol), shards / place_of(card, protocol).removeprefix("shards/")
    if dry_run:
        of_split = f", split {split}" if split else ""
        print(f"{reference}: {card.title}, {card.role}; licence: {card.licence}")
        print(f"  {'fetch':<{WIDTH}}{source}{of_split}: {card.size_of(protocol)}")
        print(f"  {'  from':<{WIDTH}}the Hugging Face hub, by its own client (address not checked by us)")
        print(f"  {'  hash':<{WIDTH}}the hub's own, verified by its client and by `data pack`")
        print(f"  {'pack':<{WIDTH}}{out}\n")
        return 0

    return pack(
        [source],
        str(out),
        out.name,
        card.role,
        split=split,
        workers=workers,
        max_bad_samples=max_bad_samples,
        licence=card.licence,
        origin=card.source,
        protocol=reference,
    )


def _imagenet_names() -> Names:
    from ood_lightning.encoders.openclip_tags import imagenet_names

    return imagenet_names()
