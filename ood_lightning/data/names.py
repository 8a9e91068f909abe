"""True names of classes: of a set with a manifest, or a text file. Needs no torch."""

from ood_lightning.data.manifest import read_manifest
from ood_lightning.errors import LabelSetError
from ood_lightning.places import locate


def read_names(source: str) -> list[str]:
    """Names in class order, duplicates kept.

    Args:
        source: a set with a manifest, or a .txt in UTF-8 with one name a line.

    Raises:
        LabelSetError: there is no such file, it is no UTF-8, or it holds no names.
    """
    if source.endswith(".txt"):
        path = locate(source)
        try:
            names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except OSError as error:
            raise LabelSetError(f"file of names {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise LabelSetError(f"file of names {path} is no UTF-8: {error.reason} at byte {error.start}") from None
        names = [name for name in names if name]
    else:
        names = list(read_manifest(source).class_names)
    if not names:
        raise LabelSetError(
            f"{source} holds no names: give a manifest with class_names, or a .txt with one name a line"
        )
    return names
