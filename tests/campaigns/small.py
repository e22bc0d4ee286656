"""What the campaigns share: a model of a few dozen films in seconds, and what came of a try."""

import hashlib
import json
import os
import warnings
from pathlib import Path

os.environ.setdefault("LANCE_LOG", "error")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
warnings.simplefilter("ignore")

import movrec
from movrec.workings.folders import load_part, part_kind, save_part
from movrec.workings.manifest import MANIFEST
from movrec.workings.terms import TermFeatures

SAMPLE = movrec.load_sample()
PLOT = "A dog and a detective find a family in space with a friend."


def films(first, last):
    """Some films of the sample."""
    return SAMPLE.iloc[first:last].reset_index(drop=True)


def build(path, first=0, last=40, seed=1, **how):
    """Build a model that is small in every respect."""
    return movrec.Recommender.build(
        films(first, last),
        path,
        embedder=movrec.Doc2VecEmbedder(
            8, epochs=2, min_count=1, workers=1, random_state=seed, progress=False
        ),
        classifier=movrec.GenreClassifier(
            hidden=(8,), epochs=2, networks=1, random_state=seed, device="cpu", progress=False
        ),
        terms=TermFeatures(8),
        progress=False,
        **how,
    )


def asked(recommender):
    """Ask an open model a question of each kind; the answers."""
    first = int(recommender.films["id"].iloc[0])
    return [
        recommender.recommend(first, k=5)["id"].tolist(),
        recommender.recommend_for_text(PLOT, k=5)["id"].tolist(),
        recommender.predict_genres(PLOT)["probability"].round(4).tolist(),
        recommender.search("family", k=3)["id"].tolist(),
    ]


def is_one_sentence(error):
    """Is this an error of movrec's own, told in one line that a terminal can show?"""
    text = str(error)
    return isinstance(error, movrec.MovrecError) and text.isprintable() and 0 < len(text) < 1000


def with_fitting_checksums(folder):
    """Write a manifest that fits what lies in the folder now, as somebody with bad intentions would."""
    path = Path(folder) / MANIFEST
    manifest = json.loads(path.read_text())
    for name, entry in manifest["files"].items():
        content = (Path(folder) / name).read_bytes()
        entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    write_json_manifest(path, manifest)


def write_json_manifest(path, manifest):
    """Write a manifest with its own checksum, whatever else it says."""
    manifest.pop("sha256", None)
    digest = hashlib.sha256(json.dumps(manifest, indent=2).encode()).hexdigest()
    path.write_text(json.dumps({**manifest, "sha256": digest}, indent=2) + "\n")


def change_part(folder, change):
    """Change a saved part: `change(description, arrays)` does it; its checksums fit again."""
    kind = part_kind(folder)
    description, arrays = load_part(folder, kind)
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(description, arrays)
    save_part(folder, kind, description, arrays)
