"""Make README.md and its pictures from index.ipynb, by nbconvert.

Hidden cells (`#| hide`) and exported code stay out; `#| echo: false` shows only the output, and
`#| output: false` only the code. `#| label:` and `#| fig-alt:` give a picture its file name and its
description. The links stay relative, so that they work in a clone, in a fork and offline; setup.py
makes them absolute for the package index.
"""

from __future__ import annotations

import re

from repository import EXPORTS, ROOT, directives_of, read_notebook, without_directives

MARK = '<!-- Generated from index.ipynb by "make prepare": change it there. -->\n\n'
PICTURES = "images/readme-*.png"


def table_to_markdown(html: str) -> str:
    """A DataFrame's HTML as a Markdown table, which README.md can show everywhere."""
    from bs4 import BeautifulSoup

    rows = []
    for row in BeautifulSoup(html, "html.parser").find_all("tr"):
        cells = [cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])]
        rows.append([cell.replace("|", "\\|") for cell in cells])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def prepare_cell(cell, number: int) -> None:
    """Say to nbconvert what the directives of a cell of code say to nbdev."""
    directives = directives_of(cell.source)
    hidden = {"hide", "default_exp"} & directives.keys() or directives.get("include") == "false"
    tags = {
        "remove-cell": hidden,
        "remove-input": EXPORTS & directives.keys() or directives.get("echo") == "false",
        "remove-output": directives.get("output") == "false",
    }
    cell.metadata.tags = [tag for tag, is_wanted in tags.items() if is_wanted]
    cell.source = without_directives(cell.source)
    if cell.source.startswith("!"):
        cell.source = re.sub("^!", "", cell.source, flags=re.MULTILINE)
        cell.metadata.magics_language = "sh"
    alt = directives.get("fig-alt") or directives.get("fig-cap") or "A figure"
    label = directives.get("label", str(number)).removeprefix("fig-")
    for output in cell.outputs:
        if "<table" in output.get("data", {}).get("text/html", ""):
            output.data["text/markdown"] = table_to_markdown(output.data["text/html"])
        if "metadata" in output:
            output.metadata.update(alt=alt.strip("\"'"), filename=f"readme-{label}")


def render_readme() -> dict[str, bytes]:
    """README.md and its pictures, by name, as index.ipynb has them now."""
    from nbconvert import MarkdownExporter
    from traitlets.config import Config

    notebook = read_notebook(ROOT / "index.ipynb")
    notebook.metadata.language_info = {"name": "python"}
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type != "raw"]
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            prepare_cell(cell, number)
    config = Config()
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_cell_tags = {"remove-cell"}
    config.TagRemovePreprocessor.remove_input_tags = {"remove-input"}
    config.TagRemovePreprocessor.remove_all_outputs_tags = {"remove-output"}
    config.NbConvertBase.display_data_priority = ["image/png", "text/markdown", "text/plain"]
    exporter = MarkdownExporter(
        config=config,
        template_name="readme",
        extra_template_basedirs=[str(ROOT / "tools" / "templates")],
    )
    text, resources = exporter.from_notebook_node(notebook, {"output_files_dir": "images"})
    # At most one blank line in a row, except in blocks of code.
    pieces = re.split(r"(^```.*?^```$)", text.strip(), flags=re.MULTILINE | re.DOTALL)
    pieces[::2] = [re.sub(r"\n\s*\n", "\n\n", piece) for piece in pieces[::2]]
    return {"README.md": f"{MARK}{''.join(pieces)}\n".encode(), **resources["outputs"]}


def write_readme() -> None:
    """Write README.md and its pictures; the pictures of an earlier one go."""
    files = render_readme()
    for path in ROOT.glob(PICTURES):
        path.unlink()
    for name, content in files.items():
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_bytes(content)
