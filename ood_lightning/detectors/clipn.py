"""CLIPN: each ID name has a second text that says 'no', and the picture chooses between the two.

    l_k = s h . z_k,   m_k = s h . z_k^no,   q_k = e^l_k / (e^l_k + e^m_k),   p = softmax(l)
    CTW, competing to win:   S(x) = q_k*,  k* = argmax l
    ATD, agreeing to differ: S(x) = sum_k p_k q_k

z_k is the run's own text feature of a name, z_k^no the same prompts under the checkpoint's "no" tower.

Source: Wang et al., ICCV 2023, https://arxiv.org/abs/2308.12213, and its code.
Differs: the log-odds of S are returned, which rank alike and do not tie at 1; s is the encoder's own, the code has 100;
    the prompts are the run's (the code's are configs/prompts/clipn128.yaml).
Expected: ImageNet, ViT-B-16 laion2b_s34b_b88k, clipn128, AUROC / FPR95, the code's means of three trainings: ATD
    iNaturalist 96.20 / 19.11, SUN 94.18 / 25.69, Textures 90.81 / 40.91, Places 92.62 / 32.11; CTW 92.80 / 24.41,
    89.34 / 33.09, 79.75 / 54.28, 87.34 / 37.92. Trainings differ by up to 10 points of FPR95. Not run here.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence
from ood_lightning.encoders.clipn import NoTexts
from ood_lightning.functional.blocks import in_cached_rows
from ood_lightning.functional.confidence import agreeing_to_differ, competing_to_win
from ood_lightning.functional.similarity import cosines


@dataclass(frozen=True)
class CLIPN(Detector):
    """Log-odds of 'one of the names' against 'none of them', in nats.

    Args:
        labels: name of the label set; its negatives are not used.
        checkpoint: CLIPN's, trained beside the run's encoder; a file of `torch.save` or `.safetensors`.
        score: `atd` (agreeing to differ) averages over all names, `ctw` (competing to win) reads the likeliest one.
    """

    labels: str = "names"
    checkpoint: str = ""
    score: Literal["atd", "ctw"] = "atd"

    def missing(self) -> str:
        """The checkpoint, where none is named."""
        return "" if self.checkpoint else "a CLIPN checkpoint (detectors.<name>.init_args.checkpoint)"

    def bind(self, evidence: Evidence) -> Scorer:
        """Encode the names once more, under the "no" tower."""
        ready = evidence.label_sets[self.labels]
        yes, _, scale = ready.features  # (K, D)
        no = ready.positives_under(partial(NoTexts, checkpoint=self.checkpoint)).to(yes)  # (K, D)
        formula = agreeing_to_differ if self.score == "atd" else competing_to_win

        def of_logits(*products: Tensor) -> Tensor:
            return formula(*(scale * one.double() for one in products))

        return lambda features: in_cached_rows(of_logits, cosines(features, yes), cosines(features, no))
