"""Take the two pictures of the search box that the README and the notebooks show.

    python tools/screenshots.py [MODEL] [--all FOLDER]

Writes images/search-box-jupyterlab.png and images/search-box-page.png. MODEL is a model folder;
without it a model of the sample catalogue is built first. With --all every state of the page is
written to FOLDER instead, wide and as on a phone, light and dark, to be looked at. Needs Chromium
and the extra `dev`.
"""

import argparse
import sys
import tempfile
import time
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


LOOKS = {
    f"{size}-{theme}": {"viewport": {"width": width, "height": height}, "color_scheme": theme}
    for theme in ("light", "dark")
    for size, width, height in (("wide", 1500, 950), ("phone", 390, 844))
}


def every_state(browser, model: Path, folder: Path, looks=LOOKS) -> None:
    """The page in each of its states; prints when there was something to see, and when all of it."""
    with helpers.voila_page(model, folder / "voila.log", cwd=folder) as address:
        for look, given in looks.items():
            page = browser.new_page(**given)
            page.set_default_timeout(180_000)  # on a busy machine too
            shoot_states(page, address, lambda name, look=look: folder / f"{look}-{name}.png")
            page.close()


def shoot_states(page, address: str, path) -> None:
    """Walk through one page, and take a picture at every stop."""
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.locator("#movrec-shell").wait_for()
    print(f"{path('').stem} something to see after {time.perf_counter() - began:.1f} s", end=", ")
    page.screenshot(path=path("0-shell"))
    page.locator(".movrec-box").wait_for()
    print(f"the box after {time.perf_counter() - began:.1f} s", flush=True)
    page.wait_for_timeout(1500)
    page.screenshot(path=path("1-welcome"), full_page=True)
    field = page.get_by_label("Find a film")
    field.press_sequentially("toy st", delay=30)
    page.locator(".movrec-suggestion").first.wait_for()
    page.screenshot(path=path("2-suggestions"))
    page.get_by_role("button", name="Toy Story (1995)").click()
    page.locator(".movrec-card").first.wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=path("3-cards"), full_page=True)
    page.locator(".movrec-switches button", has_text="Filters").click()
    page.locator(".movrec-switches button", has_text="What counts").click()
    page.wait_for_timeout(500)
    page.screenshot(path=path("4-filters"))
    page.locator(".movrec-switches button", has_text="Filters").click()
    page.locator(".movrec-switches button", has_text="What counts").click()
    page.locator(".movrec-card").nth(1).get_by_text("More like this").click()
    page.locator(".movrec-trail button").first.wait_for()
    page.locator(".movrec-card").first.get_by_text("Keep", exact=True).click()
    page.wait_for_timeout(1500)
    began = time.perf_counter()
    page.locator(".movrec-switches button", has_text="Map").click()
    page.locator("svg.movrec-map").wait_for(state="attached")
    print(f"{path('').stem} the map after {time.perf_counter() - began:.2f} s", end=", ")
    page.screenshot(path=path("5-map-at-once"), full_page=True)
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    print(f"with names after {time.perf_counter() - began:.2f} s", flush=True)
    page.wait_for_timeout(1500)
    page.screenshot(path=path("6-map"), full_page=True)
    page.locator(".movrec-switches button", has_text="Map").click()
    field.fill(PLOT)
    page.locator(".movrec-genres").wait_for()
    page.wait_for_timeout(800)
    page.screenshot(path=path("7-plot"))
    field.fill("tiatnic")
    page.wait_for_timeout(1500)
    page.screenshot(path=path("8-misspelled"))


def main() -> int:
    missing = helpers.what_is_missing()
    if missing:
        print(f"The pictures need what is not here: {missing}.", file=sys.stderr)
        return 1
    from movrec.ingest import load_sample
    from movrec.recommend import Recommender

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    (ROOT / "images").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, helpers.chromium() as browser:
        folder = Path(name).resolve()
        model = asked.model.resolve() if asked.model else folder / "model"
        if not asked.model:
            Recommender.build(load_sample(), model)
        if asked.all:
            asked.all.mkdir(parents=True, exist_ok=True)
            every_state(browser, model, asked.all.resolve())
            return 0
        for picture in (in_jupyterlab, as_a_page):
            place = folder / picture.__name__
            place.mkdir()
            picture(browser, model, place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
