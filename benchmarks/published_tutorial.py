"""The published tutorial's recipe, faults included: what movrec is measured against.

Written anew from its description. Nothing here is part of the package, and nothing here should be
copied: the genre names are in the text that the vectors are made of, `train` is called in a loop, a
logit is compared with a probability's threshold, and each query builds a table of all films.
"""

import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

CHUNK = 1000
EPOCHS = 20
CALLS_OF_TRAIN = 20
VECTOR_SIZE = 100
NETWORK_EPOCHS = 50


class PublishedTutorial:
    """Doc2Vec on plot, genres and title; a network for the genres; LanceDB.

    Parameters
    ----------
    films : DataFrame
        A film table.
    folder : path
        Where the LanceDB table is written.
    genres_in_text : bool, default True
        As published. False takes the genre names out of the text, and nothing else changes.

    Attributes
    ----------
    vectors : ndarray of shape (n_films, 100)
        The document vectors.
    micro_f1 : float
        Of the network on the held-out fifth, at its own threshold.
    seconds : dict of str to float
        Seconds by stage.
    """

    def __init__(
        self, films: pd.DataFrame, folder: str | Path, *, genres_in_text: bool = True
    ) -> None:
        self.films = films
        self.seconds: dict[str, float] = {}
        start = time.perf_counter()
        self.vectors = self._train_doc2vec(genres_in_text)
        self.seconds["doc2vec"] = time.perf_counter() - start
        start = time.perf_counter()
        self._train_network()
        self.seconds["network"] = time.perf_counter() - start
        start = time.perf_counter()
        self._write_table(folder)
        self.seconds["table"] = time.perf_counter() - start

    def _documents(self, genres_in_text: bool) -> list[list[str]]:
        from nltk.tokenize import word_tokenize

        documents = []
        for start in range(0, len(self.films), CHUNK):
            for film in self.films.iloc[start : start + CHUNK].itertuples():
                genres = f"Genres: {', '.join(film.genres)}\n" if genres_in_text else ""
                text = f"Overview: {film.overview}\n{genres}Title: {film.title}"
                # preserve_line: sentences need NLTK's data, which has to be downloaded.
                documents.append(word_tokenize(text.lower(), preserve_line=True))
        return documents

    def _train_doc2vec(self, genres_in_text: bool) -> np.ndarray:
        from gensim.models.doc2vec import Doc2Vec, TaggedDocument

        documents = [
            TaggedDocument(words, [str(row)])
            for row, words in enumerate(self._documents(genres_in_text))
        ]
        model = Doc2Vec(vector_size=VECTOR_SIZE, min_count=2, epochs=EPOCHS)
        model.build_vocab(documents)
        for _ in range(CALLS_OF_TRAIN):
            model.train(documents, total_examples=model.corpus_count, epochs=model.epochs)
        return np.stack([model.dv[str(row)] for row in range(len(documents))])

    def _train_network(self) -> None:
        import torch
        from sklearn.metrics import f1_score
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import MultiLabelBinarizer
        from torch import nn

        # Kind to the recipe: on few cores torch's threads mostly wait for one another, at no gain.
        torch.set_num_threads(1)
        torch.manual_seed(42)
        self.binarizer = MultiLabelBinarizer()
        labels = self.binarizer.fit_transform(self.films["genres"]).astype(np.float32)
        split = train_test_split(self.vectors, labels, test_size=0.2, random_state=42)
        train_x, test_x, train_y, test_y = (torch.tensor(part) for part in split)
        layers, width = [], VECTOR_SIZE
        for units in (512, 256, 128):
            layers += [nn.Linear(width, units), nn.BatchNorm1d(units), nn.ReLU(), nn.Dropout(0.2)]
            width = units
        self.network = nn.Sequential(*layers, nn.Linear(width, labels.shape[1]))
        optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        loss_function = nn.BCEWithLogitsLoss()
        batches = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(train_x, train_y),
            batch_size=64,
            shuffle=True,
            # A last batch of one film has no variance for BatchNorm.
            drop_last=len(train_x) % 64 == 1,
        )
        for _ in range(NETWORK_EPOCHS):
            self.network.train()
            for x, y in batches:
                optimizer.zero_grad()
                loss_function(self.network(x), y).backward()
                optimizer.step()
        self.network.eval()
        with torch.no_grad():
            predicted = self.network(test_x).numpy() > 0.1  # logits
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.micro_f1 = float(f1_score(test_y.numpy(), predicted, average="micro"))

    def _write_table(self, folder: str | Path) -> None:
        os.environ.setdefault("LANCEDB_LOG", "error")
        import lancedb

        self.rows = [
            {"title": film.title, "genres": ", ".join(film.genres), "vector": vector.tolist()}
            for film, vector in zip(self.films.itertuples(), self.vectors)
        ]
        self.table = lancedb.connect(str(folder)).create_table(
            "films", data=self.rows, mode="overwrite"
        )

    def get_recommendations(self, title: str) -> list[str]:
        """Return ten titles, the film's own among them."""
        import torch

        frame = pd.DataFrame(self.rows)
        vector = np.array(frame[frame["title"] == title].iloc[0]["vector"], dtype=np.float32)
        with torch.no_grad():
            logits = self.network(torch.tensor(vector[np.newaxis]))[0].numpy()
        genres = [
            str(genre) for genre, logit in zip(self.binarizer.classes_, logits) if logit >= 0.001
        ]
        query = self.table.search(vector).metric("cosine").limit(10)
        # As published, but for the quotes: a genre with one in it would break the query.
        clauses = ["genres LIKE '%" + genre.replace("'", "''") + "%'" for genre in genres]
        if clauses:
            query = query.where(" OR ".join(clauses), prefilter=True)
        return [row["title"] for row in query.to_list()]
