"""Seismic, whose index is approximate: once with parameters that leave nothing out, once with those of its manual.

Its documents' weights are f16, its queries' f32.
"""

import json
import pathlib
import sys

# This file has the package's name, and its folder comes first on the path.
sys.path.append(sys.path.pop(0))
import numpy
import seismic

import ranking


def half(weights):
    return weights.astype(numpy.float16).astype(numpy.float32)


def search(index, queries, query_cut, heap_factor):
    """For each query, (document id, score) pairs. A query is a row of JSON like a document's."""
    vectors = [json.loads(query)["vector"] for query in queries]
    # Strings of a fixed length, 100 characters: what is longer is cut without a word.
    text = seismic.get_seismic_string()
    found = index.batch_search(
        queries_ids=numpy.array([str(number) for number in range(len(vectors))], dtype=text),
        query_components=[numpy.array(list(vector), dtype=text) for vector in vectors],
        query_values=[numpy.array(list(vector.values()), dtype=numpy.float32) for vector in vectors],
        k=ranking.TOP,
        query_cut=query_cut,
        heap_factor=heap_factor,
        num_threads=1,
    )
    hits = [[] for _ in vectors]
    for results in found:
        for number, score, identifier in results:
            hits[int(number)].append((identifier, score))
    return hits


def main(program, data, model, place):
    # Seismic goes by the name: it takes .jsonl and .tar.gz.
    documents = pathlib.Path(place) / "seismic.jsonl"
    ranking.encode_documents(program, model, data, documents, "--format", "seismic")
    exact = ranking.Exact(program, model, data, place, document_weight=half)
    queries = ranking.query_bodies(program, model, "seismic", exact.texts)

    # As many postings for a term as there are documents; then every term of a query, and no block passed over.
    whole = seismic.SeismicIndex.build(str(documents), n_postings=len(exact.ids), max_fraction=float(len(exact.ids)))
    ranking.compare("seismic, nothing left out", exact, search(whole, queries, query_cut=10_000, heap_factor=0.0))

    usual = seismic.SeismicIndex.build(str(documents))
    hits = search(usual, queries, query_cut=20, heap_factor=0.7)
    ranking.compare("seismic, as its manual searches", exact, hits, least_overlap=0.9)


if __name__ == "__main__":
    main(*sys.argv[1:])
