"""The largest products of each query, gathered while the bank goes by in blocks.

Nearly all products of a block are below the best that earlier blocks had, so a block is not sorted: it is compared
with a threshold, and only what passes is looked at, of b blocks about ``width * log(b)`` products of each query.

    products (n, block)    one block
    maxima   (n, block/8)  of column j and those a stride away: one pass over the products
    passing                the few of these above the query's threshold, then their members above it
    room     (n, 2 width)  where they wait, beside the best so far; the threshold rises whenever it is full
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

_GROUP = 8  # products under one maximum
_ROOM = 2  # times the width


class RunningBest:
    """The ``width`` largest products of each of n queries; holds 36 bytes for each of them.

    Args:
        n: queries.
        width: products to keep of each.
        like: a tensor of the products' dtype and device.
    """

    def __init__(self, n: int, width: int, like: Tensor) -> None:
        self.width, self._room = width, _ROOM * width
        # the best come first, then the room for what has passed since they were chosen
        self._values = like.new_full((n, width + self._room), -torch.inf)
        self._rows = torch.zeros(n, width + self._room, dtype=torch.long, device=like.device)
        self._waiting = torch.zeros(n, dtype=torch.long, device=like.device)  # products in each query's room
        self._threshold = like.new_full((n,), -torch.inf)  # the smallest of its best
        self._is_empty = True

    def add(self, products: Tensor, first_row: int) -> None:
        """Look at the products (n, block) with rows of the bank from ``first_row`` on."""
        if products.shape[1] % _GROUP:
            products = pad(products, (0, -products.shape[1] % _GROUP), value=-torch.inf)
        if self._is_empty:
            self._take_best_of(products, first_row)
            return

        maxima = products.unflatten(1, (_GROUP, -1)).amax(dim=1)  # (n, G), of columns g, G + g, 2 G + g, ...
        groups = (maxima > self._threshold[:, None]).nonzero()
        if len(groups) > len(products) * self._room:  # each block better than those before
            self._take_best_of(products, first_row)
            return

        query, group = groups.unbind(1)
        stride = products.shape[1] // _GROUP
        first = query * products.shape[1] + group  # members of the groups, in the flattened products
        places = first[:, None] + stride * torch.arange(_GROUP, device=group.device)
        members = products.flatten().index_select(0, places.flatten()).view_as(places)

        at, member = (members > self._threshold[query, None]).nonzero(as_tuple=True)
        columns = group[at] + stride * member
        self._keep(query[at], members[at, member], columns + first_row, products, first_row)

    def result(self) -> tuple[Tensor, Tensor]:
        """Products in no order, and their rows of the bank; both (n, width)."""
        self._choose()
        return self._values[:, : self.width], self._rows[:, : self.width]

    def _keep(self, query: Tensor, values: Tensor, rows: Tensor, products: Tensor, first_row: int) -> None:
        """Put products that passed into the room of their queries, which come in ascending order."""
        counts = torch.bincount(query, minlength=len(self._waiting))
        if int((self._waiting + counts).amax()) > self._room:
            self._choose()
            if int(counts.amax()) > self._room:
                self._take_best_of(products, first_row)
                return

        nth = torch.arange(len(query), device=query.device) - (counts.cumsum(0) - counts)[query]
        column = self.width + self._waiting[query] + nth
        self._values[query, column] = values
        self._rows[query, column] = rows
        self._waiting += counts

    def _choose(self) -> None:
        """The best of what is there come first, and the room is empty again."""
        values, order = self._values.topk(self.width, dim=1, sorted=False)
        self._rows[:, : self.width] = self._rows.gather(1, order)
        self._values[:, : self.width] = values
        self._values[:, self.width :] = -torch.inf
        self._waiting.zero_()
        self._threshold = values.amin(dim=1)

    def _take_best_of(self, products: Tensor, first_row: int) -> None:
        """Choose the best of a whole block. They are put into the room, which is emptied before."""
        if not self._is_empty:
            self._choose()
        self._is_empty = False
        width = min(self.width, products.shape[1])
        stride = products.shape[1] // _GROUP

        if stride > 2 * width:  # the largest W products lie in the W groups of the largest maxima
            maxima = products.unflatten(1, (_GROUP, -1)).amax(dim=1)  # (n, G)
            chosen = maxima.topk(width, dim=1, sorted=False).indices
            columns = chosen[:, None] + stride * torch.arange(_GROUP, device=chosen.device)[:, None]  # (n, 8, W)
            columns = columns.flatten(1)
            values, order = products.gather(1, columns).topk(width, dim=1, sorted=False)
            columns = columns.gather(1, order)
        else:
            values, columns = products.topk(width, dim=1, sorted=False)

        self._values[:, self.width : self.width + width] = values
        self._rows[:, self.width : self.width + width] = columns + first_row
        self._choose()
