"""LightningDataModules: which loaders a stage sees."""
