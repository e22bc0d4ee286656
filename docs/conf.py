"""Sphinx's settings for the docs site. tools/docs.py prepares the pages and calls Sphinx."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in ("docs", "benchmarks", "tools", "."):
    sys.path.insert(0, str(ROOT / folder))

from figures import figures_of, tried_of  # noqa: E402
from repository import read_settings  # noqa: E402

settings = read_settings()

project = settings["lib_name"]
author = settings["author"]
copyright = settings["copyright"]
version = release = settings["version"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "site_extension",
]
root_doc = "index"

# ---- pages and notebooks ----

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# Evaluated by nobody here: the outputs are those that are stored in the notebooks.
nb_execution_mode = "off"
# Widgets need a running kernel, and their scripts would come from another host.
nb_ipywidgets_js = {}
nb_merge_streams = True
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
html_math_renderer = "mathml"
myst_substitutions = {
    name: text
    for file, figures in (("result.json", figures_of), ("tried.json", tried_of))
    for name, text in figures(
        json.loads((ROOT / "benchmarks" / file).read_text(encoding="utf-8"))
    ).items()
}

# ---- the reference ----

default_role = "py:obj"  # docstrings write a name between single backticks, as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more of each parameter than its type
autosummary_generate = False
viewcode_follow_imported_members = False  # a constant may be of a type of Python's own
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
suppress_warnings = [
    "ref.footnote",  # numpydoc's references need not be cited in the text
    "myst.header",  # MyST-NB reads cell by cell, and wonders at one that begins below a title
]
add_module_names = False
python_display_short_literal_types = True
copybutton_selector = "div.highlight-python pre, div.highlight-ipython3 pre, div.highlight-sh pre"

# ---- how it looks ----

html_theme = "sphinx_book_theme"
html_title = settings["title"]
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_js_files = ["offline.js"]
html_search_scorer = str(ROOT / "docs" / "search_scorer.js")
html_show_sphinx = False
html_use_index = html_domain_indices = False  # the reference and the search say where things are
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_theme_options = {
    "repository_url": settings["git_url"],
    "repository_branch": settings["branch"],
    "path_to_docs": "",
    "use_repository_button": True,
    "use_download_button": True,
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "navbar_persistent": [],  # one search field is enough
}
