"""Keep the links: to the repository's own address, from the Colab badges, to files that are there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from repository import ROOT, name_of, notebook_paths, read_notebook, read_settings

# A link that opens a notebook in Colab: owner, repository, branch, path.
COLAB_LINK = re.compile(
    r"https://colab\.research\.google\.com/github/"
    r"([\w.-]+)/([\w.-]+)/blob/([^\s()\"'\\]+?)/((?:nbs/)?(?:workings/)?[\w.-]+\.ipynb)"
)


def linking_files() -> list[Path]:
    """The files that are written by hand and may name the repository's address."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("movrec/data/*.md"), *ROOT.glob("docs/*.md")]
    return notebook_paths() + sorted(set(texts) - {ROOT / "README.md"})


def move_address(text: str, old: tuple[str, ...], new: tuple[str, ...]) -> str:
    """`text` with the links to one address (owner, repository, branch) turned into another's."""
    (user, repo, branch), (new_user, new_repo, new_branch) = old, new
    place = rf"((?:github\.com|githubusercontent\.com|google\.com/github)/){user}/{repo}"
    in_branch = rf"{place}(/(?:(?:blob|tree|raw)/)?){branch}/"
    text = re.sub(in_branch, rf"\g<1>{new_user}/{new_repo}\g<2>{new_branch}/", text)
    text = re.sub(rf"{place}(?![\w-])", rf"\g<1>{new_user}/{new_repo}", text)
    return text.replace(f"//{user}.github.io/{repo}", f"//{new_user}.github.io/{new_repo}")


def write_links() -> None:
    """Rewrite the links to an old address of the repository to the one in settings.ini.

    The Colab badges tell which addresses are old ones: a badge always opens a notebook of ours.
    """
    settings = read_settings()
    current = (settings["user"], settings["repo"], settings["branch"])
    texts = {path: path.read_text(encoding="utf-8") for path in linking_files()}
    linked = {match[:3] for text in texts.values() for match in COLAB_LINK.findall(text)}
    for path, text in texts.items():
        moved = text
        for old in linked - {current}:
            moved = move_address(moved, old, current)
        if moved != text:
            path.write_text(moved, encoding="utf-8", newline="\n")


def prose_of(path: Path) -> str:
    """The prose of a notebook or a Markdown file, without its code."""
    if path.suffix == ".ipynb":
        cells = [cell for cell in read_notebook(path).cells if cell.cell_type == "markdown"]
        text = "\n\n".join(cell.source for cell in cells)
    else:
        text = path.read_text(encoding="utf-8")
    text = re.sub(r"^(```+|~~~+).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def link_problems() -> list[str]:
    """Badges that open another notebook, and links to files that are not there."""
    settings = read_settings()
    own = re.escape(settings["git_url"]) + r"/(?:blob|tree|raw)/" + re.escape(settings["branch"])
    problems = []
    for path in linking_files():
        text = prose_of(path)
        badges = (
            COLAB_LINK.findall(read_notebook(path).cells[0].source) if is_notebook(path) else []
        )
        problems += [
            f"the Colab badge of {name_of(path)} opens {target}"
            for *_, target in badges
            if target != name_of(path)
        ]
        targets = [ROOT / target for target in re.findall(own + r"/([^\s()\"'#?]+)", text)]
        targets += [ROOT / match[3] for match in COLAB_LINK.findall(text)]
        # Relative links: no scheme ("https:"), no place in the same page ("#").
        targets += [path.parent / to for to in re.findall(r"\]\((?![a-z]+:|#)([^)\s#]+)", text)]
        problems += [
            f"{name_of(path)} links to {target}, which does not exist"
            for target in sorted({os.path.relpath(target, ROOT) for target in targets})
            if not (ROOT / target).exists()
        ]
    return problems


def is_notebook(path: Path) -> bool:
    """Whether a file is a notebook with cells in it."""
    return path.suffix == ".ipynb" and bool(read_notebook(path).cells)
