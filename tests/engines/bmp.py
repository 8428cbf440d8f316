"""BMP (block-max pruning), which makes its index from CIFF.

It counts in bytes: an impact is one, a query's heaviest term weighs 32 at most, a score is a 16-bit number.
"""

import pathlib
import sys

# This file has the package's name, and its folder comes first on the path.
sys.path.append(sys.path.pop(0))
import bmp
import numpy
import ranking

SCALE = 50
LARGEST_QUERY_WEIGHT = 32
LARGEST_IMPACT, LARGEST_SCORE = 255, 65535


def query_impacts(weights):
    """What BMP makes of a query's repeated terms: if the largest count is above 32, all are scaled down to it."""
    counts = ranking.integers(SCALE)(weights)
    largest = counts.max(initial=0)
    if largest > LARGEST_QUERY_WEIGHT:
        counts = numpy.ceil(counts * (numpy.float32(LARGEST_QUERY_WEIGHT) / largest))
    return counts


def check_ranges(exact):
    """Past these BMP goes on with the lowest bits, and says nothing."""
    heaviest = max((max(vector.values()) for vector in exact.document_vectors if vector), default=0)
    impact = ranking.integers(SCALE)(numpy.array([heaviest], dtype=numpy.float32))[0]
    if impact > LARGEST_IMPACT or exact.scores.max() > LARGEST_SCORE:
        sys.exit(f"bmp: impacts up to {impact:.0f} and scores up to {exact.scores.max():.0f} are more than it holds")


def search(place, ciff, queries):
    """For each query, (document id, score) pairs. A query is its terms, each as often as its weight says."""
    index, topics = place / "index.bmp", place / "queries.txt"
    bmp.ciff2bmp(ciff_file=str(ciff), output=str(index), bsize=32, compress_range=False)
    # It would stop at a query of no terms.
    lines = [f"{number}: {query}\n" for number, query in enumerate(queries) if query]
    topics.write_text("".join(lines), encoding="utf-8")
    # alpha and beta of 1: no block and no term is left out, so that the ranking is exact.
    run = bmp.search(index=str(index), queries=str(topics), k=ranking.TOP, alpha=1.0, beta=1.0)
    hits = [[] for _ in queries]
    for line in run.rstrip("\n").split("\n"):
        number, rest = line.split(" Q0 ", 1)
        identifier, _, score, _ = rest.rsplit(" ", 3)
        hits[int(number)].append((identifier, float(score)))
    return hits


def main(program, data, model, place):
    place = pathlib.Path(place)
    ciff = place / "vectors.ciff"
    ranking.encode_documents(program, model, data, ciff, "--format", "ciff")
    exact = ranking.Exact(program, model, data, place, ranking.integers(SCALE), query_impacts)
    check_ranges(exact)
    hits = search(place, ciff, ranking.query_bodies(program, model, "ciff", exact.texts))
    ranking.compare("bmp", exact, hits)
    unrounded = ranking.Exact(program, model, data, place)
    heaviest = [max(vector.values(), default=1.0) for vector in unrounded.query_vectors]
    scales = [SCALE * min(SCALE, LARGEST_QUERY_WEIGHT / weight) for weight in heaviest]
    hits = [[(name, score / scale) for name, score in found] for scale, found in zip(scales, hits)]
    ranking.compare("bmp, to the weights before rounding", unrounded, hits, least_overlap=0.95)


if __name__ == "__main__":
    main(*sys.argv[1:])
