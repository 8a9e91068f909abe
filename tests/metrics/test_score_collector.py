import math
import os
import socket

import pytest
import torch

from ood_lightning.errors import NotFiniteScoresError
from ood_lightning.metrics.score_collector import ScoreCollector


def test_scores_come_back_in_order_of_their_ids_unrounded():
    collector = ScoreCollector(["a", "b"])
    collector.update(torch.tensor([[3.0, 30.0], [1.0, 10.0]]), torch.tensor([3, 1]))
    collector.update(torch.tensor([[0.1, 20.0]], dtype=torch.float64), torch.tensor([2], dtype=torch.int32))
    ids, scores, duplicates = vars(collector.compute()).values()
    assert ids.tolist() == [1, 2, 3]
    assert scores.tolist() == [[1.0, 10.0], [0.1, 20.0], [3.0, 30.0]]
    assert (ids.dtype, scores.dtype, duplicates) == (torch.int64, torch.float64, 0)


def test_a_repeated_id_counts_once_and_the_first_copy_stays():
    collector = ScoreCollector(["a"])
    collector.update(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([5, 4, 5]))
    collector.update(torch.tensor([[9.0]]), torch.tensor([5]))
    collected = collector.compute()
    assert collected.ids.tolist() == [4, 5]
    assert collected.scores.tolist() == [[2.0], [1.0]]
    assert collected.duplicates == 2


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_image_and_one_image_keep_their_shapes():
    collector = ScoreCollector(["a"])
    ids, scores, duplicates = vars(collector.compute()).values()
    assert (ids.shape, scores.shape, duplicates) == ((0,), (0, 1), 0)
    assert (ids.dtype, scores.dtype) == (torch.int64, torch.float64)
    collector.update(torch.ones(1, 1), torch.tensor([7]))
    ids, scores, _ = vars(collector.compute()).values()
    assert (ids.shape, scores.shape) == ((1,), (1, 1))


def test_reset_forgets_everything_but_the_shape():
    collector = ScoreCollector(["a", "b"])
    collector.update(torch.ones(3, 2), torch.arange(3))
    collector.reset()
    assert [state.shape for state in (*collector.scores, *collector.ids)] == [(0, 2), (0,)]
    collector.update(torch.zeros(1, 2), torch.tensor([9]))
    assert collector.compute().ids.tolist() == [9]
    assert collector.compute().scores.tolist() == [[0.0, 0.0]]


def test_large_scores_and_large_ids_survive():
    collector = ScoreCollector(["energy"])
    collector.update(torch.tensor([[91.0], [30.0]]), torch.tensor([2**40 + 1, 2**40]))
    assert collector.compute().scores.tolist() == [[30.0], [91.0]]


def test_a_score_that_is_not_finite_names_detector_and_image():
    collector = ScoreCollector(["mcm", "energy"])
    scores = torch.tensor([[0.0, 1.0], [0.0, math.nan], [0.0, -math.inf]])
    with pytest.raises(NotFiniteScoresError, match=r"'energy' gave NaN or infinity for 2 of 3 images .* id 17"):
        collector.update(scores, torch.tensor([4, 17, 3]))


def test_wrong_shapes_types_and_names_are_refused():
    collector = ScoreCollector(["mcm", "energy"])
    with pytest.raises(ValueError, match=r"must be \(B, 2\) and \(B,\), one column for each of mcm, energy"):
        collector.update(torch.ones(3), torch.arange(3))
    with pytest.raises(ValueError, match=r"must be \(B, 2\)"):
        collector.update(torch.ones(3, 2), torch.arange(2))
    with pytest.raises(ValueError, match="expected integers"):
        collector.update(torch.ones(2, 2), torch.ones(2))
    for names in ([], ["mcm", "mcm"]):
        with pytest.raises(ValueError, match="each named once"):
            ScoreCollector(names)


def gather(rank: int, world: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    collector = ScoreCollector(["a", "b"])
    if rank == 0:  # rank 1 never had a batch
        for batch in (1, 0, 2):
            ids = torch.arange(3) * 10 + batch
            collector.update(torch.stack([ids, -ids], dim=1).float() / 3, ids)
    ids, scores, duplicates = vars(collector.compute()).values()
    torch.save((ids, scores, duplicates), os.path.join(folder, f"{rank}.pt"))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_two_ranks_of_which_one_had_nothing_gather_the_same(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(gather, (2, port, str(tmp_path)), nprocs=2)
    expected = torch.tensor([0, 1, 2, 10, 11, 12, 20, 21, 22])
    for rank in range(2):
        ids, scores, duplicates = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert torch.equal(ids, expected)
        assert torch.equal(scores, (torch.stack([expected, -expected], dim=1).float() / 3).double())
        assert duplicates == 0
