"""NegFilter's questions to a chat model: batched logits against one question at a time through `generate`.

OMP_NUM_THREADS=1 python -m benchmarks.negfilter [--questions 400] [--layers 2] [--width 64]

The model is a random Qwen2 of the given size whose every reply is yes or no. `generate` is greedy and stops after that
word, which is the least that a chat model writes; NegRefine's code allows 512 tokens. The default is so small that one
question at a time is far from filling a CPU, as one is far from filling a GPU with a real model. Wider models fill a
CPU with one question; what is left there is the ratio of the tokens that are computed.
"""

import argparse
import logging
import tempfile
from pathlib import Path
from time import perf_counter

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from transformers.utils import logging as transformers_logging

from ood_lightning.corpora.wordnet import WordNet
from ood_lightning.filtering.judges import transformers
from ood_lightning.filtering.judges.base import PROPER_NOUN, SUBCATEGORY, SYSTEM_MESSAGE, Question
from ood_lightning.filtering.judges.transformers import TransformersJudge

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NAMES = ("dog", "sports car", "mushroom")


def write_model(folder: Path, layers: int, width: int) -> None:
    """A random chat model with a tokenizer that has whole words for the questions' own text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()

    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [SYSTEM_MESSAGE, PROPER_NOUN, SUBCATEGORY, "Yes No", "system user assistant"] * 50
    tokenizer.train_from_iterator([*texts, *WordNet("noun").load().words[::10]], trainer)

    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = TEMPLATE

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(fast),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        num_key_value_heads=max(1, width // 64),
        max_position_embeddings=512,
        initializer_range=0.1,
        eos_token_id=fast.eos_token_id,
    )
    model = Qwen2ForCausalLM(config)

    yes, no = fast(["Yes", "No"], add_special_tokens=False)["input_ids"]
    head, embedded = torch.zeros_like(model.lm_head.weight), model.get_input_embeddings().weight.data
    head[yes] = torch.randn(width)
    head[yes, 0] = 0  # this direction says that a reply has been given: what follows is its end
    head[no] = -head[yes]
    head[fast.eos_token_id, 0] = 0.001
    embedded[[yes, no], 0] = 1e6
    model.lm_head.weight.data = head

    model.save_pretrained(folder)
    fast.save_pretrained(folder)


def main() -> None:
    """Print both rates, their ratio, and whether the answers are equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    options = parser.parse_args()

    logging.disable(logging.INFO)
    transformers_logging.disable_progress_bar()
    transformers.REPLY_TOKENS = 2

    every = WordNet("noun").load().words
    words = every[:: max(1, len(every) // options.questions)][: options.questions]
    # one question in nine is about a proper noun, as in the published run
    questions = [Question(word, None if i % 9 == 0 else NAMES[i % len(NAMES)]) for i, word in enumerate(words)]

    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), options.layers, options.width)
        batched = TransformersJudge(folder, dtype="float32")
        single = TransformersJudge(folder, mode="generate", dtype="float32", tokens_per_batch=1)

        rates, answers = [], []
        for judge in (single, batched):
            list(judge.answer(questions[:2]))  # loads the model
            start = perf_counter()
            answered = {row: answer.yes for batch in judge.answer(questions) for row, answer in batch}
            rates.append(len(questions) / (perf_counter() - start))
            answers.append([answered[row] for row in range(len(questions))])
        parameters = sum(weights.numel() for weights in batched._loaded.model.parameters())
        device = batched._loaded.device

    equal = sum(one == other for one, other in zip(*answers, strict=True))
    size = f"{parameters / 1e6:.1f} M parameters"
    print(f"{len(questions)} questions, {size} on {device}, {torch.get_num_threads()} threads")
    print(f"one at a time, generate: {rates[0]:.1f} questions/s; batched logits: {rates[1]:.1f} questions/s")
    print(f"equal answers: {equal} of {len(questions)} ({sum(map(bool, answers[1]))} yes)")
    print(f"{rates[1] / rates[0]:.1f} times faster")


if __name__ == "__main__":
    main()
