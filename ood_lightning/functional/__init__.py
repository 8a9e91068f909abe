"""What the papers state, as functions of tensors: no I/O, no device moves, no seeds.

Torch and the standard library; scipy in `conformal.py` alone, for quantiles of the Beta distribution.
"""
