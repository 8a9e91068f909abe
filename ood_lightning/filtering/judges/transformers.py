"""TransformersJudge: any chat model of the Hugging Face hub, or of a local folder.

Source: NegRefine, https://arxiv.org/abs/2507.09795, asks Qwen2.5-14B-Instruct-1M and lets it write up to 512 tokens.
Differs: the answer is read from the logits of the reply's first token, in one batched forward pass per question and
without writing anything; `mode: generate` writes replies, greedily unless `sample` is set.
"""

import copy
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from ood_lightning.errors import SettingsError, first_line
from ood_lightning.filtering.judges.base import Answer, Judge, JudgeError, Question, said_in, wording, yes_or_no
from ood_lightning.filtering.judges.chat_tokens import ChatTokens
from ood_lightning.places import expanded
from ood_lightning.ranges import Count, Seed

log = logging.getLogger(__name__)

REPLY_TOKENS = 512  # as in the paper's code
TOKENS_PER_BATCH = {"cuda": 16384, "cpu": 2048}
HASHED_BYTES = 2**20  # of either end of a local weight file
GREEDY = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}


class Loaded(NamedTuple):
    """A chat model and its tokenizer."""

    model: Any
    chat: ChatTokens


class Prefix(NamedTuple):
    """The tokens with which all questions begin: their number, and the model's keys and values of them."""

    length: int
    cache: Any  # None where the length is 0


@dataclass(frozen=True)
class TransformersJudge(Judge):
    """Asks a chat model, on the GPU where there is one.

    Args:
        model: name on the hub, or a local folder. Weights are read from safetensors alone, and no code of the model's
            repository is run.
        mode: `logits` reads yes or no from the first token's logits; `generate` lets the model write a reply.
        dtype: of the weights; `auto` is the checkpoint's own. In 16 bits, an answer whose yes and no are about as
            likely may change with the batch.
        tokens_per_batch: largest product of a batch's questions and the tokens of the longest one; None takes 16,384
            on a GPU, and 2,048 on a CPU, whose caches hold no more.
        misspelt: write 'subcatgeory', as the paper's code does.
        sample: with `mode: generate`, sample as the model's own generation settings say, as the paper's code does;
            answers then differ from run to run.
        seed: of the sampling, set once a run.
    """

    model: str
    mode: Literal["logits", "generate"] = "logits"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    tokens_per_batch: Count | None = None
    misspelt: bool = False
    sample: bool = False
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sample and self.mode != "generate":
            raise SettingsError("sample: logits are read, not sampled. Take `mode: generate` with it, or leave it out.")

    @cached_property
    def identity(self) -> str:
        """Model (for a local folder, a hash of its files), mode, dtype and wording."""
        folder = expanded(self.model)
        name = f"{folder.name} {_hash_of(folder)}" if folder.is_dir() else self.model

        spelling = ", misspelt" if self.misspelt else ""
        sampling = f", sampled {self.seed}" if self.sample else ""
        return f"{name}, {self.mode}, {self.dtype}{spelling}{sampling}"

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Batches of questions of similar length, so that little of them is padding."""
        chat = self._loaded.chat
        tokens = chat.tokenize([chat.prompt(wording(question, self.misspelt)) for question in questions])
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))

        with torch.inference_mode():
            prefix = self._shared_prefix(tokens) if self.mode == "logits" else None
            for rows in self._batches(order, tokens):
                batch = [tokens[row] for row in rows]
                answers = self._write(batch) if prefix is None else self._read(batch, prefix)
                yield list(zip(rows, answers, strict=True))

    def _batches(self, order: list[int], tokens: list[list[int]]) -> Iterator[list[int]]:
        """Rows in order, as many at once as the budget of tokens allows."""
        budget = self.tokens_per_batch or TOKENS_PER_BATCH[self._loaded.model.device.type]
        batch: list[int] = []
        for row in order:
            if batch and (len(batch) + 1) * len(tokens[row]) > budget:
                yield batch
                batch = []
            batch.append(row)

        yield batch

    def _shared_prefix(self, tokens: list[list[int]]) -> Prefix:
        """What all questions begin with, computed once; at least one token of every question is left to read."""
        shared = list(takewhile(lambda column: len(set(column)) == 1, zip(*tokens, strict=False)))
        length = min(len(shared), min(map(len, tokens)) - 1)
        if length == 0:
            return Prefix(0, None)

        ids = torch.tensor([tokens[0][:length]], device=self._loaded.model.device)  # (1, length)
        output = self._loaded.model(input_ids=ids, use_cache=True, logits_to_keep=1)
        return Prefix(length, output.past_key_values)

    def _read(self, batch: list[list[int]], prefix: Prefix) -> list[Answer]:
        """Yes or no from the logits of the next token."""
        model, chat = self._loaded
        ids, mask = chat.padded([tokens[prefix.length :] for tokens in batch])  # (B, L), without the prefix
        mask = torch.cat([mask.new_ones(len(batch), prefix.length), mask], dim=1)  # (B, prefix + L)
        positions = (mask.cumsum(dim=1) - 1)[:, prefix.length :].clamp(min=0)  # (B, L); padding counts for nothing

        cache = copy.deepcopy(prefix.cache)  # the model appends to it
        if cache is not None:
            cache.batch_repeat_interleave(len(batch))

        output = model(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            position_ids=positions.to(model.device),
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=1,
        )
        logits = output.logits[:, -1].float()  # (B, vocabulary)

        yes, no = (logits[:, chat.first_tokens[answer]].logsumexp(dim=1) for answer in (True, False))
        margins = (yes - no).tolist()
        masses = (torch.logaddexp(yes, no) - logits.logsumexp(dim=1)).exp().tolist()
        return [
            Answer(margin > 0, margin=round(margin, 6), mass=round(mass, 6), tokens=len(tokens))
            for margin, mass, tokens in zip(margins, masses, batch, strict=True)
        ]

    def _write(self, batch: list[list[int]]) -> list[Answer]:
        """Yes or no from written replies."""
        model, chat = self._loaded
        ids, mask = chat.padded(batch)  # (B, L)
        output = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=REPLY_TOKENS,
            pad_token_id=chat.padding,
            **({} if self.sample else GREEDY),
        )

        written = output[:, ids.shape[1] :]  # (B, at most REPLY_TOKENS): the model repeats the question before it
        replies = chat.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [
            Answer(yes_or_no(reply), said=said_in(reply)[:200], tokens=len(tokens) + written.shape[1])
            for reply, tokens in zip(replies, batch, strict=True)
        ]

    @cached_property
    def _loaded(self) -> Loaded:
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError:
            raise JudgeError("TransformersJudge needs transformers: pip install 'ood-lightning[llm]'") from None

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        folder = expanded(self.model)
        name = str(folder) if folder.is_dir() else self.model
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
            model: Any = AutoModelForCausalLM.from_pretrained(
                name, dtype=self.dtype, use_safetensors=True, trust_remote_code=False
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
        return Loaded(model.to(device).eval(), ChatTokens(tokenizer, self.model))


def _hash_of(folder: Path) -> str:
    """Hash of a local model's files: small ones whole, large ones by their size and both ends."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.jinja")) + sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(HASHED_BYTES))
            if size > HASHED_BYTES:
                file.seek(max(HASHED_BYTES, size - HASHED_BYTES))
                digest.update(file.read())

    return digest.hexdigest()[:16]
