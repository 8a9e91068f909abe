"""TransformersJudge: any chat model of the Hugging Face hub, or of a local folder.

Source: NegRefine, https://arxiv.org/abs/2507.09795, asks Qwen2.5-14B-Instruct-1M and lets it write up to 512 tokens.
Differs: the answer is read from the logits of the reply's first token, in one batched forward pass per question and
without writing anything; `mode: generate` writes replies, greedily unless `sample` is set.
"""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from ood_lightning.errors import SettingsError, first_line
from ood_lightning.filtering.judges.base import SYSTEM_MESSAGE, Answer, Judge, JudgeError, Question, wording, yes_or_no

if TYPE_CHECKING:
    import torch
    from torch import Tensor

log = logging.getLogger(__name__)

SPELLINGS = {True: ("Yes", "yes", "YES", " Yes", " yes"), False: ("No", "no", "NO", " No", " no")}
REPLY_TOKENS = 512  # as in the paper's code
BUDGET = {"cuda": 16384, "cpu": 2048}  # tokens in a batch
ENDS = 2**20  # bytes at either end of a local weight file that tell it from another


class Loaded(NamedTuple):
    """A model, its tokenizer, and the tokens that a reply of yes or no begins with."""

    model: Any
    tokenizer: Any
    device: torch.device


@dataclass(frozen=True)
class TransformersJudge(Judge):
    """Asks a chat model, on the GPU where there is one.

    Args:
        model: name on the hub, or a local folder. Weights are read from safetensors alone, and no code of the model's
            repository is run.
        mode: `logits` reads yes or no from the first token's logits; `generate` lets the model write a reply.
        dtype: of the weights; `auto` is the checkpoint's own. In 16 bits answers near the edge may change with the
            batch.
        tokens_per_batch: questions times the longest one's tokens; None takes 16,384 on a GPU, and 2,048 on a CPU,
            whose caches hold no more.
        misspelt: 'subcatgeory', as the paper's code asks.
        sample: with `generate`: sample as the model's own generation settings say, as the paper's code does; answers
            then differ from run to run.
        seed: of the sampling, set once a run.
    """

    llm: ClassVar[bool] = True
    remembered: ClassVar[bool] = True
    model: str
    mode: Literal["logits", "generate"] = "logits"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    tokens_per_batch: int | None = None
    misspelt: bool = False
    sample: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sample and self.mode != "generate":
            raise SettingsError("sample: logits are read, not sampled. Take `mode: generate` with it, or leave it out.")
        if self.tokens_per_batch is not None and self.tokens_per_batch < 1:
            raise SettingsError(f"tokens_per_batch is {self.tokens_per_batch}: expected a positive number")

    @cached_property
    def identity(self) -> str:
        """Model (of a local folder: a hash of its files), mode, dtype and wording."""
        folder = Path(self.model).expanduser()
        name = f"{folder.name} {_hash_of(folder)}" if folder.is_dir() else self.model
        options = [self.mode, self.dtype] + ["misspelt"] * self.misspelt + [f"sampled {self.seed}"] * self.sample
        return f"{name}, {', '.join(options)}"

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Batches by length, so that little of them is padding."""
        import torch

        loaded = self._loaded
        texts = [self._prompt(wording(question, self.misspelt)) for question in questions]
        tokens = loaded.tokenizer(texts, add_special_tokens=False)["input_ids"]  # the template has the special ones
        shared = min(_common(tokens), min(map(len, tokens)) - 1) if self.mode == "logits" else 0
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        ask = self._read if self.mode == "logits" else self._write
        with torch.inference_mode():
            prefix = self._prefix(tokens[0][:shared]) if shared else None
            for rows in self._batches(order, tokens):
                yield list(zip(rows, ask([tokens[row] for row in rows], prefix, shared), strict=True))

    def _batches(self, order: list[int], tokens: list[list[int]]) -> Iterator[list[int]]:
        """Rows in order, as many at once as the budget holds."""
        budget = self.tokens_per_batch or BUDGET[self._loaded.device.type]
        batch: list[int] = []
        for row in order:
            if batch and (len(batch) + 1) * len(tokens[row]) > budget:
                yield batch
                batch = []
            batch.append(row)
        yield batch

    def _prefix(self, tokens: list[int]) -> Any:
        """Keys and values of what all questions begin with, computed once."""
        import torch

        ids = torch.tensor([tokens], device=self._loaded.device)
        return self._loaded.model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values

    def _read(self, batch: list[list[int]], prefix: Any, shared: int) -> list[Answer]:
        """Yes or no from the logits of the next token."""
        import torch

        ids, mask = self._padded([tokens[shared:] for tokens in batch])
        mask = torch.cat([mask.new_ones(len(batch), shared), mask], dim=1)
        places = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, shared:]
        cache = None
        if prefix is not None:
            cache = copy.deepcopy(prefix)
            cache.batch_repeat_interleave(len(batch))
        given = {"input_ids": ids, "attention_mask": mask, "position_ids": places, "past_key_values": cache}
        out = self._loaded.model(**given, use_cache=cache is not None, logits_to_keep=1)
        logits = out.logits[:, -1].float()
        yes, no = (logits[:, self._first_tokens[spelt]].logsumexp(dim=1) for spelt in (True, False))
        mass = (torch.logaddexp(yes, no) - logits.logsumexp(dim=1)).exp()
        return [
            Answer(m > 0, margin=round(m, 6), mass=round(p, 6), tokens=len(tokens))
            for m, p, tokens in zip((yes - no).tolist(), mass.tolist(), batch, strict=True)
        ]

    def _write(self, batch: list[list[int]], prefix: Any, shared: int) -> list[Answer]:
        """Yes or no from written replies."""
        loaded = self._loaded
        ids, mask = self._padded(batch)
        greedy = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        options = {} if self.sample else greedy
        written = loaded.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=REPLY_TOKENS,
            pad_token_id=_padding(loaded.tokenizer),
            **options,
        )[:, ids.shape[1] :]
        replies = loaded.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [
            Answer(yes_or_no(reply), said=reply.strip()[:200], tokens=len(tokens) + written.shape[1])
            for reply, tokens in zip(replies, batch, strict=True)
        ]

    def _padded(self, batch: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Tokens and mask, padded on the left: the next token of every row is then in the last column."""
        import torch

        width = max(map(len, batch))
        padding = _padding(self._loaded.tokenizer)
        ids = torch.tensor([[padding] * (width - len(tokens)) + tokens for tokens in batch])
        mask = torch.tensor([[0] * (width - len(tokens)) + [1] * len(tokens) for tokens in batch])
        return ids.to(self._loaded.device), mask.to(self._loaded.device)

    def _prompt(self, question: str) -> str:
        """The chat template around a question, up to where the reply begins."""
        before, after = self._frame
        return before + question + after

    @cached_property
    def _frame(self) -> tuple[str, str]:
        """What the chat template puts before and after a question."""
        from jinja2 import TemplateError

        tokenizer, mark = self._loaded.tokenizer, "QUESTION-COMES-HERE"
        # a switch that some templates know: without it a reply begins with thoughts; others ignore it
        options = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": False}
        system, asked = {"role": "system", "content": SYSTEM_MESSAGE}, {"role": "user", "content": mark}
        try:
            text = tokenizer.apply_chat_template([system, asked], **options)
        except TemplateError:  # a template without a system role
            asked["content"] = f"{SYSTEM_MESSAGE}\n{mark}"
            text = tokenizer.apply_chat_template([asked], **options)
        before, _, after = str(text).partition(mark)
        return before, after

    @cached_property
    def _first_tokens(self) -> dict[bool, list[int]]:
        """Tokens that a reply of yes, or of no, begins with after the template."""
        tokenizer = self._loaded.tokenizer
        prompt = self._prompt(wording(Question("word"), self.misspelt))
        before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        found: dict[bool, list[int]] = {}
        for yes, spellings in SPELLINGS.items():
            replied = [tokenizer(prompt + reply, add_special_tokens=False)["input_ids"] for reply in spellings]
            firsts = {ids[len(before)] for ids in replied if ids[: len(before)] == before and len(ids) > len(before)}
            found[yes] = sorted(firsts)
        # ' Yes' and ' No' begin with one and the same token where a tokenizer parts blanks from words
        both = set(found[True]) & set(found[False])
        found = {yes: [token for token in tokens if token not in both] for yes, tokens in found.items()}
        if not found[True] or not found[False]:
            raise JudgeError(
                f"{self.model}: its tokenizer has no first token that tells yes from no. Take `mode: generate`."
            )
        return found

    @cached_property
    def _loaded(self) -> Loaded:
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError:
            raise JudgeError("TransformersJudge needs transformers: pip install 'ood-lightning[llm]'") from None
        import torch

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        place = str(Path(self.model).expanduser()) if Path(self.model).expanduser().is_dir() else self.model
        try:
            tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
            model: Any = AutoModelForCausalLM.from_pretrained(
                place, dtype=self.dtype, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError) as error:
            raise JudgeError(
                f"cannot load the chat model {self.model!r}: {first_line(error)} Give a name on the hub or a folder "
                f"with safetensors weights and a tokenizer; models that bring code of their own are not run."
            ) from error
        if not tokenizer.chat_template:
            raise JudgeError(
                f"{self.model} has no chat template, so it is no chat model: name an -Instruct or -Chat one"
            )
        if self.sample:
            torch.manual_seed(self.seed)
        log.info("%s on %s, %s", self.model, device, model.dtype)
        return Loaded(model.to(device).eval(), tokenizer, device)


def _padding(tokenizer: Any) -> int:
    """Any token will do: the mask hides it."""
    return next((int(i) for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)


def _common(sequences: Sequence[list[int]]) -> int:
    """Number of tokens that all sequences begin with."""
    first, last = min(sequences), max(sequences)
    return next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))


def _hash_of(folder: Path) -> str:
    """Of a local model's files: small ones whole, weights by size and both ends."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.jinja")) + sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode() + file.read(ENDS))
            if size > ENDS:
                file.seek(max(ENDS, size - ENDS))
                digest.update(file.read())
    return digest.hexdigest()[:16]
