"""The project itself: what is generated is up to date, and the package holds what it should."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import links  # noqa: E402
import readme  # noqa: E402
import repository  # noqa: E402

LESSONS = sorted((ROOT / "nbs").glob("[!_.]*.ipynb"))
WORKINGS = sorted((ROOT / "nbs" / "workings").glob("[!_.]*.ipynb"))
NOTEBOOKS = [ROOT / "index.ipynb", *LESSONS, *WORKINGS]
MODULES = sorted((ROOT / "movrec").rglob("*.py"))


def settings():
    parser = ConfigParser(delimiters=["="])
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    return dict(parser["DEFAULT"])


def run_project(*arguments, root=ROOT):
    return subprocess.run(
        [sys.executable, str(root / "tools" / "project.py"), *arguments],
        cwd=root,
        capture_output=True,
        encoding="utf-8",
    )


@pytest.fixture
def copy(tmp_path):
    """A copy of the project, to be spoilt."""
    root = tmp_path / "movrec"
    ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.csv", "slides")
    for name in ("nbs", "movrec", "tools", "images", "docs", "workshop"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, root / name, ignore=ignore)
    for pattern in ("*.ini", "*.md", "*.ipynb", "LICENSE", "NOTICE"):
        for path in ROOT.glob(pattern):
            shutil.copy(path, root)
    return root


def replace_in(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# ---- what is generated ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("command", ["links", "export", "clean", "readme", "exercises", "house"])
def test_what_is_generated_is_up_to_date(command):
    done = run_project(command, "--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ingest", "workings/core"])
def test_a_change_in_a_module_is_found_and_exported_over(copy, name):
    module = copy / "movrec" / f"{name}.py"
    before = module.read_bytes()
    module.write_bytes(before + b"\nedited_by_hand = True\n")
    done = run_project("export", "--check", root=copy)
    assert done.returncode == 1
    assert f"movrec/{name}.py is not as `export` writes it" in done.stderr
    assert module.read_bytes() != before, "a check writes nothing"

    assert run_project("export", root=copy).returncode == 0
    assert module.read_bytes() == before


@pytest.mark.slow
def test_a_stale_exercise_notebook_is_found_and_written_anew(copy):
    replace_in(copy / "nbs" / "01_ingest.ipynb", "**1 (easy).** ", "**1 (easy).** Now: ")
    leftover = copy / "workshop" / "exercises" / "99_gone.ipynb"
    leftover.write_text("{}")
    done = run_project("exercises", "--check", root=copy)
    assert done.returncode == 1
    assert "workshop/exercises/01_ingest.ipynb is not as `exercises` writes it" in done.stderr
    assert "workshop/exercises/99_gone.ipynb comes from nothing any more" in done.stderr

    assert run_project("exercises", root=copy).returncode == 0
    assert run_project("exercises", "--check", root=copy).returncode == 0
    assert not leftover.exists()


@pytest.mark.slow
def test_a_module_without_a_notebook_is_found(copy):
    shutil.copy(copy / "movrec" / "ingest.py", copy / "movrec" / "leftover.py")
    done = run_project("export", "--check", root=copy)
    assert done.returncode == 1
    assert "movrec/leftover.py comes from nothing any more" in done.stderr
    assert run_project("export", root=copy).returncode == 0
    assert not (copy / "movrec" / "leftover.py").exists()
    assert run_project("export", "--check", root=copy).returncode == 0


@pytest.mark.slow
def test_an_old_picture_of_the_house_is_found_and_drawn_anew(copy):
    picture = copy / "images" / "house.svg"
    before = picture.read_bytes()
    (copy / "nbs" / "workings" / "01_files.ipynb").rename(
        copy / "nbs" / "workings" / "08_files.ipynb"
    )
    done = run_project("house", "--check", root=copy)
    assert done.returncode == 1
    assert "images/house.svg is not as `house` writes it" in done.stderr
    assert run_project("house", root=copy).returncode == 0
    assert picture.read_bytes() != before


@pytest.mark.slow
def test_export_keeps_what_is_written_by_hand_and_sets_the_version(copy):
    version = settings()["version"]
    replace_in(copy / "settings.ini", f"version = {version}", "version = 9.8.7")
    assert run_project("export", "--check", root=copy).returncode == 1
    assert run_project("export", root=copy).returncode == 0
    expected = (ROOT / "movrec" / "__init__.py").read_text(encoding="utf-8")
    expected = expected.replace(f'__version__ = "{version}"', '__version__ = "9.8.7"')
    assert (copy / "movrec" / "__init__.py").read_text(encoding="utf-8") == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01_ingest", "workings/00_core", "../index"])
def test_an_execution_counter_is_not_clean(copy, name):
    notebook = (copy / "nbs" / f"{name}.ipynb").resolve()
    name = notebook.relative_to(copy).as_posix()
    before = notebook.read_bytes()
    replace_in(notebook, '"execution_count": null', '"execution_count": 7')
    done = run_project("clean", "--check", root=copy)
    assert done.returncode == 1
    assert f"{name} is not as `clean` writes it" in done.stderr

    assert run_project("clean", root=copy).returncode == 0
    assert notebook.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"cells": [', "nbs/01_ingest.ipynb cannot be read as a notebook"),
        ('{"cells": [{}]}', "nbs/01_ingest.ipynb cannot be read as a notebook"),
        (
            '{"cells": [{"id": "a", "cell_type": "markdown", "metadata": {}, "source": "", "x": 1}],'
            ' "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
            "nbs/01_ingest.ipynb is not valid: Additional properties are not allowed",
        ),
    ],
    ids=["not JSON", "no notebook", "not valid"],
)
def test_a_damaged_notebook_is_named(copy, text, said):
    (copy / "nbs" / "01_ingest.ipynb").write_text(text, encoding="utf-8")
    done = run_project("clean", "--check", root=copy)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_old_readme_is_found_and_rewritten(copy):
    readme = copy / "README.md"
    before = readme.read_bytes()
    readme.write_bytes(before + b"\nA sentence by hand.\n")
    (copy / "images").mkdir(exist_ok=True)
    (copy / "images" / "readme-old.png").write_bytes(b"")
    done = run_project("readme", "--check", root=copy)
    assert done.returncode == 1
    assert "README.md is not as `readme` writes it" in done.stderr
    assert "images/readme-old.png comes from nothing any more" in done.stderr

    assert run_project("readme", root=copy).returncode == 0
    assert readme.read_bytes() == before
    assert not (copy / "images" / "readme-old.png").exists()


@pytest.mark.slow
def test_a_new_address_in_the_settings_moves_every_link(copy):
    replace_in(copy / "settings.ini", "user = movrec", "user = alice")
    replace_in(copy / "settings.ini", "repo = movrec", "repo = films")
    replace_in(copy / "settings.ini", "branch = main", "branch = trunk")
    done = run_project("links", "--check", root=copy)
    assert done.returncode == 1
    assert "nbs/01_ingest.ipynb is not as `links` writes it" in done.stderr
    assert "CONTRIBUTING.md is not as `links` writes it" in done.stderr

    for command in ("links", "export", "readme", "exercises"):
        assert run_project(command, root=copy).returncode == 0
    files = [path for path in copy.rglob("*") if path.suffix in (".ipynb", ".md", ".py")]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"github(\.com)?/movrec/movrec|movrec\.github\.io", text), path
    badge = "https://colab.research.google.com/github/alice/films/blob/trunk/nbs/01_ingest.ipynb"
    assert badge in (copy / "nbs" / "01_ingest.ipynb").read_text(encoding="utf-8")
    assert "as `links` writes it" not in run_project("links", "--check", root=copy).stderr


def prose_of(path):
    """The prose of a notebook or a Markdown file, without its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = repository.read_notebook(path).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"^(```+|~~~+).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def dead_links(path):
    """The links of a file to files of the repository that are not there."""
    text, address = prose_of(path), settings()
    own = re.escape(address["git_url"]) + r"/(?:blob|tree|raw)/" + re.escape(address["branch"])
    targets = [ROOT / target for target in re.findall(own + r"/([^\s()\"'#?]+)", text)]
    targets += [ROOT / match[3] for match in links.COLAB_LINK.findall(text)]
    # Relative links: no scheme ("https:"), no place in the same page ("#").
    targets += [path.parent / to for to in re.findall(r"\]\((?![a-z]+:|#)([^)\s#]+)", text)]
    return [str(target) for target in targets if not target.exists()]


@pytest.mark.parametrize("path", links.linking_files(), ids=repository.name_of)
def test_every_link_leads_to_a_file_and_a_badge_to_its_notebook(path):
    assert dead_links(path) == []
    if path.suffix == ".ipynb" and path.name != "index.ipynb":
        badges = links.COLAB_LINK.findall(repository.read_notebook(path).cells[0].source)
        assert {match[3] for match in badges} <= {repository.name_of(path)}


def test_a_dead_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("[a](page.md) [b](nowhere.md) `[c](code.md)` [d](https://e.org) [f](#here)")
    assert dead_links(page) == [str(tmp_path / "nowhere.md")]


# ---- the tools on a notebook made for them -------------------------------------------------------


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A repository for notebooks that are made here, as the tools see it."""
    for tool in (readme, repository):
        monkeypatch.setattr(tool, "ROOT", tmp_path)
    return tmp_path


def prose(source):
    import nbformat

    return nbformat.v4.new_markdown_cell(source)


def code(source, *outputs):
    import nbformat

    return nbformat.v4.new_code_cell(source, outputs=list(outputs))


def stream(text, name="stdout"):
    import nbformat

    return nbformat.v4.new_output("stream", name=name, text=text)


def result(**data):
    import nbformat

    data = {key.replace("_", "/"): value for key, value in data.items()}
    return nbformat.v4.new_output("execute_result", data=data)


def write_notebook(root, name, *cells):
    import nbformat

    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)
    return path


def test_readme_shows_what_it_should_and_hides_the_rest(made):
    shutil.copytree(ROOT / "tools" / "templates", made / "tools" / "templates")
    table = (
        "<table><tr><th></th><th>title</th></tr><tr><th>0</th><td>Either|Or &amp; More</td></tr>"
        "</table>"
    )
    write_notebook(
        made,
        "index.ipynb",
        prose("# movrec"),
        prose("A line that breaks  \nhere."),
        code("#| hide\nimport sys", stream("hidden")),
        code("#| export\ndef exported(): ..."),
        code(
            "#| echo: false\n#| label: fig-map\n#| fig-alt: A map\ndraw()",
            result(image_png="iVBORw=="),
        ),
        code("first = 1\n\n\nprint(first)", stream("1\n"), stream("noise", name="stderr")),
        code("films.head(1)", result(text_plain="0  Either", text_html=table)),
        code("!movrec --help", stream("Usage\n")),
        code("#| output: false\nquiet()", stream("unseen")),
    )
    files = readme.render_readme()
    assert list(files) == ["README.md", "images/readme-map.png"]
    assert files["images/readme-map.png"] == b"\x89PNG"
    assert files["README.md"].decode() == (
        '<!-- Generated from index.ipynb by "make prepare": change it there. -->\n'
        "\n# movrec\n"
        "\nA line that breaks  \nhere.\n"
        "\n![A map](images/readme-map.png)\n"
        "\n```python\nfirst = 1\n\n\nprint(first)\n```\n"
        "\n```text\n1\n```\n"
        "\n```python\nfilms.head(1)\n```\n"
        "\n|  | title |\n| --- | --- |\n| 0 | Either\\|Or & More |\n"
        "\n```sh\nmovrec --help\n```\n"
        "\n```text\nUsage\n```\n"
        "\n```python\nquiet()\n```\n"
    )


@pytest.mark.parametrize(
    ("source", "timeout", "said"),
    [
        ("assert 1 + 1 == 2", 60, None),
        ("assert 1 + 1 == 3, 'wrong sum'", 60, "wrong sum"),
        ("import time; time.sleep(600)", 8, "not ready after 8 seconds"),
    ],
    ids=["good", "failing", "endless"],
)
def test_notebooks_are_executed(copy, source, timeout, said):
    for path in (copy / "nbs").rglob("*.ipynb"):
        path.unlink()
    write_notebook(copy, "nbs/00_made.ipynb", prose("# Title"), code(source))
    done = run_project("notebooks", f"--timeout={timeout}", "nbs/00_made.ipynb", root=copy)
    assert done.returncode == (1 if said else 0), done.stderr
    assert re.search(r"nbs/00_made.ipynb +\d+\.\d s", done.stdout)
    if said:
        assert said in done.stderr


# ---- the package ---------------------------------------------------------------------------------


def loaded_after(code):
    """The top-level modules that are loaded after `code` has run in a fresh interpreter."""
    code += "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_movrec_is_cheap():
    heavy = {"torch", "gensim", "lancedb", "pandas", "numpy", "sklearn", "nltk", "matplotlib"}
    assert not heavy & loaded_after("import movrec; dir(movrec); movrec.__version__")


@pytest.mark.parametrize(
    "module",
    [path.stem for path in MODULES if path.parent == ROOT / "movrec" and path.stem[0] != "_"],
)
def test_modules_load_what_is_heavy_only_when_it_is_used(module):
    heavy = {"torch", "gensim", "lancedb", "nltk", "matplotlib"}
    if module in {"ingest", "store", "cli"}:  # elsewhere an estimator is one of scikit-learn's
        heavy.add("sklearn")
    assert not heavy & loaded_after(f"import movrec.{module}")


def test_every_public_name_is_there():
    import movrec

    for name in movrec.__all__:
        assert getattr(movrec, name) is not None
        assert name in dir(movrec)
    with pytest.raises(AttributeError, match="no attribute 'read_films'"):
        _ = movrec.read_films


def test_the_names_for_editors_are_those_that_are_imported_lazily():
    tree = ast.parse((ROOT / "movrec" / "__init__.py").read_text(encoding="utf-8"))
    imported = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    import movrec

    assert imported == movrec._MODULE_OF


def test_the_version_is_the_same_everywhere():
    import movrec

    version = settings()["version"]
    assert movrec.__version__ == version
    assert version in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# ---- what is installed ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The source distribution and the wheel, built from a copy."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    ignore = shutil.ignore_patterns(
        ".*", "*.egg-info", "build", "dist", "__pycache__", "movrec-model", "_*", "results"
    )
    # The package's own __init__.py and _modidx.py begin with an underscore too.
    shutil.copytree(ROOT, source, ignore=ignore)
    shutil.copytree(
        ROOT / "movrec",
        source / "movrec",
        ignore=shutil.ignore_patterns("__pycache__"),
        dirs_exist_ok=True,
    )
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def test_the_distributions_hold_the_sample_and_its_readme(distributions):
    sdist, wheel = distributions
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    for name in (
        "movrec/data/movies_sample.csv",
        "movrec/data/README.md",
        "movrec/data/reader/config.json",
        "movrec/data/reader/model.safetensors",
        "movrec/data/reader/tokenizer.json",
        "movrec/_modidx.py",
    ):
        assert name in in_sdist
        assert name in in_wheel
    for path in MODULES:
        assert path.relative_to(ROOT).as_posix() in in_wheel
    assert "movrec/py.typed" in in_wheel
    for path in LESSONS + WORKINGS:
        assert f"movrec/lessons/{path.relative_to(ROOT).as_posix()}" in in_wheel
        shown = re.findall(r"\]\((?:\.\./)+(images/[\w.-]+)", path.read_text(encoding="utf-8"))
        assert {f"movrec/lessons/{picture}" for picture in shown} <= in_wheel
    assert "movrec/lessons/images/search-box-jupyterlab.png" in in_wheel
    assert {"settings.ini", "README.md", "LICENSE", "NOTICE"} <= in_sdist
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in in_wheel}
    packages = {name.partition("/")[0] for name in in_wheel}
    assert {name for name in packages if not name.endswith(".dist-info")} == {"movrec"}


def test_a_package_index_would_take_them(distributions):
    pytest.importorskip("twine")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, distributions)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def installed(wheel, folder, *more):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *more, str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_the_wheel_works_without_the_repository(distributions, tmp_path):
    installed(distributions[1], tmp_path, "--no-deps", "--target", str(tmp_path / "here"))
    code = "import movrec; print(movrec.__file__, len(movrec.load_sample()))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "here")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert str(tmp_path) in done.stdout and done.stdout.split()[-1] == "3997", done.stderr


@pytest.mark.slow
def test_the_wheel_in_an_environment_of_its_own(distributions, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    if subprocess.run([*pip, str(distributions[1])], cwd=tmp_path).returncode:
        pytest.skip("the packages cannot be had here")
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python.with_name("movrec")), "demo", "--model", str(tmp_path / "model")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "Toy Story 2" in done.stdout, done.stderr


def test_the_metadata_is_that_of_settings_ini(distributions):
    _, wheel = distributions
    expected = settings()
    with zipfile.ZipFile(wheel) as archive:
        folder = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(folder).decode("utf-8"))
        entry_points = archive.read(folder.replace("METADATA", "entry_points.txt")).decode()
    assert metadata["Name"] == expected["lib_name"]
    assert metadata["Version"] == expected["version"]
    assert metadata["Summary"] == expected["description"]
    assert metadata["Requires-Python"] == f">={expected['min_python']}"
    extras = {
        key.removesuffix("_requirements") for key in expected if key.endswith("_requirements")
    }
    assert set(metadata.get_all("Provides-Extra")) == extras
    assert extras == {
        "lab",
        "app",
        "map",
        "kaggle",
        "excel",
        "web",
        "ratings",
        "ray",
        "room",
        "segment",
        "sentence",
        "docs",
        "dev",
    }
    required = {
        re.split(r"[<>=]", line)[0]
        for line in metadata.get_all("Requires-Dist")
        if "extra ==" not in line
    }
    assert required == {re.split(r"[<>=]", name)[0] for name in expected["requirements"].split()}
    assert not required & {"nbdev", "execnb", "fastcore", "ghapi", "kagglehub", "jupyterlab"}
    assert "movrec = movrec.cli:main" in entry_points.replace("movrec=", "movrec = ")

    # A package index shows README.md away from the repository: no relative link may be left.
    text = metadata.get_payload()
    assert text.lstrip().startswith("<!-- Generated from index.ipynb")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        assert target.startswith(("https://", "#")), target


def test_the_constraints_fix_everything_that_settings_ini_asks_for():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    for pin in pins:
        assert re.fullmatch(r"[\w.-]+==[\w.]+", pin), pin  # no path, no local version
    pinned = {pin.split("==")[0].lower().replace("_", "-") for pin in pins}
    expected = settings()
    for key in ("requirements", "lab_requirements", "dev_requirements"):
        for requirement in expected[key].split():
            assert re.split(r"[<>=]", requirement)[0].lower() in pinned, requirement
    assert "torch==2.13.0" in pins


def test_binder_installs_what_there_is():
    script = ROOT / ".binder" / "postBuild"
    assert os.access(script, os.X_OK)
    (extras,) = re.findall(r'"\.\[(.+)\]"', script.read_text(encoding="utf-8"))
    assert all(f"{name}_requirements" in settings() for name in extras.split(","))
    minor = (ROOT / ".binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert settings()["min_python"] <= minor <= settings()["max_python"]


# ---- the sources ---------------------------------------------------------------------------------


def code_of(path):
    """The Python code of a module, or of all code cells of a notebook."""
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    import nbformat

    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    sources = [re.sub(r"^\s*[%!].*$", "pass", cell.source, flags=re.MULTILINE) for cell in cells]
    return "\n".join(sources)


def unsafe_places(code):
    """Where code evaluates or unpickles what may come from somebody else."""
    unsafe_modules = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve"}
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    if alias.name.partition(".")[0] in unsafe_modules:
                        yield node.lineno, f"import {alias.name}"
            # joblib shares work out: what it pickles comes from here and goes to processes of here.
            case ast.ImportFrom(module=str(module), names=names) if {one.name for one in names} <= {
                "effective_n_jobs",
                "ProcessPoolExecutor",
            }:
                pass
            case ast.ImportFrom(module=str(module)):
                if module.partition(".")[0] in unsafe_modules:
                    yield node.lineno, f"from {module} import"
            case ast.Call(func=ast.Name(id="eval" | "exec" as name)):
                yield node.lineno, f"{name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save")):
                yield node.lineno, "torch.load or torch.save"
            case ast.keyword(arg="allow_pickle", value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield value.lineno, "allow_pickle"


@pytest.mark.parametrize("path", MODULES + NOTEBOOKS, ids=lambda path: path.name)
def test_nothing_is_evaluated_or_unpickled(path):
    assert list(unsafe_places(code_of(path))) == []


def test_the_search_for_unsafe_code_finds_it():
    code = "import pickle\neval('1')\nnp.load(f, allow_pickle=True)\ntorch.load(f)\nmodel.eval()"
    assert [line for line, _ in sorted(unsafe_places(code))] == [1, 2, 3, 4]


def test_no_file_names_a_path_of_somebody_s_machine():
    folders = "home|root|Users|work|farm"
    machine = re.compile(rf"(?<![\w.:/~*-])/(?:{folders})/\w|[A-Z]:\\\\?Users\\\\?\w")
    suffixes = {".py", ".md", ".ini", ".toml", ".txt", ".ipynb", ".yml", ""}
    top = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    below = [
        path
        for folder in (
            "movrec",
            "nbs",
            "tests",
            "tools",
            "docs",
            "benchmarks",
            "workshop",
            ".ci",
            ".github",
        )
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and not {"__pycache__", ".ipynb_checkpoints", "results", "slides"} & set(path.parts)
    ]
    for path in top + below:
        if path.suffix in suffixes:
            found = machine.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(ROOT)}: {found[0]}"
