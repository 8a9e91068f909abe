"""Results in percent are refused: 94 is not 9400 %."""

import json
from pathlib import Path

import pytest
from result_rows import RESULTS

from ood_lightning.cli.main import main
from ood_lightning.errors import SourceError
from ood_lightning.report.stored import read_results, write_results


@pytest.mark.parametrize("column", ["auroc", "fpr_ood@id_tpr95", "aupr_out"])
@pytest.mark.parametrize("file", ["results.json", "results.csv"])
def test_a_share_in_percent_is_refused(tmp_path: Path, column: str, file: str, capsys: pytest.CaptureFixture[str]):
    write_results(tmp_path, RESULTS, {"encoder": "tiny"})
    assert read_results(tmp_path / file)

    content = json.loads((tmp_path / "results.json").read_text())
    share = content["results"][0][column]
    for path in (tmp_path / "results.json", tmp_path / "results.csv"):
        path.write_text(path.read_text().replace(str(share), "94", 1))
    with pytest.raises(SourceError, match=r"is 94(\.0)?: .*: 0\.94, not 94"):
        read_results(tmp_path / file)
    assert main(["report", str(tmp_path / file)]) == 2
    assert "Traceback" not in capsys.readouterr().err
