"""Batches in flight come in order, none waits for longer than it must, and none is lost to an error."""

from collections.abc import Iterator

import pytest
import torch

from ood_lightning.datamodules.in_flight import Columns, Copies, Finish, in_flight


class Device:
    """Keeps the order in which batches are launched and waited for; one may fail when it is waited for."""

    def __init__(self, failing: int | None = None, error: BaseException | None = None) -> None:
        self.order: list[str] = []
        self.failing, self.error = failing, error

    def launch(self, batch: int) -> Finish:
        self.order.append(f"launch {batch}")

        def finish() -> Columns:
            self.order.append(f"finish {batch}")
            if batch == self.failing and self.error is not None:
                error, self.error = self.error, None
                raise error
            return {"image": torch.tensor([batch])}

        return finish


def test_two_in_flight_are_launched_before_the_first_is_waited_for():
    device = Device()
    assert [(n, int(columns["image"])) for n, columns in in_flight(range(3), device.launch, 2)] == [
        (0, 0),
        (1, 1),
        (2, 2),
    ]
    assert device.order == ["launch 0", "launch 1", "finish 0", "launch 2", "finish 1", "finish 2"]


def test_one_in_flight_is_finished_before_the_next_is_asked_for():
    device = Device()
    assert len(list(in_flight(range(3), device.launch, 1))) == 3
    assert device.order == ["launch 0", "finish 0", "launch 1", "finish 1", "launch 2", "finish 2"]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_there_may_be_no_batch_or_fewer_than_can_be_in_flight(n: int):
    assert list(in_flight([], Device().launch, n)) == []
    assert [batch for batch, _ in in_flight(range(3), Device().launch, n)] == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError("damaged"), KeyboardInterrupt()])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_what_was_launched_before_an_error_of_the_reader_comes_first(n: int, error: BaseException):
    def reader() -> Iterator[int]:
        yield from range(4)
        raise error

    seen: list[int] = []
    with pytest.raises(type(error)):
        seen.extend(batch for batch, _ in in_flight(reader(), Device().launch, n))
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_ctrl_c_while_a_batch_is_waited_for_loses_none_that_was_launched(n: int):
    device = Device(failing=1, error=KeyboardInterrupt())
    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend(batch for batch, _ in in_flight(range(9), device.launch, n))
    assert seen == list(range(1 + n))


def test_who_stops_early_gets_nothing_more():
    device = Device()
    for batch, _ in in_flight(range(9), device.launch, 2):
        if batch == 1:
            break
    assert "finish 2" not in device.order


def test_a_processor_copies_nothing_and_has_one_batch_in_flight():
    copies = Copies(torch.device("cpu"))
    images, rows = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.rand(2, 5)
    assert copies.batches_in_flight == 1
    assert copies.to_device(images) is images
    assert copies.to_cpu({"image": rows})()["image"] is rows
