"""lsr-benchmark's folder of vectors, read by its own loader and ranked by exhaustive search."""

import pathlib
import sys

import numpy
from lsr_benchmark.irds import embeddings

import ranking


def encode(program, model, data, place):
    """Writes both sides as `doc/doc-embeddings.npz` and `query/query-embeddings.npz`."""
    for side, kind, name, fields in (
        ("document", "doc", "corpus", ["title", "text"]),
        ("query", "query", "queries", ["text"]),
    ):
        (place / kind).mkdir(exist_ok=True)
        output = place / kind / f"{kind}-embeddings.npz"
        flags = [flag for field in fields for flag in ("--text-field", field)]
        arguments = ["--model", model, "--as", side, "--quiet", "--force", *flags]
        ranking.call(
            program, "encode", "--input", f"{data}/{name}.jsonl", "--format", "lsr-benchmark", "--output", output, *arguments
        )


def dense(rows, size):
    """Ids, and a matrix of f64; tokens are strings of digits."""
    matrix = numpy.zeros((len(rows), size))
    for row, (_, tokens, values) in enumerate(rows):
        matrix[row, tokens.astype(int)] = values
    return [id for id, _, _ in rows], matrix


def main(program, data, model, place):
    place = pathlib.Path(place)
    exact = ranking.Exact(program, model, data, place)
    encode(program, model, data, place)
    sides = [embeddings("none", str(place), kind) for kind in ("doc", "query")]
    size = 1 + max(int(token) for rows in sides for _, tokens, _ in rows for token in tokens)
    (ids, documents), (query_ids, queries) = (dense(rows, size) for rows in sides)
    if [ids, query_ids] != [exact.ids, exact.query_ids]:
        sys.exit("the ids are not those of the input, in its order")
    scores = queries @ documents.T
    order = numpy.argsort(-scores, axis=1, kind="stable")[:, : ranking.TOP]
    found = [[(ids[place], float(row[place])) for place in places] for row, places in zip(scores, order)]
    ranking.compare("lsr-benchmark", exact, found)


if __name__ == "__main__":
    main(*sys.argv[1:])
