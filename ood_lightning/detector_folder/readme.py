"""`README.md` of a detector folder: what it is, in words."""

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.detector_folder.contents import Contents
from ood_lightning.plain_output import one_line

FILES = {
    "detector.json": "what the folder is made of, and the SHA-256 of its files",
    "labels.json": "the words that decide. You may edit them: new ones are encoded then, and the calibration is void",
    "texts.safetensors": "the features of all words",
    "evidence.safetensors": "what the detector was given beyond words, such as features of ID images",
    "trained.safetensors": "what was trained for the detector",
    "calibration.json": "scores of held-out ID images, from which threshold and p-values come",
    "weights": "a copy of the encoder's files",
}


def readme(contents: Contents, calibration: Calibration | None) -> str:
    """The text, in Markdown."""
    kind = contents.detector.class_path.rpartition(".")[2]
    held = {"detector.json", "labels.json", *(name.partition("/")[0] for name in contents.files)}
    supervision = ", ".join(contents.supervision) or "nothing but the encoder and the words"
    decision = (
        [f"- {line}" for line in calibration.statements()]
        if calibration is not None
        else ["There is no calibration yet: images get scores, but neither p-values nor decisions."]
    )

    lines = [
        "# A detector of out-of-distribution images",
        "",
        f"Score: `{kind}`, higher = more in-distribution. It was given: {supervision}.",
        f"Encoder: `{one_line(contents.encoder.name)}`, fingerprint `{contents.encoder.fingerprint}`.",
        "",
        "```bash",
        "python -m ood_lightning predict IMAGES --detector THIS_FOLDER --out decisions.csv",
        "```",
        "```python",
        "from ood_lightning import Detector",
        "",
        'for result in Detector.load("THIS_FOLDER")("IMAGES"):',
        "    print(result.path, result.score, result.p_value, result.accepted, result.concepts)",
        "```",
        "",
        "## Decisions",
        "",
        *decision,
        "",
        "## Files",
        "",
        *(f"- `{name}`: {what}." for name, what in FILES.items() if name in held),
        "",
        "No file holds code or pickled objects, and all are compared with their hashes before they are used.",
    ]
    return "\n".join(lines) + "\n"
