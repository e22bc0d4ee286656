"""What the site needs beyond Sphinx and MyST-NB: formulas without scripts, plain docstrings."""

import inspect
import re
import shutil
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from repository import modules, read_notebook, title_of
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.util.inspect import stringify_signature

from docs import public_names

ROOT = Path(__file__).resolve().parents[1]


def visit_inline_formula(self, node: nodes.math) -> None:
    """Write a formula as MathML, which browsers show by themselves: no MathJax, no other host."""
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def visit_formula(self, node: nodes.math_block) -> None:
    """The same for a formula on a line of its own."""
    self.body.append(f"<div>{tex2mathml(node.astext(), as_block=True)}</div>")
    raise nodes.SkipNode


def escape_docstring(app, what, name, value, options, lines: list[str]) -> None:
    """Take the bars and the last underscores of a docstring for what they are.

    movrec's docstrings are plain prose with names between backticks; reStructuredText would look
    for a substitution in "|A & B|" and for a link in "classes_".
    """
    for number, line in enumerate(lines):
        pieces = re.split("(`+[^`]*`+)", line)  # prose and code by turns
        escaped = [re.sub(r"(?<!\\)(\||(?<=\w)_(?!\w))", r"\\\1", piece) for piece in pieces[::2]]
        pieces[::2] = escaped
        lines[number] = "".join(pieces)


def say_where_it_is_taught(app, what, name, value, options, lines: list[str]) -> None:
    """Lead from a name's entry in the reference to the cell that makes it."""
    module, _, short = name.removeprefix("movrec.").rpartition(".")
    if public_names().get(short) == name and module in modules():
        title = title_of(read_notebook(modules()[module]))
        lines += ["", f"In the notebook: :ref:`{title} <lesson-{short}>`", ""]


def leave_out_requests(app, what, name, value, skip, options) -> bool | None:
    """Leave out the methods `set_…_request` with which scikit-learn fits each estimator out."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def show_how_to_make_it(app, what, name, value, options, signature, returns):
    """The signature of a class, even where a base hides it behind `__new__`, as traitlets does."""
    if what == "class" and "__init__" in vars(value):
        own = inspect.signature(value.__init__)
        own = own.replace(parameters=list(own.parameters.values())[1:])
        return stringify_signature(own, show_annotation=False), returns
    return None


def put_the_notebooks_there(app: Sphinx, error: Exception | None) -> None:
    """Let the download button give each notebook as it is in the repository.

    Sphinx puts the sources of its pages there, and these have been prepared for the site.
    """
    sources = Path(app.outdir) / "_sources"
    if error is None:
        for copy in sources.rglob("*.ipynb"):
            shutil.copyfile(ROOT / copy.relative_to(sources), copy)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of all this."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"  # as the docstrings call them
    app.add_html_math_renderer("mathml", (visit_inline_formula, None), (visit_formula, None))
    app.connect("autodoc-process-docstring", escape_docstring)
    app.connect("autodoc-process-docstring", say_where_it_is_taught)
    app.connect("autodoc-skip-member", leave_out_requests)
    app.connect("autodoc-process-signature", show_how_to_make_it)
    app.connect("build-finished", put_the_notebooks_there)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
