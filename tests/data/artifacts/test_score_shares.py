"""Shares of scores on disk: whole, of one run, and missed by name."""

from pathlib import Path

import pytest
import torch

from ood_lightning.data.artifacts.score_shares import StoredShare, share_file, write_share
from ood_lightning.errors import FeatureError


def write(folder: Path, n: int = 7) -> Path:
    file = share_file(folder, 1, 0)
    ids = torch.arange(n) * 2
    write_share(file, ids, [ids.double() / 3, -ids.double()], "token")
    return file


@pytest.mark.parametrize("n", [0, 1, 7])
def test_a_share_is_read_as_it_was_written(tmp_path: Path, n: int):
    share = StoredShare(write(tmp_path, n), "token")
    ids = torch.arange(n) * 2
    assert torch.equal(share.ids, ids)
    assert torch.equal(share.column(0), ids.double() / 3)
    assert torch.equal(share.column(1, n // 2, n), -ids.double()[n // 2 :])


def test_shares_of_processes_and_sets_have_files_of_their_own(tmp_path: Path):
    assert len({share_file(tmp_path, rank, index) for rank in range(12) for index in range(12)}) == 144


def test_a_share_that_the_first_process_does_not_see_says_what_is_needed(tmp_path: Path):
    with pytest.raises(FeatureError, match=r"0-1.safetensors is missing .* need one trainer\.default_root_dir"):
        _ = StoredShare(share_file(tmp_path, 1, 0), "token").ids


def test_a_share_of_another_run_and_a_damaged_one_are_refused(tmp_path: Path):
    file = write(tmp_path)
    with pytest.raises(FeatureError, match="another run"):
        StoredShare(file, "other").column(0)

    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(FeatureError, match="not what was written"):
        [StoredShare(file, "token").column(k) for k in range(2)]
