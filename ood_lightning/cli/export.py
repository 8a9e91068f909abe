"""`export`: a detector folder as one ONNX graph."""

from ood_lightning.errors import SettingsError
from ood_lightning.places import check_out, expanded


def export(detector: list[str], onnx: str) -> int:
    """Write a detector as an ONNX graph: from prepared pictures to scores, p-values, decisions and nearest words.

    Args:
        detector: its folder.
        onnx: .onnx file to write; NAME.json beside it says how pictures are prepared, and which words the rows are.
    """
    from ood_lightning.detector_folder.export import export as write
    from ood_lightning.detector_folder.load import check_folder

    if len(detector) != 1:
        raise SettingsError(f"{len(detector)} detectors given: `export DETECTOR --onnx FILE` writes one")
    check_out(onnx, ".onnx", key="onnx")
    verified = check_folder(expanded(detector[0]))
    for remark in verified.remarks:
        print(f"warning: {remark}")

    exported = write(verified, expanded(onnx))
    kind = type(verified.detector).__name__
    print(f"{', '.join(map(str, exported.files))}: {kind}, {exported.n_bytes / 1e6:,.1f} MB")
    return 0
