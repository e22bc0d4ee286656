"""Take the two pictures of the search box that the README and the notebooks show.

    python tools/screenshots.py [MODEL]

Writes images/search-box-jupyterlab.png and images/search-box-page.png. MODEL is a model folder;
without it a model of the sample catalogue is built first. Needs Chromium and the extra `dev`.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import browser_helpers as helpers  # noqa: E402

PLOT = (
    "A young wizard enters a school of magic and must fight the dark lord who murdered his parents."
)


def in_jupyterlab(browser, model: Path, folder: Path) -> None:
    """The box below the cell that made it, with films like Toy Story."""
    (folder / "movrec-model").symlink_to(model, target_is_directory=True)
    helpers.write_notebook(folder / "search.ipynb", helpers.BOX_CELL.format(model="movrec-model"))
    with helpers.jupyterlab(folder, folder / "lab.log") as address:
        page = browser.new_page(viewport={"width": 1180, "height": 860})
        helpers.run_notebook(page, address("search.ipynb"))
        page.get_by_label("Find a film").fill("toy st")
        page.get_by_role("button", name="Toy Story (1995)").click()
        page.locator(".movrec-card").first.wait_for()
        page.wait_for_timeout(1000)
        page.screenshot(path=ROOT / "images" / "search-box-jupyterlab.png")
        page.close()


def as_a_page(browser, model: Path, folder: Path) -> None:
    """The page of `movrec app`, with a plot."""
    with helpers.voila_page(model, folder / "voila.log", cwd=folder) as address:
        page = browser.new_page(viewport={"width": 1180, "height": 760})
        page.goto(address)
        page.get_by_label("Find a film").fill(PLOT, timeout=90_000)
        page.locator(".movrec-card").first.wait_for()
        page.wait_for_timeout(1000)
        page.screenshot(path=ROOT / "images" / "search-box-page.png")
        page.close()


def main() -> int:
    missing = helpers.what_is_missing()
    if missing:
        print(f"The pictures need what is not here: {missing}.", file=sys.stderr)
        return 1
    from movrec.ingest import load_sample
    from movrec.recommend import Recommender

    (ROOT / "images").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, helpers.chromium() as browser:
        folder = Path(name).resolve()
        model = Path(sys.argv[1]).resolve() if sys.argv[1:] else folder / "model"
        if not sys.argv[1:]:
            Recommender.build(load_sample(), model)
        for picture in (in_jupyterlab, as_a_page):
            place = folder / picture.__name__
            place.mkdir()
            picture(browser, model, place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
