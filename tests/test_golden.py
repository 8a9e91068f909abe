"""Values of the published implementations, where the folder that holds them is at hand."""

import math
from dataclasses import replace
from pathlib import Path

import golden_files
import numpy as np
import pytest
import torch
from golden_ants import ants_stream
from golden_files import FOLDER, all_files, files, for_each_case, for_each_file, form_of, load, name_of
from golden_tins import Replayed, Tower
from golden_training import replayed_probe, replayed_temi, temi_heads, training_weights
from open_clip.model import CLIP
from torch import Tensor

from ood_lightning.corpora.lexicographer import LexicographerFolder
from ood_lightning.detectors.adaneg import AdaNeg, HalfProxies, Proxies
from ood_lightning.detectors.debiased import Debiased
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.detectors.tanl import TANL, Activations
from ood_lightning.detectors.tins import invert
from ood_lightning.encoders.vision import capture_intermediate
from ood_lightning.errors import SettingsError
from ood_lightning.functional import conventions, roc
from ood_lightning.functional.confidence import log_max_softmax, multi_match, negative_entropy
from ood_lightning.functional.debiased import correction, log_distances
from ood_lightning.functional.density import fit_gaussians, mahalanobis, relative_mahalanobis
from ood_lightning.functional.grouping import group_members, grouped_log_odds, grouped_mean_log_odds
from ood_lightning.functional.intermodal import class_bounds, gaps
from ood_lightning.functional.selection import farthest_by_part
from ood_lightning.functional.similarity import log_mass, log_masses, top_k, unit
from ood_lightning.functional.tanl import otsu_threshold
from ood_lightning.functional.temi import head_losses, updated_prior
from ood_lightning.label_sets.interneg import mine_below
from ood_lightning.label_sets.negatives import rest_of
from ood_lightning.label_sets.tins import adjectives_first

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no reference outputs at {FOLDER}: set GOLDEN_DIR to the folder that holds them"
)


@pytest.mark.parametrize("form", ["temi", "neglabel", "metrics", "mahalanobis", "multimatch"])
def test_the_folder_holds_every_form_of_its_first_readme(form: str):
    assert files(form), f"no {form}_*.npz in {FOLDER}"


@pytest.mark.parametrize("path", all_files(), ids=name_of)
def test_no_file_is_passed_over_in_silence(path: Path):
    assert form_of(path) in golden_files.COMPARED, f"{path} is of no form that a test reads"


def test_files_are_seen_in_subfolders_and_with_any_seed(tmp_path: Path):
    for name in ("temi_0.npz", "deep/er/temi_17.npz", "deep/temi.npz", "temi_training.npz", "temi_training_4.npz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    temi, training = (
        {str(path.relative_to(tmp_path)) for path in files(form, tmp_path)} for form in ("temi", "temi_training")
    )
    assert temi == {"temi_0.npz", "deep/er/temi_17.npz", "deep/temi.npz"}
    assert training == {"temi_training.npz", "temi_training_4.npz"}


@for_each_file("temi")
def test_temi_loss_gradient_and_prior(path: Path):
    arrays = load(path)
    names = {"beta": "beta", "student_temperature": "student_temp", "teacher_temperature": "teacher_temp"}
    options = {ours: float(arrays[theirs]) for ours, theirs in names.items()}
    n_heads, _, n_clusters = arrays["step0.student_logits"].shape
    prior = torch.full((n_heads, n_clusters), 1 / n_clusters)
    steps = sum(name.endswith(".loss_per_head") for name in arrays)
    assert steps == 3

    for step in range(steps):
        student = arrays[f"step{step}.student_logits"].clone().requires_grad_()
        teacher = arrays[f"step{step}.teacher_logits"]
        batch_mean = (teacher / options["teacher_temperature"]).softmax(-1).mean(1)
        prior = updated_prior(prior, batch_mean, float(arrays["probs_momentum"]))
        losses = head_losses(*student.chunk(2, dim=1), *teacher.chunk(2, dim=1), prior, **options)
        losses.mean().backward()

        torch.testing.assert_close(prior, arrays[f"step{step}.pk_after"], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(losses.detach(), arrays[f"step{step}.loss_per_head"], atol=1e-5, rtol=1e-5)
        # Gradients are near 1e-3, so the relative bound is the one that binds.
        torch.testing.assert_close(student.grad, arrays[f"step{step}.grad_student_logits"], atol=1e-7, rtol=1e-4)


@for_each_file("temi")
@pytest.mark.parametrize("role", ["student", "teacher"])
def test_temi_networks(path: Path, role: str):
    arrays = load(path)
    heads = temi_heads(arrays, role)
    for step in range(3):
        pair = torch.cat([arrays[f"step{step}.view1"], arrays[f"step{step}.view2"]])
        expected = arrays[f"step{step}.{role}_logits"]
        torch.testing.assert_close(heads(pair), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(heads(pair, 1)[0], expected[1], atol=1e-5, rtol=1e-5)


@for_each_file("neglabel")
def test_neglabel_detector_and_label_mass(path: Path):
    arrays = load(path)
    labels = LabelFeatures(arrays["positives"], arrays["negatives"], float(arrays["logit_scale"]))
    for name, groups, seed in (
        ("score_groups1_contiguous", 1, None),
        ("score_groups5_contiguous", 5, None),
        ("score_groups10_contiguous", 10, None),
        ("score_groups10_permuted_seed0", 10, 0),
    ):
        score = NegLabel(groups=groups, permutation_seed=seed)(arrays["image"], labels).sigmoid()
        torch.testing.assert_close(score, arrays[name].double(), atol=1e-5, rtol=0)
    score = LabelMass(sharpness=1.0)(arrays["image"], labels).sigmoid()
    torch.testing.assert_close(score, arrays["score_groups1_contiguous"].double(), atol=1e-5, rtol=0)


@for_each_file("neglabel")
def test_neglabel_score_in_one_group_contiguous_groups_and_permuted_groups(path: Path):
    arrays = load(path)
    image, positives, negatives = arrays["image"], arrays["positives"], arrays["negatives"]
    scale = float(arrays["logit_scale"])

    positive_mass = log_mass(image, positives, scale)
    whole = (positive_mass - log_mass(image, negatives, scale)).sigmoid()
    torch.testing.assert_close(whole, arrays["score_groups1_contiguous"].double(), atol=1e-5, rtol=0)

    scored = [name for name in arrays if name.startswith("score_groups")]
    for name in scored:
        n_groups = int(name.removeprefix("score_groups").split("_")[0])
        # `permutation_seed0` orders all negatives; the score was made with the same seed's order of those kept.
        groups = group_members(len(negatives), n_groups, 0 if name.endswith("seed0") else None)
        score = (positive_mass[:, None] - log_masses(image, negatives, scale, groups=groups)).sigmoid().mean(1)
        torch.testing.assert_close(
            score, arrays[name].double(), atol=1e-5, rtol=0, msg=lambda text, n=name: f"{n} {text}"
        )
    assert len(scored) == 4


@for_each_file("metrics")
def test_metrics_under_every_convention(path: Path):
    arrays = load(path)
    published = {
        "auroc": roc.auroc,
        "aupr_in": roc.aupr_in,
        "aupr_out": roc.aupr_out,
        "fpr95_closest_recall": conventions.fpr_ood_stable,
        "fpr95_interpolated": conventions.fpr_ood_interpolated,
        "fpr95_min_at_least": roc.fpr_ood_at_id_tpr,
    }

    cases = {name.split(".")[0] for name in arrays}
    assert len(cases) >= 4
    for case in sorted(cases):
        for name, metric in published.items():
            got = float(metric(arrays[f"{case}.id"], arrays[f"{case}.ood"]))
            assert got == pytest.approx(float(arrays[f"{case}.{name}"]), abs=1e-9), f"{case} {name}"


@for_each_file("mahalanobis")
def test_density_and_softmax_scores(path: Path):
    arrays = load(path)
    fitted = fit_gaussians(arrays["train"], arrays["labels"].long())
    for formula, name in ((mahalanobis, "score_md"), (relative_mahalanobis, "score_rmd")):
        torch.testing.assert_close(formula(arrays["test"].double(), fitted), arrays[name], rtol=1e-9, atol=1e-9)

    logits = arrays["logits"]
    softmax = (log_max_softmax(logits).exp(), -(-negative_entropy(logits)).exp())
    for score, name in zip(softmax, ("msp", "perplexity"), strict=True):
        torch.testing.assert_close(score, arrays[name].double(), rtol=0, atol=1e-5)


@for_each_file("multimatch")
def test_multi_matching_and_the_final_score_of_negrefine(path: Path):
    arrays = load(path)
    k, scale = int(arrays["k"]), float(arrays["logit_scale"])
    positives = top_k(arrays["image"], arrays["positives"], k).indices
    negatives = top_k(arrays["image"], arrays["negatives"], k).indices
    pairs = arrays["pair"][positives[:, :, None], negatives[:, None, :]]
    matched = multi_match(arrays["image"], pairs, arrays["negatives"][negatives], scale)
    torch.testing.assert_close(matched, arrays["s_mm"].double(), rtol=0, atol=1e-5)

    odds = grouped_log_odds(arrays["image"], arrays["positives"], arrays["negatives"], scale, 10, 0)
    share = arrays["s_neglabel_groups10_permuted_seed0"].double()
    torch.testing.assert_close(odds.sigmoid(), share, rtol=0, atol=1e-5)
    final = arrays["s_final_alpha2"].double()
    torch.testing.assert_close(odds.sigmoid() + 2 * matched, final, rtol=0, atol=1e-5)


@for_each_case("adaneg_tanl", "_score_float32", "adaneg_")
def test_adaneg_scores_and_memory(path: Path, prefix: str):
    arrays = load(path, prefix)
    detector = adaneg_of(arrays)
    scores, filled = streamed(Proxies, detector, arrays)

    total = scores.sigmoid() * (1 + detector.weight)
    torch.testing.assert_close(total, arrays["score_float32"], atol=1e-5, rtol=0)
    assert filled == {row: int(count) for row, count in enumerate(arrays["filled_float32"]) if count}


@for_each_case("adaneg_tanl", "_score_float16", "adaneg_")
def test_adaneg_in_the_codes_float16(path: Path, prefix: str):
    """Its bits in `half`; without replacement alone, what float64 and float16 differ by."""
    arrays = load(path, prefix)
    detector = replace(adaneg_of(arrays), replacement=False)
    filled = {row: int(count) for row, count in enumerate(arrays["filled_float16"]) if count}

    scores, kept = streamed(Proxies, detector, arrays)
    total = scores.sigmoid() * (1 + detector.weight)
    torch.testing.assert_close(total, arrays["score_float16"], atol=7e-3, rtol=0)
    assert (total - arrays["score_float16"]).abs().median() < 1e-3
    assert kept == filled

    half, kept = streamed(HalfProxies, replace(detector, half=True), arrays)
    torch.testing.assert_close(half, arrays["score_float16"], atol=0, rtol=0)
    assert kept == filled


def adaneg_of(arrays: dict[str, Tensor]) -> AdaNeg:
    """With the settings of a case, which the code runs with a beta of 5 and a slot that stays empty."""
    _, n_images, sample_adaptive, gap, groups = arrays["settings"].tolist()
    options = {"groups": int(groups), "images_per_label": int(n_images), "sample_adaptive": bool(sample_adaptive)}
    return AdaNeg(**options, gap=gap, beta=5.0, spare_slot=True)


def streamed(kind: type[Proxies], detector: AdaNeg, arrays: dict[str, Tensor]) -> tuple[Tensor, dict[int, int]]:
    """Scores of a case's images, and how many of them each label has kept."""
    stream = kind(detector, LabelFeatures(arrays["pos"], arrays["neg"], 100.0))
    scores = torch.cat([stream(batch) for batch in arrays["img"].split(int(arrays["settings"][0]))])
    return scores, {row: len(kept) for row, kept in stream.memory.entropies.items()}


@for_each_case("adaneg_tanl", "_score", "tanl_")
def test_tanl_scores_and_thresholds(path: Path, prefix: str):
    arrays = load(path, prefix)
    batch_size, count, step, gap, history, queue, seed = arrays["settings"].tolist()
    detector = TANL(count=int(count), step=int(step), gap=gap, history=history, queue=int(queue), seed=int(seed))
    stream = Activations(detector, LabelFeatures(arrays["pos"], arrays["neg"], 100.0), arrays["noise"])

    log_odds, thresholds = [], []
    for batch in arrays["img"].split(int(batch_size)):
        log_odds.append(stream(batch))
        thresholds.append(otsu_threshold(stream.shares))

    torch.testing.assert_close(torch.cat(log_odds).sigmoid(), arrays["score"], atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.tensor(thresholds), arrays["threshold"], atol=1e-5, rtol=0)


@for_each_case("debiased", "_density64", "mine_")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_debiased_density_and_choice(path: Path, prefix: str, dtype: torch.dtype):
    arrays, case = load(path), load(path, prefix)
    raw = arrays["narrow_raw" if prefix == "mine_narrow_" else "cand_raw"].to(dtype)
    noun_share, adjective_share, neighbours = case["settings"].tolist()
    lengths = raw.norm(dim=1)
    density = log_distances(raw / lengths[:, None], lengths, int(neighbours))
    torch.testing.assert_close(density, case["density64"], atol=2e-6, rtol=0)

    n_nouns, n_words = int(arrays["noun_length"]), len(raw)
    counts = int(noun_share * n_nouns), int(adjective_share * (n_words - n_nouns))
    picked = farthest_by_part(density, torch.arange(n_words) >= n_nouns, counts)
    if dtype == torch.float64 and prefix != "mine_narrow_":
        assert picked.tolist() == case["picked"].tolist()
    swapped = case["density64"][picked] - case["density64"][case["picked"]]
    assert swapped.abs().max() < 2e-6


@for_each_case("debiased", "_score64_first")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_debiased_score_in_two_permutations(path: Path, prefix: str, dtype: torch.dtype):
    """The first is that of the code's seed; the second one is given."""
    arrays, case = load(path), load(path, prefix)
    groups, temperature, share = case["settings"].tolist()
    texts = (unit(case[side].to(dtype)) for side in ("pos", "neg"))
    labels = LabelFeatures(*texts, 1 / temperature)
    first = Debiased(groups=int(groups), permutation_seed=50 if groups > 1 else None, true_share=share)
    if prefix == "pole_":
        with pytest.raises(SettingsError, match="Q_max"):
            first(arrays["img_first"], labels)
        return

    n_positives, size = len(labels.positives), len(labels.negatives) // int(groups)
    bound = math.exp(correction(n_positives, size, share)) / share * n_positives  # P a
    second = labels
    if groups > 1:
        second = labels._replace(negatives=labels.negatives[case["perm_second"]])
    for detector, texts_of, half in (
        (first, labels, "first"),
        (replace(first, permutation_seed=None), second, "second"),
    ):
        log_odds = detector(arrays[f"img_{half}"].to(dtype), texts_of)
        relative = 1e-9 if dtype == torch.float64 else 1e-4
        torch.testing.assert_close(log_odds.sigmoid() / bound, case[f"score64_{half}"], atol=0, rtol=relative)


@for_each_case("debiased", "_measures")
def test_debiased_measures_have_id_as_positive(path: Path, prefix: str):
    """Of the published scores: in float32 they tie where ours do not."""
    case, n_id = load(path, prefix), int(load(path)["n_id"])
    ids, oods = case["score32_first"][:n_id], case["score32_first"][n_id:]
    got = [float(metric(ids, oods)) for metric in (roc.auroc, roc.aupr_in, conventions.fpr_ood_stable)]
    assert got == pytest.approx(case["measures"].tolist(), abs=1e-6)


@for_each_case("plp", "_pseudo_labels")
def test_plp_labels_training_and_score(path: Path, prefix: str):
    """With the rates of the published run; ours begin at 0 and end at 0 too, a step apart (`warmup_cosine`)."""
    arrays = load(path, prefix)
    assert torch.equal(top_k(arrays["features"], arrays["texts"], 1).indices[:, 0], arrays["pseudo_labels"])

    probe, losses, standardised = replayed_probe(arrays)
    torch.testing.assert_close(losses, arrays["losses"], atol=1e-5, rtol=0)
    torch.testing.assert_close(probe.weight, arrays["weight"], atol=1e-6, rtol=0)
    torch.testing.assert_close(probe.bias, arrays["bias"], atol=1e-6, rtol=0)

    logits = standardised(arrays["query"]) @ arrays["weight"].T + arrays["bias"]
    torch.testing.assert_close(log_max_softmax(logits).exp(), arrays["msp"].double(), atol=1e-6, rtol=0)


@for_each_case("temi_training", "_settings")
def test_temi_training(path: Path, prefix: str):
    """With the rates and momenta of the published run; ours end a step earlier (`warmup_cosine`, `cosine`)."""
    arrays = load(path, prefix)
    student, teacher, prior, losses, features = replayed_temi(arrays)
    torch.testing.assert_close(losses, arrays["losses"], atol=1e-4, rtol=0)
    torch.testing.assert_close(prior, arrays["prior"], atol=1e-4, rtol=0)

    for role, heads in (("student", student), ("teacher", teacher)):
        for name, weight in training_weights(arrays, role).items():
            torch.testing.assert_close(heads.state_dict()[name], weight, atol=1e-4, rtol=0, msg=f"{role} {name}")

    best = int(losses[-1].argmin())
    clusters = teacher(features, best)[0].argmax(dim=1)
    assert int((clusters != arrays["assignments"]).sum()) <= 2


@for_each_case("glmcm_towers", "_local")
def test_global_and_local_features_of_glmcms_towers(path: Path, prefix: str):
    arrays = load(path, prefix)
    vision = {
        "vit_": {"image_size": 64, "layers": 2, "width": 64, "head_width": 64, "patch_size": 16},
        "rn_": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    }
    text = {"context_length": 8, "vocab_size": 32, "width": 16, "heads": 2, "layers": 1}  # not used
    visual = CLIP(embed_dim=24, vision_cfg=vision[prefix], text_cfg=text, quick_gelu=True).visual.eval()
    visual.load_state_dict(load(path, f"{prefix}w_visual."))

    with torch.no_grad(), capture_intermediate(visual, ["patches"], "a tower") as columns:
        whole = visual(arrays["pictures"])
    torch.testing.assert_close(whole, arrays["global"], atol=1e-5, rtol=0)
    torch.testing.assert_close(columns["patches"], arrays["local"], atol=1e-5, rtol=0)


@for_each_file("tins")
def test_tins_bounds_words_and_starts(path: Path):
    arrays = load(path)
    bounds = class_bounds(arrays["pos"], arrays["shots"], arrays["shots_label"])
    torch.testing.assert_close(bounds.prototypes.float(), arrays["prototypes"], atol=1e-6, rtol=0)
    torch.testing.assert_close(bounds.thresholds.float(), arrays["base"], atol=1e-6, rtol=0)
    for part in ("adj", "noun"):
        gap = gaps(arrays[f"{part}_features"], bounds)
        assert torch.equal(gap.admissible, arrays[f"{part}_admissible"])
        torch.testing.assert_close(gap.mean.float(), arrays[f"{part}_gap"], atol=1e-6, rtol=0)

    features = torch.cat([arrays["adj_features"], arrays["noun_features"]])
    n_adjectives = len(arrays["adj_features"])
    words, names = [f"word {i}" for i in range(len(features))], [f"name {i}" for i in range(len(arrays["pos"]))]
    parts = ["adj" if i < n_adjectives else "noun" for i in range(len(words))]
    mined = mine_below(names, bounds, words, features, parts, len(arrays["picked"]), {})
    ordered = adjectives_first(mined, words[:n_adjectives])
    assert [words.index(word) for word in ordered.negatives or ()] == arrays["picked"].tolist()

    texts = Tower(arrays).texts(arrays["init_tokenized_texts"], arrays["init_target_positions"])
    torch.testing.assert_close(texts.own_vectors().float(), arrays["init_init_vectors"], atol=0, rtol=0)
    torch.testing.assert_close(texts.own_features.float(), arrays["init_candidate_features"], atol=1e-6, rtol=0)
    distance = 1 + texts.own_features.double() @ bounds.prototypes.mean(dim=0)
    torch.testing.assert_close(distance.float(), arrays["init_candidate_reg_loss"], atol=1e-6, rtol=0)


@for_each_file("tins")
def test_tins_corpus(path: Path, tmp_path: Path):
    """In lower case, where the code keeps capitals."""
    with np.load(path, allow_pickle=False) as arrays:
        texts = zip(arrays["corpus_files"].tolist(), arrays["corpus_texts"].tolist(), strict=True)
        names, nouns, adjectives = (arrays[f"corpus_{side}"].tolist() for side in ("positive", "nouns", "adjectives"))
    for file, text in texts:
        (tmp_path / file).write_text(text)

    words = LexicographerFolder(str(tmp_path)).load()
    rest = [(words.words[row], (words.parts or ())[row]) for row in rest_of(words.words, names).tolist()]
    assert [word for word, part in rest if part == "noun"] == nouns
    further = [word.lower() for word in adjectives if word.lower() not in nouns]
    assert [word for word, part in rest if part == "adj"] == further


@for_each_file("tins")
def test_tins_static_scores(path: Path):
    arrays = load(path)
    labels = arrays["pos"], arrays["neg"], float(arrays["scale"])
    names = [name for name in arrays if name.startswith("static_")]
    for name in names:
        _, groups, permuted = name.split("_")
        score = grouped_mean_log_odds(arrays["img"], *labels, int(groups), 0 if int(permuted) else None).sigmoid()
        torch.testing.assert_close(score, arrays[name].double(), atol=1e-5, rtol=0, msg=lambda text, n=name: n + text)
    assert len(names) == 4

    for name in [name for name in arrays if name.startswith("perm_group_")]:
        count = int(name.removeprefix("perm_group_"))
        assert torch.equal(group_members(count, 1, 0)[0], arrays[name])


@for_each_case("tins", "_settings")
def test_tins_streams(path: Path, prefix: str):
    arrays, case = load(path), load(path, prefix)
    stream = Replayed(arrays, case, starts_fixed=prefix == "random_")
    scores, sizes = [], []
    for batch in arrays["img"].double().split(int(case["settings"][0])):
        scores.append(stream(batch))
        sizes.append((len(stream.texts), len(stream.buffered)))

    log_odds, score = torch.cat(scores), case["score"].double()
    torch.testing.assert_close(log_odds.sigmoid(), score, atol=1e-4, rtol=0)
    below = score < 0.99
    torch.testing.assert_close(log_odds[below], score[below].logit(), atol=2e-3, rtol=0)
    assert sizes == list(zip(case["bank_size"].tolist(), case["buffer_size"].tolist(), strict=True))

    assert torch.equal(torch.cat([images for *_, images in stream.begun]).float(), arrays["img"][case["triggered"]])
    assert torch.equal(torch.cat([texts.positions for texts, *_ in stream.begun]), case["start_position"])
    tokens = torch.cat([texts.tokens[texts.tokens > 0] for texts, *_ in stream.begun])  # 0 is padding
    assert torch.equal(tokens, case["start_tokens"][case["start_tokens"] > 0])
    assert torch.equal(torch.cat([start for _, start, _ in stream.begun]).float(), case["start_pseudo"])

    texts, start, images = stream.begun[0]
    one_step = replace(stream.settings, steps=min(1, stream.settings.steps))
    vectors = invert(images, texts, start, stream.bounds.prototypes, one_step)
    torch.testing.assert_close(vectors.float(), case["one_step_pseudo"], atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.cat(stream.ended).float(), case["end_feature"], atol=1e-5, rtol=0)

    by_gap, by_their_gap = stream.gaps.argsort(), case["bank_gap"].argsort()
    torch.testing.assert_close(stream.gaps[by_gap].float(), case["bank_gap"][by_their_gap], atol=1e-6, rtol=0)
    bank = case["bank"][by_their_gap].float()
    torch.testing.assert_close(stream.texts[by_gap].float(), bank, atol=5e-4, rtol=0)
    buffer_gap = case["buffer_gap"].sort().values
    torch.testing.assert_close(stream.buffered_gaps.sort().values.float(), buffer_gap, atol=1e-6, rtol=0)


@for_each_case("ants", "_settings")
def test_ants_scores_thresholds_and_texts(path: Path, prefix: str):
    arrays, case = load(path), load(path, prefix)
    batch_size, history_group, updates, eta = case["settings"].tolist()
    stream = ants_stream(arrays, prefix, 10 * int(10_000 / history_group), int(updates), eta)

    log_odds, base = [], []
    for batch, images in enumerate(arrays["img"].split(int(batch_size))):
        known = case["far_bank"][batch]
        said = [f"sentence {i}" for i in known[known >= 0].tolist()]
        stream.source.order = said  # the new ones in front; a set in the code, whose order changes from run to run
        log_odds.append(stream(images))
        base.append(stream.history[-1])

        assert stream.threshold == pytest.approx(float(case["threshold"][batch]), abs=1e-5)
        assert torch.equal(stream.far_texts, arrays["sentences"][known[known >= 0]])
        label_ids = case["near_bank"][batch]
        labels = dict.fromkeys(label for of_class in stream.look_alikes.values() for label in of_class)
        assert [int(label.split()[1]) for label in labels] == label_ids[label_ids >= 0].tolist()

    torch.testing.assert_close(torch.cat(base).float(), case["base"], atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.cat(log_odds).sigmoid().float(), case["score"], atol=1e-5, rtol=0)
