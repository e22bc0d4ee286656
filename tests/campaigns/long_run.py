"""5,000 questions of every kind to one open model: do memory, open files and threads stay as they are?

Counted are the questions that end in something else than an answer or one of movrec's errors, the files that are there
afterwards and were not after the first fifty questions, and the threads and the memory that the second half takes: LanceDB
has a pool of threads, which fills up the sooner, the busier the machine is.
"""

import gc
import os
import random
import sys
from pathlib import Path

from common import Tally, run, small_model
from sizes import in_time

WARM = 50  # questions, after which everything is loaded
MOST_GROWTH = 60  # MB in the second half; what is remembered of texts fills up in the first


def memory():
    """What this process holds in memory, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def held():
    """Files and threads of this process: what each file is, and how many threads there are."""
    gc.collect()
    files = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            files.append(os.readlink(f"/proc/self/fd/{entry}"))
        except OSError:  # the one that the folder itself was read with
            continue
    return len(files), len(os.listdir("/proc/self/task"))


def question(recommender, number, chance):
    """Ask the question of a number: by film, text, words or taste, with filters and without."""
    films = recommender.films
    ids, titles = films["id"], films["title"]
    film = int(ids[chance.randrange(len(ids))])
    title = titles[chance.randrange(len(titles))]
    words = " ".join(films["overview"][chance.randrange(len(films))] for _ in range(2)).split()
    text = " ".join(chance.sample(words, min(len(words), 60)))
    kind = number % 10
    if kind < 2:
        recommender.recommend(film, years=(1950, 2015), exclude_genres=["Horror"])
    elif kind == 2:
        recommender.recommend(title, more=["family"], diversity=0.3, weights="theme")
    elif kind < 5:
        recommender.recommend_for_text(text, title=title if number % 2 else None)
    elif kind == 5:
        recommender.predict_genres(text)
    elif kind == 6:
        recommender.suggest(title[: chance.randrange(1, 9)])
    elif kind == 7:
        recommender.find(title[:-1] + "x")
    elif kind == 8:
        recommender.search(" ".join(chance.sample(words, 3)))
    else:
        answer = recommender.recommend([film, int(ids[0])], language="en", min_vote_count=10)
        recommender.explain(film, int(answer["id"].iloc[0]))


def ask(recommender, n, tally, show=lambda line: None):
    """Ask so many questions; the memory, files and threads after each tenth of them."""
    from movrec import MovrecError

    chance, seen = random.Random(0), []
    for number in in_time(range(WARM + n)):
        try:
            question(recommender, number, chance)
            tally.add("an answer")
        except MovrecError as error:
            tally.add(type(error).__name__)
        except BaseException as error:
            tally.add(f"FAULT {type(error).__name__}", f"question {number}: {error}")
        asked = number + 1 - WARM
        if asked >= 0 and asked % max(1, n // 10) == 0:
            seen.append((memory(), *held()))
            show(f"    {asked:6,}: {seen[-1][0]:,} MB, {seen[-1][1]} files, {seen[-1][2]} threads")
    return seen


def main(share=1.0):
    from movrec import Recommender

    if sys.platform != "linux":
        sys.exit("This campaign needs Linux: it looks into /proc.")
    tally = Tally()
    with small_model() as model:
        seen = ask(Recommender.open(model), round(5_000 * share), tally, print)
    files, threads = (seen[0][1], seen[-1][1]), (seen[len(seen) // 2][2], seen[-1][2])
    for what, (first, last) in {"files": files, "threads": threads}.items():
        if last > first + 2:
            tally.add(f"more {what}", f"{first} {what} became {last}")
    half = seen[len(seen) // 2][0]
    if seen[-1][0] > half + MOST_GROWTH:
        tally.add("more memory", f"{half} MB became {seen[-1][0]} MB in the second half")
    return tally.show()


if __name__ == "__main__":
    run(main, __doc__)
