"""Commands by name. Nothing heavy is imported before the command is known: torch and Lightning take seconds."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from ood_lightning import __version__
from ood_lightning.errors import UserError

TRAINER = {
    "fit": "train TEMI heads on unlabelled ID pictures and mine the label sets",
    "test": "score ID, covariate-shifted and OOD sets with every detector, in one pass",
}
STEPS = {
    "embed": "store the features of sets; any number of processes and array jobs may share the work",
    "mine": "make a label set again, with another corpus, prompts or count",
    "filter": "drop proper nouns and subcategories of ID names from a label set's negatives",
    "predict": "score a folder of pictures: score and nearest concepts of each",
    "report": "join the results of several runs into one table",
}
GROUPS = {
    "labels": {
        "show": "label sets as tables, beside true names if wanted",
        "diff": "what differs between two label sets",
        "elbow": "choose the number of clusters from finished fits",
        "plot": "likeness of mined words to true names, as a picture",
    },
    "data": {
        "list": "published sets: role, pictures, classes, licence, groups",
        "show": "the card of a set, and the commands from nothing to its features",
        "pack": "make shards of a folder, list, archive or table of pictures",
        "check": "damage, duplicates and wrong labels in sets",
        "corrupt": "a covariate-shifted version of a set, as in ImageNet-C",
    },
}
INTERRUPTED = 130  # what shells report for Ctrl-C
# what a person has to change on the machine
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EISDIR, errno.ENAMETOOLONG)


def usage() -> str:
    """What `--help` prints."""
    commands = {**TRAINER, **STEPS}
    lines = [
        "usage: python -m ood_lightning COMMAND [--config FILE] [--KEY VALUE ...]",
        "",
        "Zero-shot and label-free out-of-distribution detection with CLIP.",
        "",
        *(f"  {name:<9}{does}" for name, does in commands.items()),
        "",
        *(f"  {group} {name:<8}{does}" for group, steps in GROUPS.items() for name, does in steps.items()),
        "",
        "COMMAND --help lists a command's keys, COMMAND --config FILE --print_config the full settings.",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    Args:
        argv: arguments after the program's name; those of the process if None.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] in ("-h", "--help"):
        print(usage())
        return 0
    if given[0] == "--version":
        print(__version__)
        return 0
    try:
        return _run(given, from_process=argv is None)
    except (UserError, ValueError) as error:
        told = _own_words(error)
        if told is None:
            raise
        print(f"error: {told}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in DENIED:
            raise
        print(f"error: {error.filename or 'what was to be written'}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped. The same command goes on where this one left off: finished shards are kept.", file=sys.stderr)
        return INTERRUPTED


def _own_words(error: BaseException | None) -> UserError | None:
    """The error for a person behind an exception: jsonargparse wraps what a class refuses when it is built."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def _run(given: list[str], from_process: bool) -> int:
    command = given[0]
    if command in TRAINER:
        from ood_lightning.cli.trainer import run

        # Lightning reads sys.argv itself, and starts further ranks with it
        return run(None if from_process else given)
    if command in STEPS:
        from ood_lightning.cli.parser import run_step

        return run_step(getattr(import_module(f"ood_lightning.cli.{command}"), command), given[1:], command)
    if command in GROUPS and given[1:2] and given[1] in GROUPS[command]:
        from ood_lightning.cli.parser import run_step

        own = f"ood_lightning.cli.{command}_{given[1]}"  # a step with a file of its own, else one of the group's
        step = getattr(import_module(own if find_spec(own) else f"ood_lightning.cli.{command}"), given[1])
        return run_step(step, given[2:], f"{command} {given[1]}")
    if command in GROUPS and given[1:] in ([], ["-h"], ["--help"]):
        print(usage())
        return 0
    raise _no_command(given)


def _no_command(given: list[str]) -> UserError:
    from difflib import get_close_matches

    known = [*TRAINER, *STEPS, *GROUPS]
    if given[0] in GROUPS:  # its step is the wrong word
        given, known = [" ".join(given[:2])], [f"{given[0]} {name}" for name in GROUPS[given[0]]]
    near = get_close_matches(given[0], known, n=1)
    return UserError(
        f"there is no command {given[0]!r}" + (f"; did you mean {near[0]!r}?" if near else "") + f"\n\n{usage()}"
    )
