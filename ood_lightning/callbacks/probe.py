"""Writes a trained probe as safetensors, with all that its detector reads."""

from ood_lightning.callbacks.synood import HeadWriter


class ProbeWriter(HeadWriter):
    """`probe.safetensors` and the label set it was trained with, when the fit has ended."""

    file = "probe.safetensors"
