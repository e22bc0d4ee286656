"""The workshop: exercise notebooks that know a right answer, and slides that open without a network.

That the answers in the lessons are right is seen where the lessons are executed, by
`tools/project.py notebooks`.
"""

import re
import subprocess
import sys
from pathlib import Path

import browser_helpers as helpers
import pytest

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import exercises  # noqa: E402

LESSONS = sorted((ROOT / "nbs").glob("[!_.]*.ipynb"))
FOLDER = ROOT / "workshop" / "exercises"

GOOD = """\
**1 (easy).** Put the answer to everything into `answer`.

<details><summary>Check</summary>

```python
assert answer == 42, f"{answer} is not the answer"
```

</details>

<details><summary>Answer</summary>

```python
answer = 6 * 7
```

It was known.

</details>"""


def notebook_of(*sources):
    cells = [nbformat.v4.new_markdown_cell("# A lesson", id="title")]
    cells += [nbformat.v4.new_markdown_cell(text, id=f"text-{i}") for i, text in enumerate(sources)]
    return nbformat.v4.new_notebook(cells=cells)


# ---- exercise notebooks --------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_an_exercise_notebook_is_its_lesson_without_outputs_and_answers(lesson):
    before = nbformat.read(lesson, as_version=4)
    made = nbformat.read(FOLDER / lesson.name, as_version=4)
    nbformat.validate(made)
    assert made.cells[0].source.startswith("# Exercise notebook ")
    assert f"`nbs/{lesson.name}`" in made.cells[0].source

    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code)
    lesson_code = [cell.source for cell in before.cells if cell.cell_type == "code"]
    added = re.compile(r"exercise-\d-(answer|check)")
    assert [cell.source for cell in code if not added.fullmatch(cell.id)] == lesson_code

    text = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    folds = re.findall(r"<details>\s*<summary>(\w+)", text)
    assert set(folds) <= {"Hint"} and text.count("<details") == len(folds)
    assert re.search(rf"/blob/[\w./-]+/workshop/exercises/{lesson.name}\)", text)
    for picture in re.findall(r"\]\((\.\./[^)]+)\)", text):
        assert (FOLDER / picture).exists()
    for other in re.findall(r"\]\((\w+\.ipynb)[)#]", text):
        assert (FOLDER / other).exists()

    found = exercises.exercises_of(before, lesson.name)
    assert len(found) >= (1 if lesson == LESSONS[0] else 2)
    for number, exercise in enumerate(found.values(), start=1):
        assert exercise.answer not in "\n".join(cell.source for cell in made.cells)
        below = [cell.id for cell in made.cells].index(f"exercise-{number}-answer")
        assert made.cells[below - 1].source.startswith(f"**{number} (")
        assert made.cells[below].source == f"# Exercise {number}: your answer.\n"
        assert 'print("Right.")' in made.cells[below + 1].source


def test_the_same_lesson_gives_the_same_notebook():
    lesson = notebook_of("## Exercises", GOOD)
    first, second = (
        exercises.exercise_notebook(lesson, "nbs/00_made.ipynb", "workshop/exercises")
        for _ in range(2)
    )
    assert first == second
    assert [cell.id for cell in first.cells] == [
        "about",
        "title",
        "text-0",
        "text-1",
        "exercise-1-answer",
        "exercise-1-check",
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "Not yet: name 'answer' is not defined. Has the cell with your answer run?"),
        ("answer = 41", "Not yet: 41 is not the answer"),
        (
            "class Odd:\n    def __eq__(self, other): return len(1)\nanswer = Odd()",
            "TypeError: object",
        ),
        ("answer = 42", "Right."),
    ],
    ids=["none", "wrong", "odd", "right"],
)
def test_a_check_prints_one_line_and_never_a_traceback(answer, said, capsys):
    exercise = exercises.read_exercise(GOOD, "here")
    namespace = {}
    exec(answer, namespace)
    exec(exercises.fill_in(exercises.CHECK_CELL, exercise), namespace)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("**1 (easy).** ", "Exercise 1. ", "text-0 is no exercise: it begins with"),
        ("<summary>Check", "<summary>Test", "has two folds, Check and Answer"),
        ("```python\nanswer = 6 * 7\n```", "42", "the fold Answer has no python block"),
    ],
    ids=["no number", "no check", "no code"],
)
def test_an_exercise_that_cannot_be_read_is_named(old, new, said):
    assert old in GOOD
    with pytest.raises(SystemExit, match="lesson.ipynb") as error:
        exercises.exercises_of(notebook_of(GOOD.replace(old, new)), "lesson.ipynb")
    assert said in str(error.value)


def test_exercises_are_numbered_in_the_order_in_which_they_stand():
    with pytest.raises(SystemExit, match=r"its exercises are numbered \[1, 1\], count up from 1"):
        exercises.exercises_of(notebook_of(GOOD, "Between them.", GOOD), "lesson.ipynb")


def test_a_hint_reaches_the_attendee_and_the_answer_does_not():
    hint = "<details><summary>Hint</summary>\n\nSix times seven.\n\n</details>\n\n"
    text = GOOD.replace("<details><summary>Check", hint + "<details><summary>Check")
    exercise = exercises.read_exercise(text, "here")
    assert exercise == exercises.read_exercise(GOOD, "here").__class__(
        1, exercise.statement, "answer = 6 * 7", exercise.check, "Six times seven."
    )
    assert hint.strip() in exercise.statement and "known" not in exercise.statement
    second = hint.replace("Hint", "Second hint")
    with pytest.raises(SystemExit, match="and a Hint if it needs one"):
        exercises.read_exercise(text + second, "here")


def test_the_second_failed_try_gets_the_hint(capsys):
    hint = '<details><summary>Hint</summary>\n\nSix times {seven} "is"\nit. %s\n\n</details>\n\n'
    text = GOOD.replace(
        "<details><summary>Check", hint % ("Long " * 40) + "<details><summary>Check"
    )
    check = exercises.fill_in(exercises.CHECK_CELL, exercises.read_exercise(text, "here"))
    namespace, said = {}, []
    for answer in (None, 41, 41, 40, 42):  # before there is an answer nobody has tried
        namespace |= {} if answer is None else {"answer": answer}
        exec(check, namespace)
        said.append(capsys.readouterr().out)
    assert [text.count('A hint: Six times {seven} "is" it. Long Long') for text in said] == [
        0,
        0,
        1,
        1,
        0,
    ]
    assert all(len(line) <= 100 for line in check.splitlines())


def test_a_check_that_is_content_without_an_answer_fails_the_lesson():
    useless = exercises.read_exercise(GOOD.replace("answer == 42", "True"), "here")
    with pytest.raises(AssertionError, match="exercise 1 is content without an answer"):
        exec(exercises.fill_in(exercises.UNANSWERED_CELL, useless), {})


INGEST = ROOT / "nbs" / "01_ingest.ipynb"
WRONG_ANSWERS = {  # to its exercises, and what is missing in them
    1: (
        'def names_in(cell):\n    return [entry["name"] for entry in eval(cell)]',
        "names_in has run what stands in a cell",
    ),
    2: ("tables, seconds = {10: films}, {10: 1.0}", "tables has no table for a chunk_size of 1000"),
    3: ("def twins(films):\n    return films.head(0)", "twins has to return these four rows"),
}


@pytest.mark.slow
def test_an_attendee_is_told_whether_an_answer_is_right(tmp_path):
    """No answer, a wrong one and the lesson's own, in the notebook that an attendee gets."""
    nbclient = pytest.importorskip("nbclient")
    lesson = exercises.exercises_of(nbformat.read(INGEST, as_version=4), INGEST.name)
    notebook = nbformat.read(FOLDER / INGEST.name, as_version=4)
    cells, told = [], {}
    for cell in notebook.cells:
        cells.append(cell)
        if match := re.fullmatch(r"exercise-(\d)-check", cell.id):
            number = int(match[1])
            told[number] = [cell]
            for answer in (WRONG_ANSWERS[number][0], list(lesson.values())[number - 1].answer):
                told[number].append(nbformat.v4.new_code_cell(cell.source))
                cells += [nbformat.v4.new_code_cell(answer), told[number][-1]]
    notebook.cells = cells
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()

    assert set(told) == set(WRONG_ANSWERS)
    for number, checks in told.items():
        none, wrong, right = ("".join(out.text for out in check.outputs) for check in checks)
        assert none.startswith("Not yet: ") and "Has the cell with your answer run?" in none
        assert wrong.startswith("Not yet: ") and WRONG_ANSWERS[number][1] in wrong
        assert right == "Right.\n"
    assert [path.name for path in tmp_path.iterdir()] == []


# ---- slides --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """The folder with all decks."""
    pytest.importorskip("sphinx_revealjs")
    folder = tmp_path_factory.mktemp("slides")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "slides.py"), str(folder)],
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_of_a_text_one_sentence_stands_on_the_slide():
    from slides import spoken

    said = spoken(f"## Why?\n\nSo it is. {'And much more is said. ' * 9}\n\n* a point")
    assert said.startswith('## Why?\n\nSo it is.\n\n* a point\n\n<aside class="notes">')
    task = "**1 (easy).** " + "Do this. " * 40
    assert spoken(task) == task


def test_a_deck_loads_nothing_from_elsewhere(slides):
    from bs4 import BeautifulSoup

    decks = sorted(slides.glob("*.slides.html"))
    assert [deck.name for deck in decks] == [f"{path.stem}.slides.html" for path in LESSONS]
    listed = BeautifulSoup((slides / "index.html").read_text(encoding="utf-8"), "html.parser")
    assert [link["href"] for link in listed.find_all("a")] == [deck.name for deck in decks]
    for deck in decks:
        page = BeautifulSoup(deck.read_text(encoding="utf-8"), "html.parser")
        loaded = [tag["src"] for tag in page.find_all(src=True)]
        loaded += [tag["href"] for tag in page.find_all("link", href=True)]
        for address in loaded:
            assert address.startswith("data:") or (slides / address).is_file(), address
        for styles in page.find_all("style"):
            for address in re.findall(r"url\([\"']?([^\"')]+)", styles.text):
                assert address.startswith("data:"), address
        for link in page.find_all("a", href=re.compile(r"^\d\d_")):
            assert (slides / link["href"].partition("#")[0]).is_file(), link["href"]
        assert not page.find_all("details"), "an answer is on the slides"
        number = sum(not slide.find("section") for slide in page.find_all("section"))
        least = 5 if deck.name.startswith("00_") else 12  # the first lesson is a short one
        assert least <= number <= 28, f"{deck.name} has {number} slides"


LOOK = """() => {
    const slide = Reveal.getCurrentSlide(), at = Reveal.getIndices();
    return [`slide ${at.h + 1}.${at.v + 1}`, Number(slide.style.zoom), slide.innerText.trim().length,
            slide.querySelectorAll("img").length, Reveal.isLastSlide()];
}"""


@pytest.mark.slow
@pytest.mark.skipif(helpers.find_chromium() is None, reason="this test needs Chromium")
def test_the_decks_open_from_disk_and_every_slide_fits(slides):
    pytest.importorskip("playwright.sync_api")
    with helpers.chromium() as browser:
        for deck in sorted(slides.glob("*.slides.html")):
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            errors = helpers.console_errors(page)
            requests = []
            page.on("request", lambda request, found=requests: found.append(request.url))
            page.goto(deck.as_uri())
            page.wait_for_function("Reveal.isReady()")
            places = set()
            while True:
                place, size, words, pictures, is_last = page.evaluate(LOOK)
                assert size >= 0.6, f"{deck.name}, {place} is too full: it is shown at {size:.0%}"
                assert words or pictures, f"{deck.name}, {place} is empty"
                places.add(place)
                if is_last:
                    break
                page.evaluate("Reveal.next()")  # which may bring no slide, but the rest of one
            assert len(places) == page.evaluate("Reveal.getTotalSlides()")
            assert errors == []
            assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
            page.close()
