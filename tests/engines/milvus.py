"""Milvus: milvus-lite 3, which answers Milvus's own client over gRPC on a port of 127.0.0.1.

It is an engine of the Milvus project written in Python; milvus-core.py asks the C++ one. The bodies of Milvus's REST
interface, which `target` prints, are given to the client value by value.
"""

import json
import pathlib
import shutil
import sys

from pymilvus import DataType, MilvusClient

import ranking

KEPT = "title"
ROWS_A_CALL = 500
# The names that the REST interface has for what the client calls otherwise.
DATA_TYPES = {"VarChar": DataType.VARCHAR, "SparseFloatVector": DataType.SPARSE_FLOAT_VECTOR}


def refuse_unknown(body, known):
    """A value that this script would not pass on would be one that nothing has tried."""
    unknown = set(body) - set(known)
    if unknown:
        sys.exit(f"milvus: the script does not know what to do with {', '.join(sorted(unknown))}")


def create(client, body):
    """POST /v2/vectordb/collections/create."""
    refuse_unknown(body, ["collectionName", "schema", "indexParams"])
    refuse_unknown(body["schema"], ["autoId", "enableDynamicField", "fields"])
    schema = MilvusClient.create_schema(
        auto_id=body["schema"]["autoId"], enable_dynamic_field=body["schema"]["enableDynamicField"]
    )
    for field in body["schema"]["fields"]:
        refuse_unknown(field, ["fieldName", "dataType", "isPrimary", "elementTypeParams"])
        # The REST interface takes the parameters as strings, the client as numbers.
        parameters = {name: int(value) for name, value in field.get("elementTypeParams", {}).items()}
        primary = field.get("isPrimary", False)
        schema.add_field(field["fieldName"], DATA_TYPES[field["dataType"]], is_primary=primary, **parameters)
    indexes = MilvusClient.prepare_index_params()
    for index in body["indexParams"]:
        refuse_unknown(index, ["fieldName", "indexName", "metricType", "params"])
        parameters = dict(index["params"])
        indexes.add_index(
            field_name=index["fieldName"],
            index_name=index["indexName"],
            index_type=parameters.pop("index_type"),
            metric_type=index["metricType"],
            params=parameters,
        )
    client.create_collection(body["collectionName"], schema=schema, index_params=indexes)


def sparse(vector):
    """Either JSON form of a sparse vector, as the dict of integer keys that the client wants."""
    if set(vector) == {"indices", "values"}:
        return dict(zip(vector["indices"], vector["values"], strict=True))
    return {int(index): value for index, value in vector.items()}


def search(client, body):
    """POST /v2/vectordb/entities/search: its hits as (id, score, title)."""
    refuse_unknown(body, ["collectionName", "data", "annsField", "limit", "outputFields", "searchParams"])
    refuse_unknown(body["searchParams"], ["metricType", "params"])
    found = client.search(
        body["collectionName"],
        data=[sparse(vector) for vector in body["data"]],
        anns_field=body["annsField"],
        limit=body["limit"],
        output_fields=[*body["outputFields"], KEPT],
        search_params={
            "metric_type": body["searchParams"]["metricType"],
            "params": body["searchParams"].get("params", {}),
        },
    )
    if len(found) != len(body["data"]):
        sys.exit(f"milvus: {len(found)} answers to {len(body['data'])} queries")
    return [(hit["id"], hit["distance"], hit["entity"].get(KEPT)) for hit in found[0]]


def main(store):
    program, data, model, place = sys.argv[1:]
    output = f"{place}/documents.jsonl"
    ranking.encode_documents(program, model, data, output, "--format", "milvus", "--keep", KEPT)
    rows = ranking.lines(open(output, encoding="utf-8", newline="\n").read())
    exact = ranking.Exact(program, model, data, place)

    database = pathlib.Path(place, "milvus.db")
    if database.is_dir():
        shutil.rmtree(database)
    database.unlink(missing_ok=True)
    client = MilvusClient(str(database))
    mapping = json.loads(ranking.call(program, "target", "mapping", "milvus", "--model", model))
    create(client, mapping)
    name = mapping["collectionName"]
    vectors = {field["fieldName"] for field in mapping["schema"]["fields"] if "Sparse" in field["dataType"]}
    for start in range(0, len(rows), ROWS_A_CALL):
        entities = [
            {field: sparse(value) if field in vectors else value for field, value in row.items()}
            for row in rows[start : start + ROWS_A_CALL]
        ]
        client.insert(name, entities)
    # Out of the memory table, which is searched row by row, into a segment with an index.
    client.flush(name)
    client.load_collection(name)
    stored = client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"]
    if stored != len(exact.ids):
        sys.exit(f"{store}: {stored} of {len(exact.ids)} documents stored")

    titles = {row["id"]: row[KEPT] for row in rows}
    hits = []
    for body in ranking.query_bodies(program, model, "milvus", exact.texts):
        found = search(client, json.loads(body))
        if any(title != titles[identifier] for identifier, _, title in found):
            sys.exit(f"{store}: a hit has not the title of its document")
        hits.append([(identifier, score) for identifier, score, _ in found])
    ranking.compare(store, exact, hits)
    client.close()


if __name__ == "__main__":
    main("milvus")
