"""CLIPN's door: the "no" tower against a slow forward in float64, and files that are no checkpoint for this run."""

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ood_lightning.encoders.clipn import NoTexts
from ood_lightning.encoders.openclip import OpenClip, Towers
from ood_lightning.errors import EncoderError

HEADS = 2
TEXTS = ["dog", "a photo of a very large and rather old dog.", "!", "one two three four five six seven eight nine ten"]


@pytest.fixture(scope="module")
def yes(tiny_model: Path) -> OpenClip:
    encoder = OpenClip(f"local-dir:{tiny_model}", text_batch=2)
    encoder.load(torch.device("cpu"))
    return encoder


@pytest.fixture
def written(clipn_tensors: dict[str, Tensor], tmp_path: Path) -> Callable[..., Path]:
    """Writer of a checkpoint; a tensor given as None is left out."""

    def write(name: str = "clipn.pt", around: bool = True, prefix: str = "", **changes: Tensor | None) -> Path:
        tensors = {key: value for key, value in {**clipn_tensors, **changes}.items() if value is not None}
        tensors = {prefix + key: value.clone().contiguous() for key, value in tensors.items()}
        if name.endswith(".safetensors"):
            save_file(tensors, tmp_path / name)
        else:
            torch.save({"epoch": 10, "name": "a", "state_dict": tensors} if around else tensors, tmp_path / name)
        return tmp_path / name

    return write


def _norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt() * weight + bias


def _gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def by_hand(checkpoint: dict[str, Tensor], tokens: list[int]) -> Tensor:
    """The "no" feature of one text, token by token, prompts added to every token's embedding one after another."""
    w = {key: value.double() for key, value in checkpoint.items()}
    rows = []
    for at, token in enumerate(tokens):
        x = w["token_embedding_no.weight"][token] + w["positional_embedding_no"][at]
        for prompt in w["prompt_no"]:
            x = x + prompt[at] / 16
        rows.append(x)

    block = "transformer_no.resblocks.0."
    normed = [_norm(x, w[block + "ln_1.weight"], w[block + "ln_1.bias"]) for x in rows]
    joint = [w[block + "attn.in_proj_weight"] @ x + w[block + "attn.in_proj_bias"] for x in normed]  # q, k and v
    for at in range(len(rows)):
        heads = [_attended(joint[: at + 1], head) for head in range(HEADS)]
        rows[at] = rows[at] + w[block + "attn.out_proj.weight"] @ torch.cat(heads) + w[block + "attn.out_proj.bias"]

    end = rows[tokens.index(max(tokens))]
    hidden = w[block + "mlp.c_fc.weight"] @ _norm(end, w[block + "ln_2.weight"], w[block + "ln_2.bias"])
    mlp = w[block + "mlp.c_proj.weight"] @ _gelu(hidden + w[block + "mlp.c_fc.bias"]) + w[block + "mlp.c_proj.bias"]
    return _norm(end + mlp, w["ln_final_no.weight"], w["ln_final_no.bias"]) @ w["text_projection_no"]


def _attended(joint: list[Tensor], head: int) -> Tensor:
    """One head's output for the last token, which attends to all of them; queries, keys and values are joined."""
    size = len(joint[0]) // 3 // HEADS
    query, keys, values = (
        [row[(part * HEADS + head) * size : (part * HEADS + head + 1) * size] for row in joint] for part in range(3)
    )
    weights = [math.exp(float(query[-1] @ key) / math.sqrt(size)) for key in keys]
    return torch.stack([weight / sum(weights) * value for weight, value in zip(weights, values, strict=True)]).sum(0)


def test_the_no_features_equal_a_slow_forward_by_hand(
    yes: OpenClip, clipn_tensors: dict[str, Tensor], written: Callable[..., Path]
):
    features = NoTexts(yes, str(written())).encode_text(TEXTS)
    tokens = yes._towers.tokenizer(TEXTS).tolist()
    expected = torch.stack([by_hand(clipn_tensors, row) for row in tokens])
    torch.testing.assert_close(features.double(), expected, rtol=1e-4, atol=1e-4)
    assert (features - yes.encode_text(TEXTS)).abs().max() > 0.1


def test_the_names_are_those_that_the_published_code_declares(clipn_tensors: dict[str, Tensor]):
    block = "ln_1.weight ln_1.bias attn.in_proj_weight attn.in_proj_bias attn.out_proj.weight attn.out_proj.bias "
    block += "ln_2.weight ln_2.bias mlp.c_fc.weight mlp.c_fc.bias mlp.c_proj.weight mlp.c_proj.bias"
    rest = "prompt_no token_embedding_no.weight positional_embedding_no ln_final_no.weight ln_final_no.bias"
    expected = [f"transformer_no.resblocks.0.{name}" for name in block.split()] + [*rest.split(), "text_projection_no"]
    assert sorted(name for name in clipn_tensors if "_no" in name) == sorted(expected)


@pytest.mark.parametrize(
    "how",
    [{"prefix": "module."}, {"around": False}, {"name": "clipn.safetensors"}, {"name": "a.bin", "prefix": "module."}],
    ids=str,
)
def test_every_wrapping_of_the_same_tensors_gives_the_same_features(
    yes: OpenClip, written: Callable[..., Path], how: dict[str, Any]
):
    plain = NoTexts(yes, str(written("plain.pt"))).encode_text(TEXTS)
    assert torch.equal(NoTexts(yes, str(written(**how))).encode_text(TEXTS), plain)


@pytest.mark.parametrize("module", ["numpy._core.multiarray", "numpy.core.multiarray"])  # of NumPy 2, and before
def test_a_learning_rate_that_is_a_number_of_numpy_does_not_keep_the_weights_from_being_read(
    yes: OpenClip, clipn_tensors: dict[str, Tensor], written: Callable[..., Path], tmp_path: Path, module: str
):
    optimizer = {"state": {}, "param_groups": [{"lr": np.float64(3e-4), "params": [0]}]}
    torch.save({"epoch": 10, "state_dict": clipn_tensors, "optimizer": optimizer}, tmp_path / "new.pt")
    with zipfile.ZipFile(tmp_path / "new.pt") as new, zipfile.ZipFile(tmp_path / "numpy.pt", "w") as old:
        for entry in new.infolist():
            content = new.read(entry)
            if entry.filename.endswith("data.pkl"):
                assert b"cnumpy._core.multiarray\nscalar\n" in content
                content = content.replace(b"cnumpy._core.multiarray\n", f"c{module}\n".encode())
            old.writestr(entry.filename, content)

    features = NoTexts(yes, str(tmp_path / "numpy.pt")).encode_text(TEXTS)
    assert torch.equal(features, NoTexts(yes, str(written())).encode_text(TEXTS))


def test_the_image_tower_is_the_runs_own_and_the_run_keeps_its_texts(yes: OpenClip, written: Callable[..., Path]):
    before = yes.encode_text(TEXTS)
    no = NoTexts(yes, str(written()))
    no.encode_text(TEXTS)
    assert torch.equal(yes.encode_text(TEXTS), before)
    assert no._towers.model.visual is yes._towers.model.visual
    picture = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(no.encode_image(picture), yes.encode_image(picture))
    assert no.logit_scale == yes.logit_scale


def test_the_fingerprint_follows_encoder_and_checkpoint(yes: OpenClip, tiny_model: Path, written: Callable[..., Path]):
    one, same, other = written("a.pt"), written("a.safetensors"), written("b.pt", prompt_no=torch.zeros(16, 16, 16))
    half = OpenClip(f"local-dir:{tiny_model}", precision="bf16")
    fingerprints = [NoTexts(yes, str(path)).fingerprint for path in (one, same, other)]
    fingerprints.append(NoTexts(half, str(one)).fingerprint)
    assert len({yes.fingerprint, half.fingerprint, *fingerprints}) == 6
    assert NoTexts(yes, str(one)).fingerprint == fingerprints[0]


def test_a_half_precision_run_is_near_a_full_one_and_not_taken_for_another_encoder(
    yes: OpenClip, tiny_model: Path, written: Callable[..., Path]
):
    half = OpenClip(f"local-dir:{tiny_model}", precision="bf16", text_batch=2)
    rounded, exact = (NoTexts(run, str(written())).encode_text(TEXTS) for run in (half, yes))
    assert torch.cosine_similarity(rounded, exact).min() > 0.99


def test_a_checkpoint_of_the_no_tower_alone_is_enough(
    yes: OpenClip, clipn_tensors: dict[str, Tensor], written: Callable[..., Path]
):
    rest = {key: None for key in clipn_tensors if "_no" not in key}
    features = NoTexts(yes, str(written("alone.safetensors", **rest))).encode_text(TEXTS)
    assert torch.equal(features, NoTexts(yes, str(written())).encode_text(TEXTS))


@pytest.mark.parametrize("key", ["visual.conv1.weight", "text_projection", "transformer.resblocks.0.mlp.c_fc.weight"])
def test_a_checkpoint_trained_beside_another_encoder_is_refused(
    yes: OpenClip, clipn_tensors: dict[str, Tensor], written: Callable[..., Path], key: str
):
    changed = clipn_tensors[key] + 0.02 * clipn_tensors[key].norm() / clipn_tensors[key].numel() ** 0.5
    path = written(**{key: changed})
    with pytest.raises(
        EncoderError, match=rf"trained beside another encoder than .*its {key} differs.*laion2b_s34b_b88k"
    ):
        NoTexts(yes, str(path)).encode_text(TEXTS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"prompt_no": None},
            r"1 of the 18 tensors of its 'no' tower are not in it, prompt_no for one.*holds 5\d tensors",
        ),
        (
            {"prompt_no": torch.zeros(16, 77, 16)},
            r"prompt_no is \(16, 77, 16\), expected \(16, 16, 16\) for 'local-dir",
        ),
        ({"text_projection_no": torch.zeros(16, 8)}, r"text_projection_no is \(16, 8\), expected \(16, 16\)"),
    ],
)
def test_a_checkpoint_of_another_layout_says_what_was_found_and_expected(
    yes: OpenClip, written: Callable[..., Path], changes: dict[str, Any], words: str
):
    with pytest.raises(EncoderError, match=words):
        NoTexts(yes, str(written(**changes))).encode_text(TEXTS)


def test_the_runs_own_weights_are_no_clipn_checkpoint(yes: OpenClip, tiny_model: Path):
    with pytest.raises(EncoderError, match="is no CLIPN checkpoint: 18 of the 18 tensors"):
        NoTexts(yes, str(tiny_model / "open_clip_model.safetensors")).encode_text(TEXTS)


def test_a_missing_file_is_named(yes: OpenClip):
    with pytest.raises(EncoderError, match=r"no CLIPN checkpoint nowhere/epoch_10\.pt"):
        NoTexts(yes, "nowhere/epoch_10.pt")


@pytest.mark.parametrize("name", ["clipn.pt", "clipn.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>Sign in</html>", b"hello world", b"PK\x03\x04cut", bytes(range(256))])
def test_bytes_that_are_no_checkpoint_are_refused(yes: OpenClip, tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EncoderError, match="is damaged or no checkpoint"):
        NoTexts(yes, str(tmp_path / name)).encode_text(TEXTS)


@pytest.mark.parametrize("held", [[1, 2], {"state_dict": 3}, {"epoch": 10}])
def test_a_file_without_tensors_is_no_clipn_checkpoint(yes: OpenClip, tmp_path: Path, held: Any):
    torch.save(held, tmp_path / "clipn.pt")
    with pytest.raises(EncoderError, match="It holds 0 tensors: none"):
        NoTexts(yes, str(tmp_path / "clipn.pt")).encode_text(TEXTS)


def test_a_pickled_object_is_refused_unrun_with_what_to_do(
    yes: OpenClip, clipn_tensors: dict[str, Tensor], tmp_path: Path
):
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (Path("executed"),)

    torch.save({"state_dict": clipn_tensors, "args": Bomb()}, tmp_path / "clipn.pt")
    with pytest.raises(EncoderError, match=r"holds more than numbers \(\S+\).*write its tensors alone once"):
        NoTexts(yes, str(tmp_path / "clipn.pt")).encode_text(TEXTS)
    assert not Path("executed").exists()


def test_an_encoder_with_another_text_tower_is_refused(written: Callable[..., Path]):
    import open_clip
    from tiny_model import TINY

    encoder = OpenClip("local-dir:custom")
    encoder._towers = Towers(open_clip.CustomTextCLIP(**TINY), None, None)
    with pytest.raises(EncoderError, match=r"plain CLIP models.*'local-dir:custom' has another one"):
        NoTexts(encoder, str(written())).encode_text(TEXTS)
