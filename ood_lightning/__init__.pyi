from ood_lightning.corpora.words import Corpus as Corpus
from ood_lightning.data.artifacts.label_set import LabelSet as LabelSet
from ood_lightning.detector_folder.detector import Detector as Detector
from ood_lightning.front.evaluate import evaluate as evaluate
from ood_lightning.front.mine import mine as mine

__all__ = ["Corpus", "Detector", "LabelSet", "evaluate", "mine"]
__version__: str
