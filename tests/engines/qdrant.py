"""Qdrant: the engine that qdrant-client holds, its local mode.

That is the client's own engine, written in Python with numpy, and not Qdrant's server: what is proven here is that the
official client reads the bodies as its models of the REST interface, and that the scores come out right. The models are
made from the OpenAPI description of the server.
"""

import json
import sys

from qdrant_client import QdrantClient, models

import ranking

KEPT = "title"
ROWS_A_CALL = 500
# What the client calls otherwise than the REST interface.
ARGUMENTS = {"sparse_vectors": "sparse_vectors_config"}


def strictly(model, body):
    """The body as the client's model of it; a name that the model does not have is refused, at any depth."""
    read = model.model_validate(body)
    if json.loads(read.model_dump_json(exclude_unset=True)) != body:
        sys.exit(f"qdrant: {model.__name__} has lost something of {body}")
    return read


def arguments(read):
    """What the body sets, as the arguments of the client's method."""
    return {ARGUMENTS.get(field, field): getattr(read, field) for field in read.model_fields_set}


def main():
    program, data, model, place = sys.argv[1:]
    output = f"{place}/points.jsonl"
    ranking.encode_documents(program, model, data, output, "--format", "qdrant", "--keep", KEPT)
    rows = ranking.lines(open(output, encoding="utf-8", newline="\n").read())
    exact = ranking.Exact(program, model, data, place)

    # The bodies do not name the collection: its name is in the address.
    name = "cran"
    client = QdrantClient(":memory:")
    mapping = json.loads(ranking.call(program, "target", "mapping", "qdrant", "--model", model))
    client.create_collection(name, **arguments(strictly(models.CreateCollection, mapping)))
    for start in range(0, len(rows), ROWS_A_CALL):
        points = {"points": rows[start : start + ROWS_A_CALL]}
        client.upsert(name, strictly(models.PointsList, points).points)
    stored = client.count(name, exact=True).count
    if stored != len(exact.ids):
        sys.exit(f"qdrant: {stored} of {len(exact.ids)} documents stored")

    titles = {row["payload"]["_id"]: row["payload"][KEPT] for row in rows}
    hits = []
    for body in ranking.query_bodies(program, model, "qdrant", exact.texts):
        found = client.query_points(name, **arguments(strictly(models.QueryRequest, json.loads(body))))
        for point in found.points:
            if point.payload[KEPT] != titles[point.payload["_id"]]:
                sys.exit("qdrant: a hit has not the title of its document")
        hits.append([(point.payload["_id"], point.score) for point in found.points])
    ranking.compare("qdrant", exact, hits)


main()
