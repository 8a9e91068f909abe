"""Predictions over time for tests of `watch`: rows as `predict` writes them, from scores that are drawn."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

SCORES = tuple(np.sort(np.random.default_rng(0).normal(size=200)).tolist())  # of calibration
THRESHOLD = SCORES[9]


def rows(n: int, seed: int, n_strange: int = 0, day: str = "") -> list[dict[str, Any]]:
    """Rows of n images like those of calibration, among them some strange ones with a concept of their own."""
    rng = np.random.default_rng(seed)
    strange = rng.permutation(n) < n_strange
    scores = np.where(strange, rng.normal(-4, 1, n), rng.normal(size=n))
    concepts = rng.choice(["bear", "cat", "dog"], n)

    predicted = [
        {
            "path": f"{seed}/{i}.png",
            "score": float(scores[i]),
            "p_value": (1 + sum(one <= scores[i] for one in SCORES)) / (len(SCORES) + 1),
            "accepted": bool(scores[i] >= THRESHOLD),
            "concepts": ["fish" if strange[i] else str(concepts[i]), "cow"],
            "nearest_negative": "stone",
            "error": "",
        }
        for i in range(n)
    ]
    return [{**row, "time": f"{day}T{i % 24:02}:00:00"} for i, row in enumerate(predicted)] if day else predicted


def write_lines(path: Path, predicted: list[dict[str, Any]]) -> Path:
    """As JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in predicted), encoding="utf-8")
    return path


def write_csv(path: Path, predicted: list[dict[str, Any]]) -> Path:
    """As a CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(predicted[0]))
        writer.writeheader()
        writer.writerows({**row, "concepts": "|".join(row["concepts"])} for row in predicted)
    return path
