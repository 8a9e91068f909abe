"""Memory of decoded pictures, which a worker shares with the main process."""

import torch
from torch import Tensor

from ood_lightning.errors import SettingsError

PREFETCH = 2  # parts that a worker may be ahead
BUFFERS = PREFETCH + 1  # one more is with whoever asked for it


class SharedBatchBuffers:
    """Some such memory, taken by a worker's parts in turn.

    Shared memory that is fresh for each part costs more than the hash and the tar together. A worker starts on a
    part only when the part `PREFETCH` before it has been handed over, so the one `SLOTS` before it is no longer looked
    at. torch has it so as long as no worker comes to its end: then turns go round, and a worker gets one anew when one
    of its parts is handed over.
    """

    def __init__(self, rows: int) -> None:
        self.rows, self.turn = rows, 0
        self.slots = [torch.empty(0)] * BUFFERS

    def stack(self, images: list[Tensor]) -> Tensor:
        """The pictures one after another, in the memory whose turn it is.

        Raises:
            SettingsError: there is not enough of it.
        """
        self.turn = (self.turn + 1) % BUFFERS
        slot, like = self.slots[self.turn], images[0]
        if (slot.shape[1:], slot.dtype) != (like.shape, like.dtype) or len(slot) < len(images):
            rows = max(self.rows, len(images))  # a shard can hold more than the manifest says
            fresh = torch.empty(rows, *like.shape, dtype=like.dtype)
            try:
                slot = self.slots[self.turn] = fresh.share_memory_()
            except RuntimeError as error:
                raise SettingsError(
                    f"there is no shared memory for {BUFFERS} batches of {rows} pictures for each worker ({error}). "
                    f"Use a smaller embed_batch_size, fewer num_workers (0 needs none), or a larger /dev/shm "
                    f"(`docker run --shm-size=8g`)."
                ) from None
        return torch.stack(images, out=slot[: len(images)])
