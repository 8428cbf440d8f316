"""What every engine is held against: the exact dot products of our own vectors, and how far a ranking is from them.

A script encodes a collection once as JSONL, the form without a rounding, and once in the store's format; loads the
second into the engine; sends the query bodies that `target query` prints; and hands the hits to `compare`.
"""

import json
import subprocess
import sys

import numpy
import scipy.sparse

TOP = 10


def call(program, *arguments):
    """The standard output of the program; what it says on standard error is passed on."""
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"{program} {arguments[0]} ended with {done.returncode}")
    return done.stdout.decode()


def lines(text):
    # Not splitlines, which takes other characters than the newline for line ends.
    return [json.loads(line) for line in text.split("\n") if line]


def read_queries(data):
    """Ids and texts."""
    rows = [json.loads(line) for line in open(f"{data}/queries.jsonl", encoding="utf-8")]
    return [str(row["_id"]) for row in rows], [row["text"] for row in rows]


def encode_documents(program, model, data, output, *options):
    """Encodes a collection in BEIR's layout: text = title, a space, text."""
    fields = ["--text-field", "title", "--text-field", "text"]
    arguments = ["--model", model, "--as", "document", "--quiet", "--force", *fields, *options]
    call(program, "encode", "--input", f"{data}/corpus.jsonl", "--output", output, *arguments)


def query_bodies(program, model, store, texts, *options):
    """What `target query` prints for each text: a line each."""
    printed = call(program, "target", "query", store, "--model", model, "--k", str(TOP), *options, "--", *texts)
    return printed.rstrip("\n").split("\n")


def dot_products(documents, queries, document_weight=None, query_weight=None):
    """Every score: a row a query, a column a document, both vectors {term: weight}.

    `document_weight` and `query_weight` are what the store makes of a vector's weights, an f32 array in and out.
    """
    terms = {}
    matrices = []
    for vectors, weight in ((documents, document_weight), (queries, query_weight)):
        indptr, indices, values = [0], [], [numpy.empty(0, dtype=numpy.float32)]
        for vector in vectors:
            indices += [terms.setdefault(term, len(terms)) for term in vector]
            weights = numpy.array(list(vector.values()), dtype=numpy.float32)
            values.append(weight(weights) if weight else weights)
            indptr.append(len(indices))
        matrices.append((numpy.concatenate(values), indices, indptr))
    documents, queries = (
        scipy.sparse.csr_matrix((values.astype(numpy.float64), indices, indptr), (len(indptr) - 1, len(terms)))
        for values, indices, indptr in matrices
    )
    return (queries @ documents.T).toarray()


class Exact:
    """The vectors of a collection and its queries, and every score of every document for every query."""

    def __init__(self, program, model, data, workspace, document_weight=None, query_weight=None):
        vectors = f"{workspace}/vectors.jsonl"
        encode_documents(program, model, data, vectors)
        documents = [json.loads(line) for line in open(vectors, encoding="utf-8")]
        self.ids = [str(row["id"]) for row in documents]
        self.query_ids, self.texts = read_queries(data)
        encoded = call(program, "encode", "--model", model, "--as", "query", "--", *self.texts)
        self.document_vectors, self.query_vectors = [row["vector"] for row in documents], lines(encoded)
        self.scores = dot_products(self.document_vectors, self.query_vectors, document_weight, query_weight)
        self.place = {identifier: place for place, identifier in enumerate(self.ids)}


def nine_bits(weights):
    """Lucene's FeatureField: the sign, the exponent and the first 8 bits of the fraction; the rest is cut off."""
    return (numpy.asarray(weights, dtype=numpy.float32).view(numpy.uint32) & 0xFFFF8000).view(numpy.float32)


def integers(scale):
    """What an index of integer impacts keeps of weights: round(weight * scale), a half up, never less than 1."""

    def impacts(weights):
        products = weights * numpy.float32(scale)
        return numpy.maximum(numpy.floor(products.astype(numpy.float64) + 0.5), 1).astype(numpy.float32)

    return impacts


def compare(store, exact, hits, scale=1.0, tolerance=1e-4, least_overlap=1.0):
    """Prints how much of the exact top 10 the engine's hits are, and ends the script where it is too little.

    `hits`: for each query, in order, (document id, score) pairs, the best first. A hit is right if its exact score is
    within `tolerance` (relative) of the 10th: documents with equal scores may come in any order. `scale`: how many times
    as large as ours the engine's scores are.
    """
    if len(hits) != len(exact.texts):
        sys.exit(f"{store}: hits for {len(hits)} of {len(exact.texts)} queries")
    right = wanted = 0
    largest = 0.0
    for scores, found in zip(exact.scores, hits):
        count = min(TOP, int((scores > 0).sum()))
        wanted += count
        if count == 0:
            continue
        last = numpy.sort(scores)[::-1][count - 1]
        if len({identifier for identifier, _ in found[:TOP]}) != len(found[:TOP]):
            sys.exit(f"{store}: a document twice among the hits of a query")
        for identifier, score in found[:count]:
            own = scores[exact.place[str(identifier)]]
            right += own >= last * (1 - tolerance)
            largest = max(largest, abs(score / scale - own))
    overlap = right / wanted
    print(
        f"{store}: {len(hits)} queries over {len(exact.ids)} documents, top-{TOP} overlap {overlap:.4f}, "
        f"largest score difference {largest:.6f}"
    )
    if overlap < least_overlap:
        sys.exit(f"{store}: an overlap of {least_overlap} was expected")
