"""`labels show`, `diff`, `elbow` and `plot`: label sets and the measures of finished fits. Needs no torch."""

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import read_quality
from ood_lightning.data.class_names import read_names
from ood_lightning.errors import SettingsError, check_least
from ood_lightning.functional.elbow import elbow as bend
from ood_lightning.places import check_out, expanded, locate
from ood_lightning.report.labels import print_difference, print_set
from ood_lightning.report.plots import Histogram, svg
from ood_lightning.report.sweep import drawn, print_sweep, read_fits


def show(sets: list[str], top: int = 50, names: str | None = None) -> int:
    """Label sets as tables: recipe, whether edited, positives by falling support.

    Args:
        sets: `labels.json` files, or folders of fits.
        top: positives to show.
        names: true names, of a set with a manifest or a .txt: adds overlap, precision and F1, and marks hits with *.
    """
    check_least(1, top=top)
    true_names = read_names(names) if names is not None else None
    for source in sets:
        print_set(source, LabelSet.read(locate(source)), top, true_names)
    return 0


def diff(sets: list[str], top: int = 20) -> int:
    """What differs between two label sets: recipe, words of one alone, support of common words.

    Args:
        sets: two `labels.json` files, or folders of fits.
        top: words of each kind to show.
    """
    check_least(1, top=top)
    if len(sets) != 2:
        raise SettingsError(f"{len(sets)} label sets given: `labels diff A B` compares two")

    a, b = (LabelSet.read(locate(source)) for source in sets)
    print_difference((sets[0], sets[1]), (a, b), top)
    return 0


def elbow(runs: list[str], out: str | None = None) -> int:
    """The elbow of labels per cluster over the number of clusters; looks at neither true names nor OOD pictures.

    Args:
        runs: folders of finished fits that differ in the number of clusters; five or more.
        out: .svg to draw |P| / C, redundancy, purity and entropy over C into.
    """
    check_out(out, ".svg")
    fits = read_fits(runs)
    try:
        bent_at = bend([fit.n_clusters for fit in fits], [fit.measures["label_ratio"] for fit in fits])
    except ValueError as error:
        raise SettingsError(
            f"these {len(fits)} fits have no elbow: {error}. Fit with other numbers of clusters."
        ) from error

    print_sweep(fits, bent_at)
    if out is not None:
        atomic_write(expanded(out), drawn(fits, bent_at).encode())
        print(f"curves: {out}")
    return 0


def plot(runs: list[str], out: str) -> int:
    """Histograms of the mined words' cosines to the nearest true name, and of their hops to one in WordNet.

    Args:
        runs: folders of finished fits that were given true names to measure with.
        out: .svg to draw into.
    """
    check_out(out, ".svg")
    cosines: dict[str, list[int]] = {}
    hops: dict[str, list[int]] = {}
    for run in runs:
        of_run = f"{run}: " if len(runs) > 1 else ""
        for name, measures in read_quality(run)["label_sets"].items():
            if "similarity" not in measures:
                raise SettingsError(f"{run} was fitted without true names: set `names` of LabelSetWriter and fit again")

            title = f"{of_run}{measures['method'] or name}"
            similarity = measures["similarity"]
            cosines[f"{title}, {measures['positives']} words, mean {similarity['mean']:.3f}"] = similarity["bins"]

            distance = measures.get("hops")  # older fits have none
            if distance and distance["bins"]:
                hops[f"{title}, {sum(distance['bins'])} nouns, mean {distance['mean']:.2f}"] = distance["bins"]

    plots = [Histogram("Mined words against true names", "cosine to the nearest true name", cosines)]
    if hops:
        plots.append(Histogram("The same in WordNet", "hops to the nearest true name", hops, whole=True))
    try:
        picture = svg([part.draw for part in plots], columns=len(plots), width=6.6)
    except ValueError as error:
        raise SettingsError(f"these runs do not fit into one picture: {error}") from error

    atomic_write(expanded(out), picture.encode())
    without = "" if hops else "; no hops, since quality.json has none or no name is a noun of WordNet"
    print(f"{len(cosines)} label sets: {out}{without}")
    return 0
