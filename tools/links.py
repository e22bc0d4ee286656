"""Keep the links to the repository's own address: links to Colab, files on GitHub, the docs site."""

from __future__ import annotations

import re
from pathlib import Path

from repository import ROOT, notebook_paths, read_settings

# A link that opens a notebook in Colab: owner, repository, branch, path.
COLAB_LINK = re.compile(
    r"https://colab\.research\.google\.com/github/"
    r"([\w.-]+)/([\w.-]+)/blob/([^\s()\"'\\]+?)/((?:nbs/)?(?:workings/)?[\w.-]+\.ipynb)"
)


def linking_files() -> list[Path]:
    """The files that are written by hand and may name the repository's address."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("movrec/data/*.md"), *ROOT.glob("docs/*.md")]
    return notebook_paths() + sorted(set(texts) - {ROOT / "README.md"})


def write_links() -> None:
    """Rewrite the links to an old address of the repository to the one in settings.ini.

    The links to Colab tell which addresses are old ones: such a link always opens a notebook of ours.
    """
    settings = read_settings()
    new = (settings["user"], settings["repo"], settings["branch"])
    texts = {path: path.read_text(encoding="utf-8") for path in linking_files()}
    olds = {match[:3] for text in texts.values() for match in COLAB_LINK.findall(text)} - {new}
    for path, text in texts.items():
        moved = text
        for old in olds:
            for pattern, target in zip(forms_of(*old), forms_of(*new)):
                # A pattern ends where a name does: movrec/movrec is not movrec/movrec-data.
                moved = re.sub(re.escape(pattern) + r"(?![\w-])", target, moved)
        if moved != text:
            path.write_text(moved, encoding="utf-8", newline="\n")


def forms_of(user: str, repo: str, branch: str) -> list[str]:
    """The ways to name the repository's address in a link, those with the branch first."""
    hosts = ["github.com", "raw.githubusercontent.com", "google.com/github", "mybinder.org/v2/gh"]
    places = [f"{host}/{user}/{repo}" for host in hosts]
    kinds = ["/", "/blob/", "/tree/", "/raw/"]
    in_branch = [f"{place}{kind}{branch}" for place in places for kind in kinds]
    return [*in_branch, *places, f"//{user}.github.io/{repo}"]
