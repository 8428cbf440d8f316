"""sentence-transformers: its evaluator and its `similarity` on vectors that have been encoded already."""

import csv
import json
import pathlib
import shutil
import sys

# This file has the package's name, and its folder comes first on the path.
sys.path.append(sys.path.pop(0))
import numpy
import scipy.sparse
import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.evaluation import SparseInformationRetrievalEvaluator

import ranking


def encode(program, model, data, target, side, name, *fields):
    """The vectors of one side as the kind of tensor that a SparseEncoder returns."""
    output = target / f"{name}.npz"
    arguments = ["--model", model, "--as", side, "--format", "csr-npz", "--quiet", "--force"]
    arguments += [flag for field in fields for flag in ("--text-field", field)]
    ranking.call(program, "encode", "--input", f"{data}/{name}.jsonl", "--output", output, *arguments)
    matrix = scipy.sparse.load_npz(output).tocoo()
    places = numpy.vstack([matrix.row, matrix.col])
    return torch.sparse_coo_tensor(places, matrix.data, matrix.shape, check_invariants=True).coalesce()


class Encoded(SparseEncoder):
    """A model of no layers that knows the vectors of certain queries."""

    def __init__(self, texts, vectors):
        super().__init__(modules=[torch.nn.Identity()], device="cpu", similarity_fn_name="dot")
        self.place = {text: place for place, text in enumerate(texts)}
        self.vectors = vectors

    def encode_query(self, inputs, **_):
        return self.vectors.index_select(0, torch.tensor([self.place[text] for text in inputs]))


def read_relevant(data):
    relevant = {}
    with open(f"{data}/qrels/test.tsv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                relevant.setdefault(row["query-id"], set()).add(row["corpus-id"])
    return relevant


def evaluate(exact, documents, queries, relevant, place):
    """The evaluator's figures, and for each query (document id, score) pairs.

    It leaves out queries with no document that is relevant to them.
    """
    evaluator = SparseInformationRetrievalEvaluator(
        queries=dict(zip(exact.query_ids, exact.texts)),
        # It wants the texts' number and ids only, since their vectors are given.
        corpus=dict.fromkeys(exact.ids, ""),
        relevant_docs=relevant,
        write_predictions=True,
        write_csv=False,
    )
    shutil.rmtree(place, ignore_errors=True)
    figures = evaluator(Encoded(exact.texts, queries), output_path=str(place), corpus_embeddings=documents)
    (predictions,) = place.iterdir()
    hits = {}
    for line in predictions.read_text(encoding="utf-8").rstrip("\n").split("\n"):
        row = json.loads(line)
        hits[row["query_id"]] = [(hit["corpus_id"], hit["score"]) for hit in row["results"]]
    if list(hits) != exact.query_ids:
        sys.exit(f"sentence-transformers: {len(hits)} of {len(exact.query_ids)} queries have a relevant document")
    return figures, list(hits.values())


def main(program, data, model, place):
    place = pathlib.Path(place)
    exact = ranking.Exact(program, model, data, place)
    documents = encode(program, model, data, place, "document", "corpus", "title", "text")
    queries = encode(program, model, data, place, "query", "queries", "text")
    figures, hits = evaluate(exact, documents, queries, read_relevant(data), place / "predictions")
    ranking.compare("sentence-transformers", exact, hits)
    for name in ("dot_ndcg@10", "dot_mrr@10", "query_active_dims", "corpus_active_dims"):
        print(f"  {name} {figures[name]:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
