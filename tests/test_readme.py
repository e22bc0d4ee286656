"""Every command and every snippet of README.md is run, in the order in which a reader meets it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from conftest import REPOSITORY

from movrec.workings.judgements import load_known_items

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def commands(program):
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.split()[:1] == [program]]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_make_targets_exist():
    assert {shlex.split(line, comments=True)[1] for line in commands("make")} == {"demo", "test"}
    for target in ["demo", "test", "lab"]:
        subprocess.run(["make", "-n", target], cwd=REPOSITORY, check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which somebody has put a catalogue file, in Kaggle's schema."""
    folder = tmp_path_factory.mktemp("reader")
    sample = pd.read_csv(REPOSITORY / "movrec" / "data" / "movies_sample.csv")
    chosen = pd.concat([sample.head(300), sample[sample["title"] == "Vertical Limit"]])
    chosen.to_csv(folder / "movies_metadata.csv", index=False)
    return folder


@pytest.mark.slow
def test_the_shell_commands_run(folder):
    lines = commands("movrec")
    assert len(lines) >= 7
    for line in lines:
        arguments = shlex.split(line, comments=True)[1:]
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from movrec.cli import main; sys.exit(main())",
                *arguments,
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONUTF8": "1"},
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    assert (folder / "top10.csv").is_file()


def test_the_python_snippets_run(small_films, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The name in the package itself: another test may have imported it already.
    monkeypatch.setattr("movrec.load_sample", lambda: small_films)
    namespace = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    assert len(namespace["recommender"].films) == len(small_films)


def test_the_files_that_are_linked_exist():
    targets = re.findall(r"\]\(([^)#]+)", README)
    for target in targets:
        if not target.startswith("http"):
            assert (REPOSITORY / target).exists(), target


def test_the_figures_are_those_that_were_measured():
    result, tried = (
        json.loads((REPOSITORY / "benchmarks" / name).read_text(encoding="utf-8"))
        for name in ("result.json", "tried.json")
    )
    methods = result["recommendations"]["table"]
    films, texts, genres = (
        {row["what"]: row for row in tried["tried"][part]} for part in ("films", "texts", "genres")
    )
    own, first = (
        films["movrec's default, `balanced`"],
        films["the first version: no words, no reader"],
    )
    described = texts["movrec's default, `description`"]
    default_genres = genres["movrec's default"]["micro_f1"]
    recipes = [recipe["micro_f1"] for recipe in result["recommendations"]["recipes"].values()]
    section = README.partition("## How good is it?")[2].partition("\n## ")[0]
    expected = [
        f"{tried['films']:,} films",
        f"a series, {100 * own['collection_recall']:.0f} %",
        f"found {100 * first['collection_recall']:.0f} %",
        f"same people like, {100 * own['co_rating_recall']:.0f} %",
        f"chance finds {100 * methods['random']['co_rating_recall']:.0f} %",
        f"same genres {100 * methods['MiniLM + 0.5 genres']['co_rating_recall']:.0f} %",
        f"Of {len(load_known_items())} films",
        f"naming them, {100 * described['known_item_found']:.0f} %",
        f"{100 * described['known_item_first']:.0f} % are the first",
        f"words alone find {100 * texts['words alone']['known_item_found']:.0f} %",
        f"shorter plots, {100 * methods['movrec']['known_item_found']:.0f} %",
        f"BM25 finds {100 * methods['BM25, stemmed']['known_item_found']:.0f} %",
        f"micro-F1 of {default_genres:.2f}",
        f"reach {genres['TF-IDF and logistic regression']['micro_f1']:.2f}",
        f"Run again it gets {recipes[0]:.2f}",
        f"without that, {recipes[1]:.2f}",
    ]
    assert [words for words in expected if words not in section] == []
    assert films["genres and year alone"]["genre_jaccard"] > own["genre_jaccard"]
