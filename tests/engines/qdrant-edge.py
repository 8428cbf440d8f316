"""Qdrant's own engine, in Rust, inside this process: Qdrant Edge, one shard of the server with the same storage and the
same indexes. It has no REST interface, so the bodies are given to it value by value; that the client's models take
them is what qdrant.py shows.
"""

import json
import shutil
import sys

import qdrant_edge as edge

import ranking

KEPT = "title"
ROWS_A_CALL = 500


def refuse_unknown(body, known):
    """A value that this script would not pass on would be one that nothing has tried."""
    unknown = set(body) - set(known)
    if unknown:
        sys.exit(f"qdrant-edge: the script does not know what to do with {', '.join(sorted(unknown))}")


def sparse(vector):
    refuse_unknown(vector, ["indices", "values"])
    return edge.SparseVector(vector["indices"], vector["values"])


def create(path, body):
    """PUT /collections/NAME."""
    refuse_unknown(body, ["sparse_vectors"])
    vectors = {name: edge.EdgeSparseVectorParams(**settings) for name, settings in body["sparse_vectors"].items()}
    return edge.EdgeShard.create(path, edge.EdgeConfig(sparse_vectors=vectors))


def point(row):
    refuse_unknown(row, ["id", "vector", "payload"])
    return edge.Point(row["id"], {name: sparse(vector) for name, vector in row["vector"].items()}, row["payload"])


def search(shard, body):
    """POST /collections/NAME/points/query."""
    refuse_unknown(body, ["query", "using", "limit", "with_payload"])
    nearest = edge.Query.Nearest(sparse(body["query"]), using=body["using"])
    return shard.query(edge.QueryRequest(limit=body["limit"], query=nearest, with_payload=body["with_payload"]))


def main():
    program, data, model, place = sys.argv[1:]
    output = f"{place}/points.jsonl"
    ranking.encode_documents(program, model, data, output, "--format", "qdrant", "--keep", KEPT)
    rows = ranking.lines(open(output, encoding="utf-8", newline="\n").read())
    exact = ranking.Exact(program, model, data, place)

    path = f"{place}/shard"
    shutil.rmtree(path, ignore_errors=True)
    shard = create(path, json.loads(ranking.call(program, "target", "mapping", "qdrant", "--model", model)))
    for start in range(0, len(rows), ROWS_A_CALL):
        points = [point(row) for row in rows[start : start + ROWS_A_CALL]]
        shard.update(edge.UpdateOperation.upsert_points(points))
    # From the segment that takes writes into one with an inverted index, as the server does in the background.
    shard.optimize()
    stored = shard.info().points_count
    if stored != len(exact.ids):
        sys.exit(f"qdrant-edge: {stored} of {len(exact.ids)} documents stored")

    titles = {row["payload"]["_id"]: row["payload"][KEPT] for row in rows}
    hits = []
    for body in ranking.query_bodies(program, model, "qdrant", exact.texts):
        found = search(shard, json.loads(body))
        if any(hit.payload[KEPT] != titles[hit.payload["_id"]] for hit in found):
            sys.exit("qdrant-edge: a hit has not the title of its document")
        hits.append([(hit.payload["_id"], hit.score) for hit in found])
    shard.close()
    ranking.compare("qdrant-edge", exact, hits)


main()
