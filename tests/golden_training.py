"""Trainings of published runs, step by step with our parts: TEMI's heads and loss, PLP's probe.

Learning rates and momenta are those of the published runs; `functional.temi` says where ours differ.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ood_lightning.clustering.heads import TEMIHeads
from ood_lightning.clustering.step import by_parameters, lesson, losses_and_gradients, workspace
from ood_lightning.functional.temi import updated_prior

PUBLISHED_NAMES = {
    "weight1": ("mlp.0.weight", lambda w: w.T),
    "bias1": ("mlp.0.bias", lambda b: b[None]),
    "weight2": ("mlp.2.weight", lambda w: w.T),
    "bias2": ("mlp.2.bias", lambda b: b[None]),
    "last_direction": ("last_layer.weight_v", lambda v: v),
    "last_gain": ("last_layer.weight_g", lambda g: g),
}


def heads_with(state: dict[str, Tensor]) -> TEMIHeads:
    """Heads of the shapes of these weights, which they then have."""
    n_heads, dim, hidden = state["weight1"].shape
    n_clusters, bottleneck = state["last_direction"].shape[1:]
    heads = TEMIHeads(n_heads, dim, n_clusters, hidden, bottleneck)
    heads.load_state_dict(state)
    return heads


def temi_heads(arrays: dict[str, Tensor], role: str) -> TEMIHeads:
    """TEMI's state, `ROLE.heads.i.*`, as one batch of heads."""
    n_heads = sum(name.startswith(f"{role}.heads.") and name.endswith("weight_g") for name in arrays)
    state = {}
    for ours, (theirs, turned) in PUBLISHED_NAMES.items():
        state[ours] = torch.stack([turned(arrays[f"{role}.heads.{i}.{theirs}"]) for i in range(n_heads)])
    return heads_with(state)


def training_weights(arrays: dict[str, Tensor], role: str) -> dict[str, Tensor]:
    """Weights of all heads, `ROLE_w1` and so on, under our names."""
    return {
        "weight1": arrays[f"{role}_w1"].mT,
        "bias1": arrays[f"{role}_b1"][:, None],
        "weight2": arrays[f"{role}_w2"].mT,
        "bias2": arrays[f"{role}_b2"][:, None],
        "last_direction": arrays[f"{role}_v"],
        "last_gain": arrays[f"{role}_g"],
    }


def standardised_by(features: Tensor) -> Callable[[Tensor], Tensor]:
    """What subtracts the mean of these features and divides by their deviation."""
    deviation, mean = torch.std_mean(features.double(), dim=0)
    return lambda x: (x - mean.float()) / deviation.float()


def replayed_temi(arrays: dict[str, Tensor]) -> tuple[TEMIHeads, TEMIHeads, Tensor, Tensor, Tensor]:
    """Student, teacher, prior, losses (epoch, head), and the features as the heads see them."""
    *_, standardise = arrays["settings"].tolist()
    features = arrays["features"]
    if standardise:
        features = standardised_by(features)(features)

    student, teacher = (heads_with(training_weights(arrays, "init")) for _ in range(2))
    matrices = [student.weight1, student.weight2, *student.last_layer()]
    biases = [student.bias1, student.bias2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 1e-4}, {"params": biases, "weight_decay": 0.0}], lr=1e-4
    )
    n_heads, n_clusters = student.last_direction.shape[:2]
    prior = torch.full((n_heads, n_clusters), 1 / n_clusters)

    losses: list[Tensor] = []
    schedule = iter(zip(arrays["lr"].tolist(), arrays["momentum"].tolist(), strict=True))
    for epoch, steps in enumerate(arrays["rows"]):
        epoch_losses = []
        for rows in steps:  # (pairs, 2): an image, and a column of its neighbours
            image, column = rows.unbind(dim=1)
            pair = torch.cat([features[image], features[arrays["neighbours"][image, column]]])
            space = workspace(student, [pair])
            learnt = lesson(teacher, [pair], space, 0.1)
            prior = updated_prior(prior, learnt.mass)
            loss, gradients = losses_and_gradients(student, [pair], learnt, space, prior, beta=0.6, temperature=0.1)
            epoch_losses.append(loss)

            for parameter, gradient in zip(student.parameters(), by_parameters(student, gradients), strict=True):
                parameter.grad = gradient / n_heads  # of the mean over heads
            if epoch == 0:
                for parameter in student.last_layer():
                    parameter.grad = None

            rate, momentum = next(schedule)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            with torch.no_grad():
                for average, parameter in zip(teacher.parameters(), student.parameters(), strict=True):
                    average.lerp_(parameter, 1 - momentum)

        losses.append(torch.stack(epoch_losses).mean(dim=0))
    return student, teacher, prior, torch.stack(losses), features


def replayed_probe(arrays: dict[str, Tensor]) -> tuple[nn.Linear, Tensor, Callable[[Tensor], Tensor]]:
    """PLP's probe, the loss of each step, and the standardisation of its inputs."""
    standardised = standardised_by(arrays["features"])
    features = standardised(arrays["features"])
    probe = nn.Linear(features.shape[1], len(arrays["texts"]))
    probe.load_state_dict({"weight": arrays["weight0"], "bias": arrays["bias0"]})
    optimizer = torch.optim.Adam(probe.parameters(), weight_decay=1e-3)

    losses = []
    rates = iter(arrays["rate"].tolist())
    for order in arrays["rows"]:
        for rows in order.split(int(arrays["batch_size"])):
            for group in optimizer.param_groups:
                group["lr"] = next(rates)
            loss = nn.functional.cross_entropy(probe(features[rows]), arrays["pseudo_labels"][rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    return probe.requires_grad_(False), torch.stack(losses), standardised
