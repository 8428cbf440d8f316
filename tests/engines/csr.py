"""The matrices: scipy's npz, read by scipy, and the BigANN benchmark's csr, read as its own reader does."""

import pathlib
import sys

import numpy
import scipy.sparse

import ranking


def encode(program, model, data, target, store):
    """Writes both sides as matrices over the model's whole vocabulary, and yields each side's path."""
    for side, name, fields in (("document", "corpus", ["title", "text"]), ("query", "queries", ["text"])):
        output = target / f"{name}.{'npz' if store == 'csr-npz' else 'csr'}"
        flags = [flag for field in fields for flag in ("--text-field", field)]
        arguments = ["--model", model, "--as", side, "--quiet", "--force", *flags]
        ranking.call(
            program, "encode", "--input", f"{data}/{name}.jsonl", "--format", store, "--output", output, *arguments
        )
        yield output


def read_ids(output):
    return pathlib.Path(f"{output}.ids").read_text(encoding="utf-8").rstrip("\n").split("\n")


def read_bigann(path):
    """rows, columns, entries; where each row starts; columns; values. Little-endian, with nothing between them."""
    with open(path, "rb") as file:
        rows, columns, entries = (int(number) for number in numpy.fromfile(file, "<i8", 3))
        indptr = numpy.fromfile(file, "<i8", rows + 1)
        indices = numpy.fromfile(file, "<i4", entries)
        values = numpy.fromfile(file, "<f4", entries)
        if file.read(1):
            sys.exit(f"{path}: something comes after the values")
    return scipy.sparse.csr_matrix((values, indices, indptr), (rows, columns))


def check(store, matrix, ids):
    if matrix.dtype != numpy.float32 or matrix.format != "csr" or matrix.shape[0] != len(ids):
        sys.exit(f"{store}: {matrix.dtype}, {matrix.format}, {matrix.shape[0]} rows for {len(ids)} ids")
    # Raises where an index is outside the matrix or the rows do not fit their entries.
    matrix.check_format(full_check=True)
    if not matrix.has_canonical_format:
        sys.exit(f"{store}: a row's columns are not in order, or one comes twice")


def best(documents, queries, ids):
    """For each query, (document id, score) pairs."""
    scores = (queries @ documents.T).toarray()
    order = numpy.argsort(-scores, axis=1, kind="stable")[:, : ranking.TOP]
    return [[(ids[place], float(row[place])) for place in places] for row, places in zip(scores, order)]


def main(program, data, model, place):
    place = pathlib.Path(place)
    exact = ranking.Exact(program, model, data, place)
    for store, read in (("csr-npz", scipy.sparse.load_npz), ("csr", read_bigann)):
        outputs = list(encode(program, model, data, place, store))
        matrices, ids = [read(output) for output in outputs], [read_ids(output) for output in outputs]
        for matrix, names in zip(matrices, ids):
            check(store, matrix, names)
        if ids != [exact.ids, exact.query_ids]:
            sys.exit(f"{store}: the ids are not those of the input, in its order")
        ranking.compare(store, exact, best(*matrices, ids[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
