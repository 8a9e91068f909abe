"""Tiny random image-text models of transformers, with a tokenizer made on the spot, and their own way with texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

CONTEXT = 16
TEXTS = [
    "dog",
    "a photo of a dog.",
    "",
    "one two three four five six seven eight one two three four five six seven eight one two three",
    "CAT",
    "the naïve café 猫",
    "a",
]
SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
VISION = {**SIZES, "hidden_size": 32, "image_size": 16, "patch_size": 8}


def tokenizer(max_length: int = CONTEXT, ends_with_largest: bool = False) -> Any:
    """Bytes and a few words; every text begins with `<s>` and ends with `</s>`.

    Args:
        max_length: what the checkpoint says of itself.
        ends_with_largest: `</s>` has the largest number, as CLIP's end-of-text token does.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()

    special = ["<s>", "<pad>"] if ends_with_largest else ["<s>", "<pad>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(["a photo of a dog.", "one two three four five six seven eight"] * 20, trainer)

    made.add_special_tokens(["</s>"])

    ends = [(token, made.token_to_id(token)) for token in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)

    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>", model_max_length=max_length
    )


def text_config(tok: Any, **more: Any) -> dict[str, Any]:
    """Of a text tower for that tokenizer."""
    numbers = {"bos_token_id": tok.bos_token_id, "eos_token_id": tok.eos_token_id, "pad_token_id": tok.pad_token_id}
    sizes = {**SIZES, "hidden_size": 32, "vocab_size": len(tok), "max_position_embeddings": CONTEXT}
    return {**sizes, **numbers, **more}


def write(folder: Path, model: Any, tok: Any, processor: Any) -> Path:
    """Save a model whose weights are all random: initialisation leaves some at zero, which would hide faults."""
    torch.manual_seed(7)
    for name, parameter in model.named_parameters():
        if parameter.ndim:
            torch.nn.init.normal_(parameter, mean=float("norm" in name.lower() and "weight" in name), std=0.2)

    for part in (model, tok, processor):
        part.save_pretrained(folder)
    return folder


def write_clip(folder: Path, **text: Any) -> Path:
    """CLIP: causal, reads the end-of-text token; pictures lose what stands over at their sides."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    tok = tokenizer()
    config = CLIPConfig(text_config=text_config(tok, **text), vision_config=VISION, projection_dim=24)
    processor = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    return write(folder, CLIPModel(config), tok, processor)


def write_siglip(folder: Path) -> Path:
    """SigLIP: attends to its padding, reads the last token; pictures are squeezed into a square."""
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    tok = tokenizer(max_length=10**30)
    config = SiglipConfig(text_config=text_config(tok, projection_size=32), vision_config=VISION)
    return write(folder, SiglipModel(config), tok, SiglipImageProcessor(size={"height": 16, "width": 16}))


def random_image(seed: int, size: tuple[int, int] = (37, 24)) -> Image.Image:
    """Noise in width x height pixels."""
    noise = torch.randint(0, 256, (size[1], size[0], 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(noise.to(torch.uint8).numpy())


def one_text_at_a_time(folder: Path, texts: list[str] = TEXTS) -> Tensor:
    """transformers' own forward: CLIP unpadded, SigLIP at its context and without a mask, as its model card says."""
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder).eval()
    tok = AutoTokenizer.from_pretrained(folder)
    options: dict[str, Any] = {"truncation": True, "max_length": CONTEXT, "return_tensors": "pt"}
    rows = []
    with torch.inference_mode():
        for text in texts:
            if model.config.model_type == "siglip":
                tokens = {"input_ids": tok(text.lower(), padding="max_length", **options)["input_ids"]}
            else:
                tokens = tok(text, **options)
            rows.append(model.get_text_features(**tokens).pooler_output)

    return torch.cat(rows)
