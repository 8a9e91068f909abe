"""Replies of chat models that write down their thoughts before they answer."""

import re


def after_thoughts(reply: str) -> str:
    r"""What a reply says behind the thoughts of a model that writes them down; "" where they were cut before it came.

    Some chat templates write the opening tag into the question, so that the reply has the closing one alone.

    Example:
        >>> [after_thoughts(reply) for reply in ("<think>\n\n</think>\n\nYes", "A dog? </think> No", "<think>Oslo is")]
        ['Yes', 'No', '']
    """
    said = re.split(r"(?i)</think(?:ing)?>", reply)[-1].strip()
    return "" if said.lower().startswith("<think") else said
