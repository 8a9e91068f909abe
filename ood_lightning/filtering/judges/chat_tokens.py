"""What a chat model reads and says, as tokens: questions in its chat template, and the first tokens of yes and no."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from ood_lightning.filtering.judges.base import SYSTEM_MESSAGE, JudgeError, Question, wording

SPELLINGS = {True: ("Yes", "yes", "YES", " Yes", " yes"), False: ("No", "no", "NO", " No", " no")}
MARK = "QUESTION-COMES-HERE"


class ChatTokens:
    """A chat model's tokenizer with its chat template.

    Args:
        tokenizer: of transformers.
        model: the model's name, for errors.
    """

    def __init__(self, tokenizer: Any, model: str) -> None:
        self.tokenizer = tokenizer
        self.model = model

    def prompt(self, question: str) -> str:
        """The chat template around a question, up to where the reply begins."""
        return self._template.replace(MARK, question)

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        """Token ids of prompts, in which the chat template has written the special tokens already."""
        return cast(list[list[int]], self.tokenizer(texts, add_special_tokens=False)["input_ids"])

    @cached_property
    def _template(self) -> str:
        """What the chat template makes of MARK as a question."""
        from jinja2 import TemplateError

        # some templates know this switch: without it a reply begins with thoughts; others ignore it
        options = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": False}
        system = {"role": "system", "content": SYSTEM_MESSAGE}
        user = {"role": "user", "content": MARK}
        try:
            return str(self.tokenizer.apply_chat_template([system, user], **options))
        except TemplateError:  # a template without a system role
            user["content"] = f"{SYSTEM_MESSAGE}\n{MARK}"
            return str(self.tokenizer.apply_chat_template([user], **options))

    @cached_property
    def first_tokens(self) -> dict[bool, list[int]]:
        """Tokens that a reply of yes (True) and of no (False) may begin with.

        Raises:
            JudgeError: the tokenizer has no first token that tells yes from no.
        """
        yes, no = (self._first_tokens_of(SPELLINGS[answer]) for answer in (True, False))

        # ' Yes' and ' No' begin with the same token where a tokenizer parts blanks from words
        both = yes & no
        if not yes - both or not no - both:
            raise JudgeError(
                f"{self.model}: its tokenizer has no first token that tells yes from no. Take `mode: generate`."
            )
        return {True: sorted(yes - both), False: sorted(no - both)}

    def _first_tokens_of(self, replies: Sequence[str]) -> set[int]:
        """First tokens of replies, without those that a tokenizer joins with the end of the prompt."""
        prompt = self.prompt(wording(Question("word"), misspelt=False))
        before, *replied = self.tokenize([prompt, *(prompt + reply for reply in replies)])
        length = len(before)
        return {ids[length] for ids in replied if ids[:length] == before and len(ids) > length}

    @property
    def padding(self) -> int:
        """Token to pad with. Any will do, since the mask hides it."""
        tokens = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return next((int(token) for token in tokens if token is not None), 0)

    def padded(self, batch: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Token ids and mask, both (B, longest), padded on the left: every row's next token is in the last column."""
        width = max(map(len, batch))
        ids = torch.tensor([[self.padding] * (width - len(tokens)) + [*tokens] for tokens in batch])
        mask = torch.tensor([[0] * (width - len(tokens)) + [1] * len(tokens) for tokens in batch])
        return ids, mask
