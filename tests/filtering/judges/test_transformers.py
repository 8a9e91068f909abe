"""A chat model as a judge: one batched forward pass per question gives what one question at a time gives."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from ood_lightning.errors import SettingsError
from ood_lightning.filtering.asking import JudgeSession
from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import SYSTEM_MESSAGE, Answer, JudgeError, Question, wording
from ood_lightning.filtering.judges.transformers import TransformersJudge

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TEMPLATE
WORDS = (
    "cat",
    "a long word with many parts",
    "oslo",
    "dog",
    "river bank",
    "été",
    "genus ginkgo",
    "sofa",
    "x-ray",
    "bun",
)
QUESTIONS = [Question(word) for word in WORDS] + [
    Question(word, name) for word in WORDS for name in ("dog", "sports car")
]


def write_model(
    folder: Path, template: str | None = TEMPLATE, padding_side: str = "right", eager: bool = False
) -> Path:
    """A tiny random chat model. With `eager` every reply begins with yes or no."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = ["Yes No yes no", "Is 'cat' a subcategory of 'dog'?"] * 20
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)

    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side=padding_side
    )
    fast.chat_template = template

    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=len(fast), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, pad_token_id=fast.pad_token_id,
        eos_token_id=fast.eos_token_id, initializer_range=0.3,
    )  # fmt: skip
    model = transformers.Qwen2ForCausalLM(config)
    if eager:
        head = model.lm_head.weight.data.clone().zero_()
        yes, no = fast(["Yes", "No"], add_special_tokens=False)["input_ids"]
        head[yes] = model.lm_head.weight.data[yes] * 10
        head[no] = -head[yes]  # one of the two is above all the others, which get 0
        model.lm_head.weight.data = head

    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable alone is read when the hub's client is imported, which may be earlier."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("chat"))


def answers(judge: TransformersJudge, questions: Sequence[Question] = QUESTIONS) -> list[Answer]:
    by_row: dict[int, Answer] = {}
    for batch in judge.answer(questions):
        assert not set(dict(batch)) & set(by_row)
        by_row |= dict(batch)
    assert sorted(by_row) == list(range(len(questions)))
    return [by_row[row] for row in range(len(questions))]


def oracle(folder: Path, question: Question) -> tuple[float, float]:
    """Margin and mass of one question on its own: no batch, no padding, no shared prefix, all spellings by hand."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    text = f"<|im_start|>system\n{SYSTEM_MESSAGE}<|im_end|>\n<|im_start|>user\n{wording(question, False)}<|im_end|>\n"
    ids = tokenizer(text + "<|im_start|>assistant\n", add_special_tokens=False, return_tensors="pt")

    with torch.inference_mode():
        logits = model(**ids).logits[0, -1].double()

    spellings = (["Yes", "yes", "YES", " Yes", " yes"], ["No", "no", "NO", " No", " no"])
    of_yes, of_no = (
        {ids[0] for ids in tokenizer(replies, add_special_tokens=False)["input_ids"]} for replies in spellings
    )
    yes = logits[sorted(of_yes - of_no)].exp().sum()
    no = logits[sorted(of_no - of_yes)].exp().sum()
    return float((yes / no).log()), float((yes + no) / logits.exp().sum())


def test_batched_answers_are_those_of_one_question_at_a_time(chat: Path):
    batched = answers(TransformersJudge(str(chat), dtype="float32"))
    one_at_a_time = TransformersJudge(str(chat), dtype="float32", tokens_per_batch=1)
    single = [answers(one_at_a_time, [question])[0] for question in QUESTIONS[:12]]
    for question, together, alone in zip(QUESTIONS, batched, single, strict=False):
        margin, mass = oracle(chat, question)
        assert together.margin == pytest.approx(margin, abs=1e-5)
        assert alone.margin == pytest.approx(margin, abs=1e-5)
        assert together.mass == pytest.approx(mass, abs=1e-5)
        assert together.yes == alone.yes == (margin > 0)

    margins = [answer.margin or 0 for answer in batched]
    assert max(margins) - min(margins) > 0.1  # or the comparison could not fail
    assert {answer.yes for answer in batched} == {True, False}


def test_the_budget_bounds_a_batch_and_changes_no_answer(chat: Path):
    judge = TransformersJudge(str(chat), dtype="float32", tokens_per_batch=400)
    sizes = [(len(batch), max(answer.tokens for _, answer in batch)) for batch in judge.answer(QUESTIONS)]
    assert len(sizes) > 3
    assert all(n * longest <= 400 or n == 1 for n, longest in sizes)

    unbounded = answers(TransformersJudge(str(chat), dtype="float32"))
    for in_small_batches, all_at_once in zip(answers(judge), unbounded, strict=True):
        assert in_small_batches.margin == pytest.approx(all_at_once.margin, abs=1e-5)
        assert in_small_batches.yes == all_at_once.yes


def test_a_batch_may_fill_the_budget(chat: Path):
    questions = [Question(word) for word in ("xqz", "zqx", "qzx")]
    (length,) = {answer.tokens for answer in answers(TransformersJudge(str(chat)), questions)}
    for tokens, sizes in ((2 * length, [2, 1]), (3 * length - 1, [2, 1]), (3 * length, [3])):
        judge = TransformersJudge(str(chat), tokens_per_batch=tokens)
        assert [len(batch) for batch in judge.answer(questions)] == sizes


def test_a_killed_run_repeats_no_question(chat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    read = TransformersJudge._read

    def counted(self: TransformersJudge, batch: list[list[int]], *rest: Any) -> list[Answer]:
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append(len(batch))
        return read(self, batch, *rest)

    monkeypatch.setattr(TransformersJudge, "_read", counted)
    judge = TransformersJudge(str(chat), dtype="float32", tokens_per_batch=400)
    path = tmp_path / "decisions.jsonl"
    with pytest.raises(KeyboardInterrupt):
        JudgeSession(judge, Decisions(path))(QUESTIONS)
    first = sum(seen)
    assert len(path.read_text().splitlines()) == first < len(QUESTIONS)

    monkeypatch.setattr(TransformersJudge, "_read", read)
    again = TransformersJudge(str(chat), dtype="float32", tokens_per_batch=400)
    session = JudgeSession(again, Decisions(path))
    expected = [bool(answer.yes) for answer in answers(judge)]
    assert session(QUESTIONS) == expected
    assert session.cost()["recalled"] == first

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == len({(line["word"], line["name"]) for line in lines}) == len(QUESTIONS)

    monkeypatch.setattr(TransformersJudge, "_loaded", property(lambda self: pytest.fail("the model was loaded again")))
    assert JudgeSession(TransformersJudge(str(chat), dtype="float32"), Decisions(path))(QUESTIONS) == expected


def test_generate_writes_what_the_logits_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ood_lightning.filtering.judges.transformers.REPLY_TOKENS", 1)
    folder = write_model(tmp_path / "eager", eager=True)
    read = answers(TransformersJudge(str(folder), dtype="float32"))
    written = answers(TransformersJudge(str(folder), mode="generate", dtype="float32"))
    assert [answer.yes for answer in written] == [answer.yes for answer in read]
    assert {answer.said for answer in written} == {"Yes", "No"}


def test_a_model_that_writes_nonsense_is_unclear(chat: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ood_lightning.filtering.judges.transformers.REPLY_TOKENS", 3)
    with pytest.raises(JudgeError, match="said neither yes nor no to 3 of 3 questions"):
        JudgeSession(TransformersJudge(str(chat), mode="generate"), None)(QUESTIONS[:3])
    sampled = TransformersJudge(str(chat), mode="generate", sample=True)
    assert JudgeSession(sampled, None, "no")(QUESTIONS[:3]) == [False] * 3


def test_a_template_without_a_system_role_is_asked_in_one_message(tmp_path: Path):
    judge = TransformersJudge(str(write_model(tmp_path / "m", NO_SYSTEM)))
    text = judge._loaded.chat.prompt("Is it?")
    assert text == f"<|im_start|>user\n{SYSTEM_MESSAGE}\nIs it?<|im_end|>\n<|im_start|>assistant\n"


def test_what_is_no_chat_model_is_refused(tmp_path: Path, chat: Path):
    with pytest.raises(JudgeError, match="has no chat template"):
        list(TransformersJudge(str(write_model(tmp_path / "bare", None))).answer(QUESTIONS))
    with pytest.raises(JudgeError, match="cannot load the chat model 'nobody/nothing'"):
        list(TransformersJudge("nobody/nothing").answer(QUESTIONS))

    pickled = tmp_path / "pickled"
    pickled.mkdir()
    for path in chat.glob("*.json*"):
        (pickled / path.name).write_bytes(path.read_bytes())
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(JudgeError, match=r"folder with safetensors weights"):
        list(TransformersJudge(str(pickled)).answer(QUESTIONS))

    with pytest.raises(SettingsError, match="logits are read, not sampled"):
        TransformersJudge(str(chat), sample=True)


def test_code_of_a_models_own_is_not_run(tmp_path: Path, chat: Path):
    folder = tmp_path / "remote"
    folder.mkdir()
    for path in chat.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")

    with pytest.raises(JudgeError, match="models that bring code of their own are not run"):
        list(TransformersJudge(str(folder)).answer(QUESTIONS))
    assert not (tmp_path / "ran").exists()


def test_the_identity_follows_the_weights_and_the_wording(chat: Path, tmp_path: Path):
    one = TransformersJudge(str(chat))
    other = write_model(tmp_path / chat.name, eager=True)
    ids = [one, TransformersJudge(str(chat), mode="generate"), TransformersJudge(str(chat), misspelt=True)]
    assert len({judge.identity for judge in [*ids, TransformersJudge(str(other))]}) == 4
    assert TransformersJudge(str(chat)).identity == one.identity
    assert TransformersJudge("Qwen/Qwen2.5-14B-Instruct").identity == "Qwen/Qwen2.5-14B-Instruct, logits, auto"


@pytest.mark.parametrize("size", [2**20, 2**20 + 1, 2**21 - 1, 3 * 2**20])
def test_the_identity_follows_size_and_both_ends_of_large_weights(tmp_path: Path, size: int):
    weights = tmp_path / "model.safetensors"

    def identity(content: bytearray) -> str:
        weights.write_bytes(content)
        return TransformersJudge(str(tmp_path)).identity

    whole = bytearray(size)
    changed = []
    for position in (0, 2**20 - 1, size - 1):
        changed.append(bytearray(size))
        changed[-1][position] = 1
    identities = {identity(whole), identity(whole[:-1]), *map(identity, changed)}
    assert len(identities) == 1 + 1 + len({bytes(content) for content in changed})
