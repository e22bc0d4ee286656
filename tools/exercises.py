"""Read the exercises of the lessons, and make the workshop's exercise notebooks from them.

An exercise stands below the idea that it is about, in a markdown cell of its own:

    **1 (easy).** What is to be done. Put the answer into `top`.

    <details><summary>Hint</summary>      where to begin; may be left out; the second failed try prints it
    <details><summary>Check</summary>     a python block of asserts, each with a message
    <details><summary>Answer</summary>    python blocks that give the right answer, and a discussion

The numbers count up through the lesson.

`python tools/project.py exercises` writes the exercise notebooks; `notebooks` executes the lessons
with answers and checks in their places, and finds a check that is content without an answer.
"""

from __future__ import annotations

import copy
import json
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

STATEMENT = re.compile(r"\*\*(\d) \((easy|change a parameter|open)\)\.\*\* ")
FOLD = re.compile(r"<details>\s*<summary>(\w+)</summary>\n(.*?)\n</details>", re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)

ABOUT = """\
# Exercise notebook {number}

This is a whole lesson of movrec without its outputs, and its exercises stand where they belong, \
without their answers.

1. Run everything once: *Run*, *Run All Cells* (in Colab: *Runtime*, *Run all*). The checks of the \
exercises then say "Not yet", and rightly so.
2. Write your answer into the empty cell below an exercise, and run that cell.
3. Run the check below it. It says "Right.", or what is still missing; the second time it says where to \
begin.

The answers, with a discussion of each, are in the lesson: `{lesson}`."""

ANSWER_CELL = "# Exercise {number}: your answer.\n"

# It must run with the installed package alone, and an attendee may read it.
CHECK_CELL = """\
# Exercise {number}: run this cell to check your answer.
try:
{check}
except NameError as error:
    print(f"Not yet: {{error}}. Has the cell with your answer run?")
except Exception as error:
    kind = "" if isinstance(error, AssertionError) else f"{{type(error).__name__}}: "
    print(f"Not yet: {{kind}}{{error}}")
{hint}else:
    print("Right.")"""

# Behind what a check says: nothing at the first try, which many get right by reading what was wrong.
HINT_LINES = """\
    failed_{number} = globals().get("failed_{number}", 0) + 1
    if failed_{number} >= 2:
        print(
{text}
        )
"""

# When the lessons are tested: before the answer, the check has to fail.
UNANSWERED_CELL = """\
try:
{check}
except Exception:
    pass
else:
    raise AssertionError("the check of exercise {number} is content without an answer")"""


@dataclass(frozen=True)
class Exercise:
    """One exercise: its text, the code of its answer and of its check, and its hint, if it has one."""

    number: int
    statement: str
    answer: str
    check: str
    hint: str = ""


def read_exercise(source: str, place: str) -> Exercise:
    """The exercise that a markdown cell holds; SystemExit says what is wrong with it."""
    start = STATEMENT.match(source)
    folds = dict(FOLD.findall(source))
    names = set(folds) - {"Hint"}
    if not start or source.count("<details>") != len(folds) or names != {"Check", "Answer"}:
        raise SystemExit(
            f"{place} is no exercise: it begins with '**1 (easy).** ', '**2 (change a parameter).** ' "
            "or '**3 (open).** ' and has two folds, Check and Answer, and a Hint if it needs one "
            "(see docs/developing.md)."
        )
    code = {name: "\n".join(PYTHON.findall(folds[name])).strip() for name in names}
    for name, lines in code.items():
        if not lines:
            raise SystemExit(f"{place}: the fold {name} has no python block, write one.")
    statement = FOLD.sub(lambda fold: fold[0] * (fold[1] == "Hint"), source).strip()
    hint = " ".join(folds.get("Hint", "").split())
    return Exercise(int(start[1]), statement, code["Answer"], code["Check"], hint)


def exercises_of(notebook, name: str) -> dict[int, Exercise]:
    """The exercises of a notebook by the index of their cell: all cells with a fold."""
    found = {
        index: read_exercise(cell.source, f"{name}, cell {cell.id}")
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "markdown" and "<details" in cell.source
    }
    numbers = [exercise.number for exercise in found.values()]
    if numbers != list(range(1, len(found) + 1)):
        raise SystemExit(f"{name}: its exercises are numbered {numbers}, count up from 1.")
    return found


def with_answers(notebook, name: str):
    """The notebook as it is tested: behind each exercise its check, its answer, its check again."""
    from nbformat import v4

    exercises = exercises_of(notebook, name)
    answered = copy.deepcopy(notebook)
    answered.cells = []
    for index, cell in enumerate(notebook.cells):
        answered.cells.append(cell)
        if exercise := exercises.get(index):
            unanswered = fill_in(UNANSWERED_CELL, exercise)
            sources = {"unanswered": unanswered, "answer": exercise.answer, "check": exercise.check}
            for part, source in sources.items():
                cell_id = f"exercise-{exercise.number}-{part}"
                answered.cells.append(v4.new_code_cell(source, id=cell_id))
    return answered


def fill_in(cell: str, exercise: Exercise) -> str:
    """One of the cells above with an exercise's number and check in it."""
    check = textwrap.indent(exercise.check, "    ")
    return cell.format(number=exercise.number, check=check, hint=hint_lines(exercise))


def hint_lines(exercise: Exercise) -> str:
    """The lines of a check that give the hint at the second failed try; nothing without a hint."""
    if not exercise.hint:
        return ""
    lines = textwrap.wrap(f"A hint: {exercise.hint}", 80, drop_whitespace=False)
    quoted = "\n".join(f"            {json.dumps(line, ensure_ascii=False)}" for line in lines)
    return HINT_LINES.format(number=exercise.number, text=quoted)


def exercise_notebook(notebook, path: str, folder: str):
    """The exercise notebook of the lesson at `path`, to lie in `folder`.

    Both are seen from the repository's top. The code stays as it is; outputs, answers and what
    only the slides need go; each exercise gets an empty cell and a check.
    """
    from nbformat import v4

    name = Path(path).name
    to_the_top = "../" * len(Path(folder).parts)
    about = ABOUT.format(number=name.partition("_")[0], lesson=path)
    made = v4.new_notebook(metadata=copy.deepcopy(notebook.metadata))
    made.cells.append(v4.new_markdown_cell(about, id="about"))
    exercises = exercises_of(notebook, path)
    for index, cell in enumerate(notebook.cells):
        exercise = exercises.get(index)
        if cell.cell_type == "code":
            made.cells.append(v4.new_code_cell(cell.source, id=cell.id))
            continue
        source = exercise.statement if exercise else cell.source
        # The link to Colab opens the exercise notebook; pictures are as far away as the folder is deep.
        source = source.replace(f"/{path})", f"/{folder}/{name})")
        source = source.replace("](../", f"]({to_the_top}")
        made.cells.append(v4.new_markdown_cell(source, id=cell.id))
        if exercise:
            for part, source in (("answer", ANSWER_CELL), ("check", CHECK_CELL)):
                cell_id = f"exercise-{exercise.number}-{part}"
                made.cells.append(v4.new_code_cell(fill_in(source, exercise), id=cell_id))
    return made
