"""`reproduce list`: what every table and figure of the papers takes. Needs torch for the look at weights."""

from pathlib import Path

from ood_lightning.report.console import console, table
from ood_lightning.reproduction.item import Item
from ood_lightning.reproduction.item_files import item_names, read_item
from ood_lightning.reproduction.plan import STEPS, runs_of
from ood_lightning.reproduction.requirements import cost, missing

COLUMNS = ("item", "shows", "needs", "not here", "GPU hours", "GB")
FEW = 2  # encoders in a row
NOTE = (
    "GPU hours and GB are calculated, not measured: counts of the cards, sizes of the encoders, and rates that one "
    "H100 with 16 cores is taken to attain; each item as if it were the only one. GB: archives as their sources state "
    "them, and features. Shards are looked for in shards/, weights in the hub's cache, to which they are fetched when "
    "needed. Every item has a twin on the built-in pictures: `reproduce ITEM --pictograms`."
)


def list() -> int:
    """Every table and figure: what it shows, what the full one takes (calculated), and what of that is not here."""
    rows = []
    for name in item_names():
        item = read_item(name)
        costs = cost(item, runs_of(item.full, Path(STEPS), name))
        gigabytes = f"{costs.fetched / 1e9:,.0f} + {costs.stored / 1e9:,.1f}"
        here = ", ".join(missing(item)) or "nothing"
        rows.append([name, item.title, _required(item), here, f"{costs.gpu_hours:,.1f}", gigabytes])

    out = console()
    rich_table = table("", COLUMNS, rows)
    for column in rich_table.columns[1:4]:
        column.justify = "left"
    out.print(rich_table)
    out.print(NOTE, soft_wrap=True)
    return 0


def _required(item: Item) -> str:
    encoders = ", ".join(item.requires.encoders[:FEW])
    if further := item.requires.encoders[FEW:]:
        encoders += f" and {len(further)} more"
    further_parts = [", ".join(item.requires.corpora), ", ".join(item.requires.judges)]
    return "; ".join(filter(None, [", ".join(item.requires.sets), encoders, *further_parts]))
