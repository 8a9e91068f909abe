"""The page in a person's browser, opened from a file with the network off."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from page_runs import HOSTILE, IMAGE, reasons, scores, write_run

from ood_lightning.functional.roc import auroc
from ood_lightning.page.write import write_page
from ood_lightning.reasons.stored import write_reasons

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt-get install chromium")]


@dataclass
class Opened:
    """A page in the browser, and what it did beside showing itself.

    Args:
        page: playwright's.
        requests: addresses that it asked for, but for its own file and data inside it.
        errors: on its console.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    def column(self, selector: str) -> list[str]:
        return [str(text) for text in self.page.locator(selector).all_inner_texts()]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e .[dev]")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_page([write_run(folder / "run")], folder / "page.html")
    return folder / "page.html"


def opened(browser: Any, file: Path, width: int = 1440, scheme: str = "light") -> Opened:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown_page = Opened(context.new_page())
    shown_page.page.on("console", lambda message: shown_page.errors.append(message.text))
    shown_page.page.on("pageerror", lambda error: shown_page.errors.append(str(error)))

    def note(request: Any) -> None:
        if not request.url.startswith(("data:", "blob:", file.as_uri())):
            shown_page.requests.append(request.url)

    shown_page.page.on("request", note)
    shown_page.page.goto(file.as_uri())
    shown_page.page.wait_for_selector("html[data-ready]")
    return shown_page


@pytest.fixture
def seen(browser: Any, file: Path) -> Iterator[Opened]:
    """The page, which has made no request and no error when the test ends."""
    page = opened(browser, file)
    yield page
    assert (page.requests, page.errors) == ([], [])
    assert page.page.title() == "Report of run"
    page.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits_its_window_and_a_screen_reader(browser: Any, file: Path, width: int, scheme: str):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe: pip install -e .[dev]").Axe()
    page = opened(browser, file, width, scheme)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    assert not [violation["id"] for violation in axe.run(page.page).response["violations"]]
    assert (page.requests, page.errors) == ([], [])


def test_a_table_is_sorted_by_its_heads_and_filtered_by_its_words(seen: Opened):
    rows = "#grid tbody tr:visible th"
    assert seen.column(rows) == ["ClusterMine", "MCM"]
    head = seen.page.locator("#grid thead th", has_text="near1")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    first = seen.column("#grid tbody td:nth-child(4)")
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert seen.column("#grid tbody td:nth-child(4)") == first[::-1]

    seen.page.locator("#grid input[type=search]").fill("id_names")
    assert seen.column(rows) == ["MCM"]


def test_the_switch_shows_other_metrics_groups_and_no_intervals(seen: Opened):
    assert "[" in seen.text("#grid tbody")
    seen.page.locator("#grid-interval").uncheck()
    assert "[" not in seen.text("#grid tbody")

    options = seen.column("#grid-metric option")
    assert [name for name in options if "fpr" in name.lower()][:2] == ["fpr_ood@id_tpr95", "fpr_id@ood_tpr95"]
    ours = seen.text("#grid tbody")
    seen.page.locator("#grid-metric").select_option("fpr95 openood")
    assert seen.text("#grid tbody") != ours
    assert "OpenOOD" in seen.text("#grid-note")

    seen.page.locator("#grid-group").select_option("far")
    assert [head.split()[0] for head in seen.column("#grid thead tr:last-child th")][2:] == ["far1", "mean"]


def test_a_table_is_copied_as_it_is_seen(seen: Opened):
    seen.page.locator("#grid-interval").uncheck()
    seen.page.locator("#grid input[type=search]").fill("ClusterMine")
    copies = {}
    for form in ("CSV", "Markdown", "LaTeX"):
        seen.page.locator("#grid").get_by_role("button", name=form).click()
        seen.page.get_by_text(f"Copied as {form}", exact=True).wait_for()
        copies[form] = seen.page.evaluate("navigator.clipboard.readText()")

    names, values = copies["CSV"].splitlines()
    assert names.startswith("detector,supervision,mean,near1,")
    assert values.startswith("ClusterMine,id_images,")
    assert len(copies["CSV"].splitlines()) == 2
    assert copies["Markdown"].splitlines()[1].startswith("| --- | ---: |")
    assert r"\<img src=x" in copies["Markdown"]
    assert r"\toprule" in copies["LaTeX"]
    assert r"id\_images" in copies["LaTeX"]


def test_rates_follow_the_operating_point_by_mouse_and_by_keyboard(seen: Opened):
    of_sets = {name: column[:, 0] for name, column in scores().items()}

    def rates() -> dict[str, float]:
        names = seen.column("#rates tbody th")
        cells = seen.column("#rates tbody td:nth-child(3)")
        return {name: float(cell.split()[0]) for name, cell in zip(names, cells, strict=True)}

    expected = {name: 100 * float((column >= 0).double().mean()) for name, column in of_sets.items()}
    assert rates() == pytest.approx(expected, abs=0.051)

    seen.page.locator("#histogram").scroll_into_view_if_needed()
    box = seen.page.locator("#histogram").bounding_box()
    seen.page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 40)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 60, steps=5)
    seen.page.mouse.up()
    seen.page.wait_for_timeout(200)
    dragged = float(seen.text("#operating-value"))
    assert dragged > 1
    strict = {name: 100 * float((column >= dragged).double().mean()) for name, column in of_sets.items()}
    assert rates() == pytest.approx(strict, abs=1.5)  # of the printed threshold
    assert f"operating point {seen.text('#operating-value')}" in seen.text("#why")

    seen.page.locator("#operating-point").focus()
    for _ in range(20):
        seen.page.keyboard.press("ArrowLeft")
    seen.page.wait_for_timeout(200)
    assert float(seen.text("#operating-value")) < dragged
    seen.page.locator("#operating-reset").click()
    seen.page.wait_for_timeout(200)
    assert rates() == pytest.approx(expected, abs=0.051)


def test_the_curve_has_the_area_that_the_run_measured(seen: Opened):
    seen.page.locator("#scores-ood").select_option("near1")
    of_sets = scores()
    area = 100 * float(auroc(of_sets["birds"][:, 0], of_sets["near1"][:, 0]))
    assert f"AUROC {area:.2f} %" in seen.text("#roc-text")
    assert seen.page.locator("#roc .js-fill").count() == 1  # the band
    assert "are OOD" in seen.text("#risk-text")


def test_a_picture_tells_why(seen: Opened):
    assert seen.page.locator("#gallery li").count() == len(HOSTILE)
    assert seen.page.locator("#gallery img").count() == 1
    seen.page.locator("#gallery button").nth(1).click()
    text = seen.text("#why")
    assert "Would be rejected without the word owl, or without " in text
    assert "Score = 5.0000 − 3.1000 = 1.9000" in text
    assert "the others (9)" in text  # of eleven positives, two are named
    assert "together (1,000)" in text

    seen.page.locator("#pictures-kind").select_option("false alarm")
    assert seen.page.locator("#gallery li").count() == 1
    assert "Would be accepted without the word stone" in seen.text("#why")
    seen.page.locator("#pictures-kind").select_option("one word")
    assert seen.page.locator("#gallery li").count() == len(HOSTILE) + 1
    seen.page.locator("#pictures-kind").select_option("")
    seen.page.locator("#pictures-word").fill("OWL")
    assert seen.page.locator("#gallery li").count() == len(HOSTILE) + 1
    seen.page.locator("#pictures-word").fill("nothing like it")
    assert "No picture" in seen.text("#why")


def test_scores_of_equation_1_are_not_held_against_the_threshold_of_another_detector(browser: Any, tmp_path: Path):
    run = write_run(tmp_path / "run")
    write_reasons(run, replace(reasons(), detector="MCM", is_equation=False, label_set=""))
    write_page([run], tmp_path / "page.html")
    page = opened(browser, tmp_path / "page.html")

    heads = ["positives", "share", "score without", "negatives", "share", "score without"]
    assert page.column("#why thead th") == heads
    assert "Would be" not in page.text("#why")
    assert "equation 1 on the run's label set, whose score" in page.text("#why")
    assert "positives of the run's label set, against" in page.text("#words-lead")
    assert (page.requests, page.errors) == ([], [])


def test_words_in_doubt_come_first_and_can_be_found(seen: Opened):
    names = seen.column("#word-cards h4")
    assert names[0] == "owl"
    assert len(names) == len(HOSTILE) + 1
    seen.page.locator("#words-doubtful").check()
    assert seen.page.locator("#word-cards > li").count() == 2
    seen.page.locator("#words-doubtful").uncheck()
    seen.page.locator("#words-find").fill("onerror")
    assert seen.column("#word-cards h4") == [IMAGE]
    assert seen.page.locator("#word-cards img").count() == 0


def test_the_map_places_words_by_their_pictures_or_by_their_meaning(seen: Opened):
    """Words without a picture have no place among pictures."""
    assert seen.page.locator("#map-by").input_value() == "pictures"
    assert seen.page.locator("#map .scatterlayer path.point").count() == len(HOSTILE)
    assert "1 of the words has no such picture" in seen.text("#map-text")
    assert "70 % of the variance" in seen.text("#map-text")

    seen.page.locator("#map-by").select_option("text")
    assert seen.page.locator("#map .scatterlayer path.point").count() == len(HOSTILE) + 1
    assert "40 % of the variance" in seen.text("#map-text")
    seen.page.locator("#map-by").select_option("pictures")


def test_all_other_pictures_are_rows_of_text(seen: Opened):
    of_sets = scores()
    assert f"of {sum(map(len, of_sets.values()))} that fit" in seen.text("#rows-text")
    seen.page.locator("#rows-set").select_option(IMAGE)
    seen.page.locator("#rows-decision").select_option("accepted")
    accepted = int((of_sets[IMAGE][:, 0] >= 0).sum())
    assert f"of {accepted} that fit" in seen.text("#rows-text")
    assert seen.page.locator("#rows img").count() == 0
    seen.page.locator("#rows-find").fill("onerror")
    assert seen.page.locator("#rows tbody tr").count() > 0
    seen.page.locator("#rows-decision").select_option("")
    seen.page.locator("#rows-set").select_option("")
    seen.page.locator("#rows-find").fill("")
    seen.page.locator("#rows-on").click()
    assert seen.text("#rows-text").startswith("51 to 100")


def test_no_name_became_markup_or_ran(seen: Opened):
    assert seen.page.locator("img[src='x']").count() == 0
    assert seen.page.evaluate("document.scripts.length") == 3
    texts = " ".join(seen.page.locator("#histogram text, #map text").all_text_contents())
    assert "<img src=x" in texts
    assert "\u202e" not in texts


def test_two_runs_are_chosen_between(browser: Any, tmp_path: Path):
    runs = [write_run(tmp_path / "a"), write_run(tmp_path / "b", run="f" * 16, shift=1.0)]
    write_page(runs, tmp_path / "page.html")
    page = opened(browser, tmp_path / "page.html")
    first = page.column("#rates tbody td:nth-child(3)")
    page.page.locator("#scores-run").select_option("1")
    assert page.column("#rates tbody td:nth-child(3)") != first
    page.page.locator("#pictures-run").select_option("1")
    assert page.page.locator("#gallery img").count() == 1
    assert (page.requests, page.errors) == ([], [])
