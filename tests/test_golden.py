"""Values of the published implementations (TEMI, NegRefine, PLP), where the folder that holds them is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ood_lightning.clustering.heads import TEMIHeads
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.functional import conventions, roc
from ood_lightning.functional.confidence import log_max_softmax, negative_entropy
from ood_lightning.functional.density import fit_gaussians, mahalanobis, relative_mahalanobis
from ood_lightning.functional.grouping import grouped_log_odds
from ood_lightning.functional.multimatch import multi_match
from ood_lightning.functional.selection import contiguous_groups
from ood_lightning.functional.similarity import log_mass, log_masses, top_k
from ood_lightning.functional.temi import head_losses, updated_prior

FOLDER = Path(os.environ.get("GOLDEN_DIR") or Path(__file__).parents[2] / "shared" / "golden")

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no reference outputs at {FOLDER}: set GOLDEN_DIR to the folder that holds them"
)


def files(form: str) -> list[Path]:
    return sorted(FOLDER.glob(f"{form}_*.npz"))


def load(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays}


@pytest.mark.parametrize("form", ["temi", "neglabel", "metrics", "mahalanobis", "multimatch"])
def test_the_folder_holds_every_form_that_is_compared(form: str):
    assert files(form), f"no {form}_*.npz in {FOLDER}"


@pytest.mark.parametrize("path", files("temi"), ids=lambda path: path.stem)
def test_temi_loss_gradient_and_prior(path: Path):
    given = load(path)
    settings = {"beta": "beta", "student_temperature": "student_temp", "teacher_temperature": "teacher_temp"}
    options = {name: float(given[key]) for name, key in settings.items()}
    n_heads, _, n_clusters = given["step0.student_logits"].shape
    prior = torch.full((n_heads, n_clusters), 1 / n_clusters)
    steps = sum(name.endswith(".loss_per_head") for name in given)
    for step in range(steps):
        student = given[f"step{step}.student_logits"].clone().requires_grad_()
        teacher = given[f"step{step}.teacher_logits"]
        batch_mean = (teacher / options["teacher_temperature"]).softmax(-1).mean(1)
        prior = updated_prior(prior, batch_mean, float(given["probs_momentum"]))
        losses = head_losses(*student.chunk(2, dim=1), *teacher.chunk(2, dim=1), prior, **options)
        losses.mean().backward()
        torch.testing.assert_close(prior, given[f"step{step}.pk_after"], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(losses.detach(), given[f"step{step}.loss_per_head"], atol=1e-5, rtol=1e-5)
        # Gradients are near 1e-3, so the relative bound is the one that binds.
        torch.testing.assert_close(student.grad, given[f"step{step}.grad_student_logits"], atol=1e-7, rtol=1e-4)
    assert steps == 3


def heads_of(given: dict[str, Tensor], role: str) -> TEMIHeads:
    """TEMI's state, `ROLE.heads.i.*`, as one batch of heads."""
    state = {
        "weight1": ("mlp.0.weight", lambda w: w.T),
        "bias1": ("mlp.0.bias", lambda b: b[None]),
        "weight2": ("mlp.2.weight", lambda w: w.T),
        "bias2": ("mlp.2.bias", lambda b: b[None]),
        "last_direction": ("last_layer.weight_v", lambda v: v),
        "last_gain": ("last_layer.weight_g", lambda g: g),
    }
    n_heads = sum(name.startswith(f"{role}.heads.") and name.endswith("weight_g") for name in given)
    stacked = {
        ours: torch.stack([turn(given[f"{role}.heads.{i}.{theirs}"]) for i in range(n_heads)])
        for ours, (theirs, turn) in state.items()
    }
    (n_heads, dim, hidden), (n_clusters, bottleneck) = stacked["weight1"].shape, stacked["last_direction"].shape[1:]
    heads = TEMIHeads(n_heads, dim, n_clusters, hidden, bottleneck)
    heads.load_state_dict(stacked)
    return heads


@pytest.mark.parametrize("path", files("temi"), ids=lambda path: path.stem)
@pytest.mark.parametrize("role", ["student", "teacher"])
def test_temi_networks(path: Path, role: str):
    given = load(path)
    heads = heads_of(given, role)
    for step in range(3):
        pair = torch.cat([given[f"step{step}.view1"], given[f"step{step}.view2"]])
        expected = given[f"step{step}.{role}_logits"]
        torch.testing.assert_close(heads(pair), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(heads(pair, 1)[0], expected[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("path", files("neglabel"), ids=lambda path: path.stem)
def test_neglabel_detector_and_label_mass(path: Path):
    given = load(path)
    labels = LabelFeatures(given["positives"], given["negatives"], float(given["logit_scale"]))
    for name, groups, seed in (
        ("score_groups1_contiguous", 1, None),
        ("score_groups5_contiguous", 5, None),
        ("score_groups10_contiguous", 10, None),
        ("score_groups10_permuted_seed0", 10, 0),
    ):
        score = NegLabel(groups=groups, permutation_seed=seed)(given["image"], labels).sigmoid()
        torch.testing.assert_close(score, given[name].double(), atol=1e-5, rtol=0)
    score = LabelMass(sharpness=1.0)(given["image"], labels).sigmoid()
    torch.testing.assert_close(score, given["score_groups1_contiguous"].double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("path", files("neglabel"), ids=lambda path: path.stem)
def test_neglabel_score_in_one_group_contiguous_groups_and_permuted_groups(path: Path):
    given = load(path)
    image, positives, negatives = given["image"], given["positives"], given["negatives"]
    scale = float(given["logit_scale"])
    positive_mass = log_mass(image, positives, scale)
    whole = (positive_mass - log_mass(image, negatives, scale)).sigmoid()
    torch.testing.assert_close(whole, given["score_groups1_contiguous"].double(), atol=1e-5, rtol=0)
    scored = [name for name in given if name.startswith("score_groups")]
    for name in scored:
        n_groups = int(name.removeprefix("score_groups").split("_")[0])
        kept = len(negatives) - len(negatives) % n_groups
        # `permutation_seed0` orders all negatives; the score was made with the same seed's order of those kept.
        order = torch.randperm(kept, generator=torch.Generator().manual_seed(0)) if name.endswith("seed0") else None
        groups = contiguous_groups(len(negatives), n_groups, permutation=order)
        score = (positive_mass[:, None] - log_masses(image, negatives, scale, groups=groups)).sigmoid().mean(1)
        torch.testing.assert_close(
            score, given[name].double(), atol=1e-5, rtol=0, msg=lambda text, n=name: f"{n} {text}"
        )
    assert len(scored) == 4


@pytest.mark.parametrize("path", files("metrics"), ids=lambda path: path.stem)
def test_metrics_under_every_convention(path: Path):
    given = load(path)
    published = {
        "auroc": roc.auroc,
        "aupr_in": roc.aupr_in,
        "aupr_out": roc.aupr_out,
        "fpr95_closest_recall": conventions.fpr_ood_stable,
        "fpr95_interpolated": conventions.fpr_ood_interpolated,
        "fpr95_min_at_least": roc.fpr_ood_at_id_tpr,
    }
    cases = {name.split(".")[0] for name in given}
    assert len(cases) >= 4
    for case in sorted(cases):
        for name, metric in published.items():
            got = float(metric(given[f"{case}.id"], given[f"{case}.ood"]))
            assert got == pytest.approx(float(given[f"{case}.{name}"]), abs=1e-9), f"{case} {name}"


@pytest.mark.parametrize("path", files("mahalanobis"), ids=lambda path: path.stem)
def test_density_and_softmax_scores(path: Path):
    given = load(path)
    fitted = fit_gaussians(given["train"], given["labels"].long())
    for score, name in ((mahalanobis, "score_md"), (relative_mahalanobis, "score_rmd")):
        torch.testing.assert_close(score(given["test"].double(), fitted), given[name], rtol=1e-9, atol=1e-9)
    logits = given["logits"]
    softmax = (log_max_softmax(logits).exp(), -(-negative_entropy(logits)).exp())
    for found, name in zip(softmax, ("msp", "perplexity"), strict=True):
        torch.testing.assert_close(found, given[name].double(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("path", files("multimatch"), ids=lambda path: path.stem)
def test_multi_matching_and_the_final_score_of_negrefine(path: Path):
    given = load(path)
    k, scale = int(given["k"]), float(given["logit_scale"])
    positives = top_k(given["image"], given["positives"], k).indices
    negatives = top_k(given["image"], given["negatives"], k).indices
    pairs = given["pair"][positives[:, :, None], negatives[:, None, :]]
    matched = multi_match(given["image"], pairs, given["negatives"][negatives], scale)
    torch.testing.assert_close(matched, given["s_mm"].double(), rtol=0, atol=1e-5)
    odds = grouped_log_odds(given["image"], given["positives"], given["negatives"], scale, 10, 0)
    share = given["s_neglabel_groups10_permuted_seed0"].double()
    torch.testing.assert_close(odds.sigmoid(), share, rtol=0, atol=1e-5)
    final = given["s_final_alpha2"].double()
    torch.testing.assert_close(odds.sigmoid() + 2 * matched, final, rtol=0, atol=1e-5)
