"""LightningModules of a screenful: move tensors, call, log."""
