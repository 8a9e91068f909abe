"""Commands by name. Nothing heavy is imported before the command is known: torch and Lightning take seconds."""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path

from ood_lightning import __version__
from ood_lightning.cli.config_files import check_files, with_shipped
from ood_lightning.cli.quick_imports import in_one_go, without_optional
from ood_lightning.errors import MORE_FILES, UserError
from ood_lightning.masking import masked
from ood_lightning.plain_output import dropped_output, plain_output

TRAINER = {
    "fit": "train TEMI heads on unlabelled ID pictures and mine the label sets",
    "test": "score ID, covariate-shifted and OOD sets with every detector, in one pass",
}
STEPS = {
    "run": "from folders of one's own pictures to a detector with a threshold",
    "calibrate": "set a detector's threshold anew, from pictures that it has never seen",
    "embed": "store the features of sets; any number of processes and array jobs may share the work",
    "mine": "make a label set again, with another corpus, prompts or count",
    "filter": "drop proper nouns and subcategories of ID names from a label set's negatives",
    "save-detector": "make a detector folder of a label set and a way to score",
    "watch": "whether the world has changed: an alarm with a stated rate of false ones, from predictions over time",
    "predict": "score, p-value, decision and nearest concepts of any number of pictures",
    "audit": "which pictures of OOD sets may be ID, and the results with and without them",
    "export": "a detector as one ONNX graph, for programs without this one",
    "sweep": "many runs, of a file of lines or a grid: here or as an array of Slurm; what is finished is not repeated",
    "reproduce": "a table or a figure of the papers: what is missing is run, then compared with what was published",
    "report": "join the results of several runs into one table",
    "validate": "the checks that a command begins with, and nothing else",
    "doctor": "what this machine offers and lacks, and what mends it",
}
GROUPS = {
    "labels": {
        "show": "label sets as tables, beside true names if wanted",
        "diff": "what differs between two label sets",
        "elbow": "choose the number of clusters from finished fits",
        "without": "take words out of a label set, put others in, and score only what moved",
        "plot": "likeness of mined words to true names, as a picture",
    },
    "corpus": {
        "grow": "words for pictures that a corpus describes badly: a model proposes, a person chooses",
    },
    "sweep": {
        "plot": "a measure over one or two settings, from the runs of a sweep",
        "lines": "the lines of a sweep as they are read, from 0",
        "stages": "which lines a pipeline of jobs would run, one stage after the other",
    },
    "reproduce": {
        "list": "all tables and figures, what they take, and what of that is here",
        "collect": "one table over several people's results of an item",
    },
    "data": {
        "list": "published sets: role, pictures, classes, licence, groups",
        "show": "the card of a set, and the commands from nothing to its features",
        "get": "fetch a published set, verify and pack it; resumes where it stopped",
        "pack": "make shards of a folder, list, archive or table of pictures",
        "check": "damage, duplicates and wrong labels in sets",
        "corrupt": "a covariate-shifted version of a set, as in ImageNet-C",
    },
    "cache": {
        "list": "what stored features and texts take on disk",
        "clean": "remove the oldest of them until no more than some gigabytes are left",
    },
}
KEPT = {  # of a command that was interrupted
    "run": "finished steps are kept, and within them every 256 pictures that were embedded, every 8,192 words that "
    "were encoded, and the last checkpoint of TEMI",
    "embed": "finished shards are kept",
}
HELP = {"-h", "--help"}
HELP_ALL = "--help-all"  # of `fit` and `test`, whose help is Lightning's too
REFUSED = 2  # settings, or what lies on disk
INTERRUPTED = 130  # what shells report for Ctrl-C
# errors of the system that a person can mend: rights, a full disk, a folder in the place of a file
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EISDIR, errno.ENAMETOOLONG)
TOO_MANY = (errno.EMFILE, errno.ENFILE)


def usage() -> str:
    """The text of `--help`."""
    return "\n".join(
        [
            "usage: python -m ood_lightning COMMAND [--config FILE] [--KEY VALUE ...]",
            "",
            "Zero-shot and label-free out-of-distribution detection with CLIP.",
            "",
            *(f"  {name:<14}{does}" for name, does in {**TRAINER, **STEPS}.items()),
            "",
            *(f"  {group} {name:<8}{does}" for group, steps in GROUPS.items() for name, does in steps.items()),
            "",
            "COMMAND --help lists a command's keys, COMMAND --config FILE --print_config the full settings.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    Args:
        argv: arguments after the program's name; those of the process if None.
    """
    # Threads of OpenMP spin while they wait for one another, which starves them all where something else holds a core.
    # Fewer rounds cost a tenth on idle cores (`python -m benchmarks.start`). Read when torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

    for stream in (sys.stdout, sys.stderr):  # a name that a terminal cannot show is no reason to stop
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        Path.cwd()
    except FileNotFoundError:
        print("error: the current folder does not exist any more: go to another one", file=sys.stderr)
        return REFUSED
    words = [words[0], *with_shipped(words[1:])]
    if argv is None:
        sys.argv[1:] = words  # Lightning reads it, and starts further ranks with it

    with plain_output():
        return _status(words, from_process=argv is None)


def _status(words: list[str], from_process: bool) -> int:
    """Run the command that the words begin with, and say what ended it; returns the exit status.

    Args:
        words: the command and its arguments.
        from_process: they are the process's own.
    """
    try:
        status = _run(words, from_process)
        if "OOD_MEMORY_FILE" in os.environ:  # of a step that notes what it took
            from ood_lightning.experiments.memory import write_memory

            write_memory(os.environ)
        sys.stdout.flush()
        return status

    except (UserError, ValueError) as error:
        cause = _user_error(error)
        if cause is None:
            raise
        print(f"error: {masked(str(cause))}", file=sys.stderr)
        return REFUSED
    except BrokenPipeError:
        if not dropped_output():
            raise
        return 0
    except OSError as error:
        if error.errno not in (*DENIED, *TOO_MANY):
            raise
        advice = f". {MORE_FILES}" if error.errno in TOO_MANY else ""
        what = error.filename or ("a file" if advice else "what was to be written")
        print(f"error: {what}: {error.strerror}{advice}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        kept = KEPT.get(words[0], "what is finished is kept")
        print(f"stopped. The same command goes on where this one left off: {kept}.", file=sys.stderr)
        return INTERRUPTED


def _user_error(error: BaseException | None) -> UserError | None:
    """The error for a person behind an exception: jsonargparse wraps what a class refuses when it is built."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def _run(words: list[str], from_process: bool) -> int:
    """Run the command that the words begin with.

    Args:
        words: the command and its arguments.
        from_process: they are the process's own.
    """
    command, *rest = words
    step = next(iter(rest), "")

    if command in ("-h", "--help", "--version"):
        print(__version__ if command == "--version" else usage())
        return 0

    if command == "validate":
        from ood_lightning.cli.validate import validate

        return validate(rest, partial(_run, from_process=False))

    if command in TRAINER and HELP & set(rest):
        from ood_lightning.cli.trainer_help import help_text

        print(help_text(command, TRAINER[command]))
        raise SystemExit(0)  # as of the other commands

    if command in TRAINER:
        if HELP_ALL in rest:
            words, rest = [command, "--help"], ["--help"]
            if from_process:
                sys.argv[1:] = words  # Lightning reads it
        from ood_lightning.cli.trainer_keys import check_top_keys

        check_top_keys(command, rest, check_files(words))  # before torch and Lightning are imported: seconds
        with ExitStack() as quick:
            quick.enter_context(in_one_go())
            if from_process and rest == ["--help"]:
                quick.enter_context(without_optional())
            from ood_lightning.cli.trainer import run

        return run(None if from_process else words)

    if command in STEPS or step in GROUPS.get(command, ()):
        from ood_lightning.cli.loggers import loggers_of
        from ood_lightning.cli.parser import run_step

        name = [command, step] if step in GROUPS.get(command, ()) else [command]
        file = f"ood_lightning.cli.{'_'.join(name)}".replace("-", "_")
        with in_one_go():
            # a group's step has a file of its own, or lies in its group's
            module = import_module(file if find_spec(file) else f"ood_lightning.cli.{command}")
        function = getattr(module, name[-1].replace("-", "_"))
        with loggers_of(" ".join(name), words[len(name) :]) as rest:
            return run_step(function, rest, " ".join(name))

    if command in GROUPS and rest in ([], ["-h"], ["--help"]):
        print(usage())
        return 0
    raise _no_command(command, step)


def _no_command(command: str, step: str) -> UserError:
    """The refusal of a command, or of a group's step, that does not exist."""
    from difflib import get_close_matches

    wrong, known = command, [*TRAINER, *STEPS, *GROUPS]
    if command in GROUPS:
        wrong, known = f"{command} {step}", [f"{command} {name}" for name in GROUPS[command]]

    similar = get_close_matches(wrong, known, n=1)
    hint = f"; did you mean {similar[0]!r}?" if similar else ""
    return UserError(f"there is no command {wrong!r}{hint}\n\n{usage()}")
