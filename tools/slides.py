"""Make the workshop's slides from the lessons: one deck a lesson, which opens without a network.

    python tools/slides.py [FOLDER]

Writes the decks, a page that lists them and reveal.js itself into FOLDER, workshop/slides if none is
named. What is on a slide says each cell's metadata, which JupyterLab shows under "Slide Type". Two
tags belong to the slides as well: `slide-no-code` leaves a cell's code out, `slide-no-output` its
output. Needs the extra `dev`: reveal.js comes out of the package sphinx-revealjs.
"""

from __future__ import annotations

import argparse
import html
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from exercises import FOLD  # noqa: E402
from nbconvert import SlidesExporter  # noqa: E402
from nbconvert.preprocessors import Preprocessor  # noqa: E402
from nbformat.v4 import new_markdown_cell  # noqa: E402
from repository import lesson_paths, read_notebook, title_of  # noqa: E402
from traitlets.config import Config  # noqa: E402

REVEAL = "reveal.js"
THEME = "white"

LIST_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>movrec: the slides</title>
<body style="font: 1.2em/1.6 sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em">
<h1>The slides</h1>
<ol start="0">
{items}
</ol>
<p>Arrow keys or the space bar move on, Esc shows all slides, S opens the speaker's view.</p>
"""


SHORT = 130  # letters: what is no longer can be read while somebody speaks
EXERCISE = re.compile(r"\*\*\d \(")
# Blocks that stand on a slide as they are: headings, lists, tables, quotes, code, pictures, exercises.
KEPT = re.compile(r"#|[*-] |\d+\. |\||>|```|!\[|<| {4}|" + EXERCISE.pattern)


def blocks_of(source: str) -> list[str]:
    """The parts of a text that blank lines divide, those in code aside."""
    blocks, fenced = [[]], False
    for line in source.split("\n"):
        fenced ^= line.startswith("```")
        if line.strip() or fenced:
            blocks[-1].append(line)
        else:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


def spoken(source: str) -> str:
    """Leave the first sentence of a text on the slide, and put what is to be said into its notes."""
    if EXERCISE.match(source):
        return source
    shown, said, has_lead = [], [], False
    for block in blocks_of(source):
        if KEPT.match(block) or len(block) <= SHORT:
            shown.append(block)
            has_lead = has_lead or not KEPT.match(block)
            continue
        lead = re.split(r"(?<=[.!?:])\s+(?=[A-Z*`\[])", block, maxsplit=1)[0]
        if not has_lead:
            shown.append(
                lead.removesuffix(":") + "." if lead.endswith(":") and lead != block else lead
            )
            has_lead = True
        said.append(block)
    notes = "\n\n".join(said)
    return "\n\n".join(shown) + (
        f'\n\n<aside class="notes">\n\n{notes}\n\n</aside>' if said else ""
    )


class SlideText(Preprocessor):
    """Turn a lesson's text into that of slides.

    Leaves out the link to Colab, the answers of the exercises and the directives of exported code,
    lets links to other lessons lead to their decks, leaves one sentence of a text on the slide and
    the rest to who speaks, and gives each slide a heading.
    """

    def preprocess_cell(self, cell, resources, index):
        """Return the changed cell."""
        if cell.cell_type == "markdown":
            cell.source = spoken(FOLD.sub("", cell.source).strip())
            cell.source = re.sub(r"^\[Open in Colab\].*\n", "", cell.source, flags=re.MULTILINE)
            cell.source = re.sub(r"\]\((\d\d_\w+)\.ipynb", r"](\1.slides.html", cell.source)
            # nbconvert embeds only pictures that lie below the folder it is told of, ROOT here.
            cell.source = cell.source.replace("](../", "](")
        else:
            cell.source = re.sub(r"^#\|.*\n?", "", cell.source, flags=re.MULTILINE)
        return cell, resources

    def preprocess(self, notebook, resources):
        """Return the notebook without the cells that held directives alone."""
        notebook, resources = super().preprocess(notebook, resources)
        notebook.cells = with_headings([cell for cell in notebook.cells if cell.source.strip()])
        return notebook, resources


def with_headings(cells: list) -> list:
    """Let each slide that has no heading begin with that of its section."""
    heading, headed = "", []
    for cell in cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        text = cell.source if cell.cell_type == "markdown" else ""
        found = re.findall(r"^#+ +(.+)$", text, flags=re.MULTILINE)
        if kind in ("slide", "subslide") and not found and heading:
            first = new_markdown_cell(f"### {heading}")
            first.metadata["slideshow"] = {"slide_type": kind}
            headed.append(first)
            cell.metadata["slideshow"] = {"slide_type": "-"}
        if kind != "skip":
            heading = found[-1] if found else heading
        headed.append(cell)
    return headed


def make_exporter() -> SlidesExporter:
    """The exporter for all decks."""
    config = Config()
    config.SlidesExporter.preprocessors = [SlideText]
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_input_tags = {"slide-no-code"}
    config.TagRemovePreprocessor.remove_all_outputs_tags = {"slide-no-output"}
    return SlidesExporter(
        config=config,
        template_name="lesson",
        extra_template_basedirs=[str(ROOT / "tools" / "templates")],
        reveal_url_prefix=REVEAL,
        reveal_theme=THEME,
        reveal_width="1280",
        reveal_height="720",
        embed_images=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )


def copy_reveal(folder: Path) -> None:
    """Copy of reveal.js what the decks load, and its licence."""
    package = find_spec("sphinx_revealjs")
    if package is None:
        raise SystemExit('The slides need reveal.js: pip install "movrec[dev]" brings it.')
    source = Path(package.origin).parent / "_static" / "revealjs"
    shutil.rmtree(folder, ignore_errors=True)
    unneeded = shutil.ignore_patterns("*.map", "*.esm.js", "*.eot", "*.ttf", "league-gothic")
    for part in ("dist", "plugin/notes"):
        shutil.copytree(source / part, folder / part, ignore=unneeded)
    for theme in (folder / "dist" / "theme").glob(
        "*.css"
    ):  # others fetch their fonts from elsewhere
        if theme.stem != THEME:
            theme.unlink()
    shutil.copy(source / "LICENSE", folder)


def main() -> int:
    """Write all decks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "workshop" / "slides")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    copy_reveal(folder / REVEAL)
    exporter = make_exporter()
    items = []
    for path in lesson_paths():
        notebook = read_notebook(path)
        title = title_of(notebook)
        resources = {"metadata": {"name": title, "path": str(ROOT)}}
        deck, _ = exporter.from_notebook_node(notebook, resources)
        name = f"{path.stem}.slides.html"
        (folder / name).write_text(deck, encoding="utf-8", newline="\n")
        items.append(f'<li><a href="{name}">{html.escape(title)}</a></li>')
    index = LIST_PAGE.format(items="\n".join(items))
    (folder / "index.html").write_text(index, encoding="utf-8", newline="\n")
    print(f"slides: {len(items)} decks, open {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
