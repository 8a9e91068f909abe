"""Names that the code has left behind, since each stood for several things: none may come back."""

import re

_OLD = """
told TOLD Given given Under under Lexicon lexica lexicon terms border Border limit bases also Blanks blanks
takes_vectors Hearing hearing ahead Wanted wanted Slots slots twins against near asked needs inputs checked
WHENCE whence most least MADE LabelledFit each tick shown ScoreBag bag bags tapped stretched complaint
more_than_numbers found some own about place
"""
OLD_NAMES = frozenset(_OLD.split())

# file, name, and why it is the plain right word there
RIGHT_WORDS = {
    ("ood_lightning/cli/data_check.py", "near"): "the option `--near`: how near a near-duplicate is",
}

# keys of configs and options of commands
RIGHT_KEYS = {
    "near": "OpenOOD's group of near-OOD sets, and the option of `data check`",
}


def old_options(help_text: str) -> set[str]:
    """Options of a command's `--help` of which a part is an old name."""
    options = re.findall(r"--([\w.]+)", help_text)
    return {option for option in options if (OLD_NAMES - set(RIGHT_KEYS)) & set(option.split("."))}
