"""Elasticsearch, Pinecone and Vespa, none of which any of the package registries holds a server of that can be started.

Shown here is less than a search by the engine. The official Python client of each takes our rows and bodies as they
are, and what it would send to the server arrives whole at a listener on 127.0.0.1. The rows keep the rules that the
stores publish, written down below with where they stand. And the dot products of what the file holds with what the
bodies hold are those of our vectors. That Elasticsearch keeps 9 significant bits of a weight is not shown.
"""

import contextlib
import gzip
import http.server
import inspect
import json
import math
import re
import sys
import threading
import urllib.parse

import elasticsearch
import elasticsearch.dsl
import pinecone
import vespa.application

import ranking

KEPT = "title"
NAME = "cran"


def check(condition, message):
    if not condition:
        sys.exit(f"schemas: {message}")


def read_lines(path):
    return ranking.lines(open(path, encoding="utf-8", newline="\n").read())


class Listener(http.server.ThreadingHTTPServer):
    """Keeps what arrives, as (path, body of JSON or of lines of JSON), and answers what `answer` says."""

    def __init__(self, answer):
        self.arrived = []
        self.answer = answer
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def take(self):
        arrived, self.arrived = self.arrived, []
        return arrived


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # The whole answer in one packet: a second one waits for the client's word that the first has arrived.
    wbufsize = -1

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.arrived.append((self.path, ranking.lines(body.decode())))
        answer = json.dumps(self.server.answer(self.path)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        # Elasticsearch's client speaks to no server without it.
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_POST

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def listening(answer):
    listener = Listener(answer)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield listener
    finally:
        listener.shutdown()
        listener.server_close()


def search(documents, queries):
    """The hits of every query among (id, {key: weight}) pairs: what an engine that adds products would answer."""
    postings = {}
    for identifier, vector in documents:
        for key, weight in vector.items():
            postings.setdefault(key, []).append((identifier, weight))
    for query in queries:
        scores = {}
        for key, weight in query.items():
            for identifier, own in postings.get(key, []):
                scores[identifier] = scores.get(identifier, 0.0) + weight * own
        yield sorted(scores.items(), key=lambda hit: -hit[1])[: ranking.TOP]


def pairs(vector):
    return dict(zip(vector["indices"], vector["values"], strict=True))


def check_weights(vector, store):
    check(all(0 < weight < math.inf for weight in vector.values()), f"{store}: a weight that is not positive")


class Inputs:
    """What the program makes for a store."""

    def __init__(self, program, data, model, place, texts, store):
        self.path = f"{place}/{store}.out"
        named = ["--index-name", NAME]
        ranking.encode_documents(program, model, data, self.path, "--format", store, "--keep", KEPT, *named)
        self.rows = read_lines(self.path)
        self.mapping = ranking.call(program, "target", "mapping", store, "--model", model, *named)
        printed = ranking.query_bodies(program, model, store, texts, *named)
        self.queries = [json.loads(body) for body in printed]
        self.titles = {str(row["_id"]): row[KEPT] for row in read_lines(f"{data}/corpus.jsonl")}


# Elasticsearch


def named_parameters(function):
    """Those that the client lists; it takes others too, for what it does not know yet."""
    return set(inspect.signature(function).parameters)


def elasticsearch_shapes(inputs):
    mapping = json.loads(inputs.mapping)
    actions, sources = inputs.rows[0::2], inputs.rows[1::2]
    with listening(lambda path: {"errors": False, "took": 1, "items": [], "acknowledged": True}) as listener:
        client = elasticsearch.Elasticsearch(listener.url)
        client.indices.create(index=NAME, **mapping)
        check(listener.take() == [(f"/{NAME}", [mapping])], "elasticsearch: the mapping did not arrive whole")
        # Lines as text go into the request as they are.
        text = open(inputs.path, encoding="utf-8", newline="\n").read()
        check(text.endswith("\n"), "elasticsearch: the last line of a bulk request must end")
        client.bulk(operations=text.removesuffix("\n").split("\n"))
        check(listener.take() == [("/_bulk", inputs.rows)], "elasticsearch: the rows did not arrive whole")
        for body in inputs.queries:
            client.search(index=NAME, **body)
        expected = [(f"/{NAME}/_search", [body]) for body in inputs.queries]
        check(listener.take() == expected, "elasticsearch: the queries did not arrive whole")

    # Of the field: SparseVectorFieldMapper, "hashes that map a feature to a strictly positive float".
    (field, settings), = mapping["mappings"]["properties"].items()
    known = named_parameters(elasticsearch.dsl.SparseVector.__init__) | {"type"}
    check(settings["type"] == "sparse_vector" and set(settings) <= known, f"elasticsearch: a field of {settings}")
    documents = []
    for action, source in zip(actions, sources, strict=True):
        check(list(action) == ["index"] and set(action["index"]) == {"_index", "_id"}, f"elasticsearch: {action}")
        identifier = action["index"]["_id"]
        # RestIndexAction: "id is too long, must be no longer than 512 bytes".
        check(isinstance(identifier, str) and 0 < len(identifier.encode()) <= 512, f"elasticsearch: id {identifier}")
        check_weights(source[field], "elasticsearch")
        check(source[KEPT] == inputs.titles[identifier], f"elasticsearch: the title of {identifier}")
        documents.append((identifier, source[field]))

    known = named_parameters(elasticsearch.dsl.query.SparseVector.__init__)
    queries = []
    for body in inputs.queries:
        check(elasticsearch.dsl.Search.from_dict(body).to_dict() == body, f"elasticsearch: the DSL has changed {body}")
        query = body["query"]["sparse_vector"]
        check(set(query) <= known and query["field"] == field, f"elasticsearch: the query {query}")
        # Indexes made by 9.1 or later (8.19) drop tokens from a query that does not say this.
        check(query.get("prune") is False, "elasticsearch: a query without \"prune\": false loses tokens")
        queries.append(query["query_vector"])
    return documents, queries


# Pinecone: the rules are those of its API description, db_data 2026-07.

PINECONE_ID = re.compile(r"[\x01-\x7F]{1,512}")
PINECONE_NON_ZEROS = 2048
PINECONE_METADATA_BYTES = 40 * 1024


def flat(value):
    return isinstance(value, (str, int, float)) or (
        isinstance(value, list) and all(isinstance(element, str) for element in value)
    )


def check_pinecone_vector(vector):
    check(list(vector) == ["indices", "values"], f"pinecone: a vector of {list(vector)}")
    check(1 <= len(vector["indices"]) <= PINECONE_NON_ZEROS, f"pinecone: {len(vector['indices'])} non-zeros")
    check(len(set(vector["indices"])) == len(vector["indices"]), "pinecone: an index twice")
    check(all(0 <= index < 2**32 for index in vector["indices"]), "pinecone: an index over 32 bits")


def pinecone_shapes(inputs):
    mapping = json.loads(inputs.mapping)
    place = mapping["spec"]["serverless"]
    created = {
        "name": mapping["name"],
        "schema": {"fields": {"_sparse_values": {"type": "sparse_vector"}}},
        "deployment": {"deployment_type": "managed", "cloud": place["cloud"], "region": place["region"]},
    }

    def answer(path):
        if path == "/indexes":
            state = {"status": {"ready": True, "state": "Ready"}, "deletion_protection": "disabled"}
            return {**created, **state, "host": "127.0.0.1"}
        if path == "/query":
            return {"matches": [], "namespace": ""}
        return {"upsertedCount": 0}

    with listening(answer) as listener:
        client = pinecone.Pinecone(api_key="none", host=listener.url)
        # The client translates the names of API version 2025-10 into those of its own, 2026-07.
        client.create_index(**mapping, timeout=-1)
        ((path, (body,)),) = listener.take()
        check(path == "/indexes" and created.items() <= body.items(), f"pinecone: the index arrived as {body}")
        index = client.Index(host=listener.url)
        index.upsert(vectors=inputs.rows, batch_size=100, show_progress=False)
        arrived = {}
        for path, (body,) in listener.take():
            check(path == "/vectors/upsert", f"pinecone: {path}")
            arrived |= {vector.pop("id"): vector for vector in body["vectors"]}
        for row in inputs.rows:
            sent = {"sparseValues": row["sparse_values"], "metadata": row["metadata"]}
            vector = arrived[row["id"]]
            check({name: vector[name] for name in sent} == sent, f"pinecone: {row['id']} did not arrive whole")
        for body in inputs.queries:
            index.query(**body)
        for body, (path, (arrived,)) in zip(inputs.queries, listener.take(), strict=True):
            check(path == "/query", f"pinecone: {path}")
            sent = {"sparseVector": body["sparse_vector"], "topK": body["top_k"], "includeMetadata": True}
            check(sent.items() <= arrived.items(), "pinecone: the queries did not arrive whole")

    check(mapping["vector_type"] == "sparse" and mapping["metric"] == "dotproduct", f"pinecone: {mapping}")
    for row in inputs.rows:
        check(PINECONE_ID.fullmatch(row["id"]), f"pinecone: id {row['id']}")
        check_pinecone_vector(row["sparse_values"])
        metadata = row["metadata"]
        check(all(not name.startswith("$") and flat(value) for name, value in metadata.items()), f"pinecone: {metadata}")
        check(len(json.dumps(metadata, ensure_ascii=False).encode()) <= PINECONE_METADATA_BYTES, "pinecone: metadata")
        check(metadata[KEPT] == inputs.titles[row["id"]], f"pinecone: the title of {row['id']}")
    for body in inputs.queries:
        check_pinecone_vector(body["sparse_vector"])
    documents = [(row["id"], pairs(row["sparse_values"])) for row in inputs.rows]
    return documents, [pairs(body["sparse_vector"]) for body in inputs.queries]


# Vespa


def vespa_shapes(inputs):
    with listening(lambda path: {"root": {"children": []}}) as listener:
        address = urllib.parse.urlsplit(listener.url)
        client = vespa.application.Vespa(url=f"http://{address.hostname}", port=address.port)
        documents = []
        with client.syncio() as session:
            for row in inputs.rows:
                check(list(row) == ["put", "fields"], f"vespa: a row of {list(row)}")
                # id:NAMESPACE:TYPE:KEY/VALUE:USER-SPECIFIED; only the last part may hold colons.
                scheme, namespace, kind, modifiers, identifier = row["put"].split(":", 4)
                check((scheme, namespace, kind, modifiers) == ("id", NAME, NAME, ""), f"vespa: {row['put']}")
                session.feed_data_point(schema=kind, namespace=namespace, data_id=identifier, fields=row["fields"])
                documents.append((identifier, row["fields"]))
            for (path, (body,)), (identifier, fields) in zip(listener.take(), documents, strict=True):
                expected = f"/document/v1/{NAME}/{NAME}/docid/{urllib.parse.quote(identifier)}"
                check((path, body) == (expected, {"fields": fields}), f"vespa: {identifier} did not arrive whole")
            for body in inputs.queries:
                session.query(body=body)
        arrived = [(path, lines) for path, lines in listener.take()]
        check(arrived == [("/search/", [body]) for body in inputs.queries], "vespa: the queries did not arrive whole")

    vectors = []
    for identifier, fields in documents:
        check(fields[KEPT] == inputs.titles[identifier], f"vespa: the title of {identifier}")
        # The short form for a tensor of one mapped dimension.
        (vector,) = (value for name, value in fields.items() if name != KEPT)
        check(list(vector) == ["cells"], "vespa: the cells of a vector")
        vectors.append((identifier, vector["cells"]))
    queries = []
    for body in inputs.queries:
        # The literal form, without "cells", is not JSON to Vespa: it would take \\ for two characters.
        check(list(body["input.query(q)"]) == ["cells"], "vespa: the cells of a query")
        check(f"from {NAME} " in body["yql"], f"vespa: {body['yql']}")
        check(f"rank-profile {body['ranking']} " in inputs.mapping, f"vespa: no rank profile {body['ranking']}")
        queries.append(body["input.query(q)"]["cells"])
    check(f"schema {NAME} " in inputs.mapping and f"document {NAME} " in inputs.mapping, "vespa: names in the schema")
    return vectors, queries


def main():
    program, data, model, place = sys.argv[1:]
    exact = ranking.Exact(program, model, data, place)
    stores = {"elasticsearch": elasticsearch_shapes, "pinecone": pinecone_shapes, "vespa": vespa_shapes}
    for store, shapes in stores.items():
        documents, queries = shapes(Inputs(program, data, model, place, exact.texts, store))
        check([identifier for identifier, _ in documents] == exact.ids, f"{store}: other documents")
        ranking.compare(f"{store}, as written", exact, list(search(documents, queries)))


main()
