"""`sweep plot`: a measure of a sweep's runs as figure, CSV and table. Needs no torch."""

import sys

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.experiments.curves import arrange, drawn, sheet, table_rows
from ood_lightning.experiments.files import folder_of, one_file, read_sweep
from ood_lightning.experiments.measures import DETECTOR, Sets, read_points
from ood_lightning.experiments.records import plan
from ood_lightning.file_names import safe_name
from ood_lightning.metrics.results import MEAN
from ood_lightning.report.console import console, table


def plot(
    file: list[str],
    measure: str,
    x: str,
    lines: str = DETECTOR,
    out: str | None = None,
    id_set: str | None = None,
    ood_set: str = MEAN,
) -> int:
    """A measure over one or two settings of a sweep, with 95 % intervals: a figure, the same as CSV, and a table.

    Args:
        file: of the sweep.
        measure: of the results, such as auroc or `fpr_ood@id_tpr95`; of a fit's clusters, such as purity, entropy and
            label_ratio; or positives, the size of each label set.
        x: the setting below: of the grid, or an option of the lines.
        lines: what tells lines apart: detector, or another setting.
        out: the sweep's folder; `runs/sweeps/NAME` of the file's name if None.
        id_set: whose results; None: the first ID set of each run.
        ood_set: against which one; the mean over all of them.
    """
    path = one_file(file)
    folder = folder_of(path, out)

    planned = plan(read_sweep(path), folder)
    points = read_points(planned, measure, [x, lines], Sets(id_set, ood_set))
    figure = arrange(points, measure, x, lines)

    for title, rows in table_rows(figure):
        headings = [x, *(name or measure for name in figure.panels[title])]
        console().print(table(title or measure, headings, rows))
    if missing := [line.line.name for line in planned if line.to_run]:
        sys.stdout.write(f"not finished, and left out: {', '.join(missing)}\n")

    name = safe_name(f"{measure}_over_{x}_by_{lines}", "figure")
    for ending, content in ((".svg", drawn(figure).encode()), (".csv", sheet(points, measure))):
        atomic_write(folder / f"{name}{ending}", content)
    sys.stdout.write(f"figure: {folder / name}.svg, its numbers: {folder / name}.csv\n")
    return 0
