"""Pinecone, which is a service: no engine of it can be started.

What is proven here is less. The official client takes our rows and bodies as they are, and what it would send to the
service arrives whole at a listener on 127.0.0.1. The rows keep the rules of the service's API description, written
down below. And the dot products of what the file holds with what the bodies hold are those of our vectors.
"""

import contextlib
import gzip
import http.server
import json
import re
import sys
import threading

import pinecone

import ranking

KEPT = "title"
NAME = "cran"

# The rules of the data plane, version 2026-07. Those of 2025-10 allow 1,000 non-zeros.
ID = re.compile(r"[\x01-\x7F]{1,512}")
NON_ZEROS = 2048
METADATA_BYTES = 40 * 1024


def check(condition, message):
    if not condition:
        sys.exit(f"pinecone: {message}")


class Listener(http.server.ThreadingHTTPServer):
    """Keeps what arrives, as (path, JSON), and answers what the client can read."""

    def __init__(self, answers):
        self.arrived = []
        self.answers = answers
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
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.arrived.append((self.path, json.loads(body)))
        answer = json.dumps(self.server.answers[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def listening(answers):
    listener = Listener(answers)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield listener
    finally:
        listener.shutdown()
        listener.server_close()


def check_client(mapping, rows, queries):
    """Gives everything to the client, and looks at what it makes of it."""
    where = mapping["spec"]["serverless"]
    # The client translates the names of API version 2025-10 into those of its own, 2026-07.
    created = {
        "name": mapping["name"],
        "schema": {"fields": {"_sparse_values": {"type": "sparse_vector"}}},
        "deployment": {"deployment_type": "managed", "cloud": where["cloud"], "region": where["region"]},
    }
    state = {"status": {"ready": True, "state": "Ready"}, "deletion_protection": "disabled", "host": "127.0.0.1"}
    answers = {
        "/indexes": created | state,
        "/vectors/upsert": {"upsertedCount": 0},
        "/query": {"matches": [], "namespace": ""},
    }
    with listening(answers) as listener:
        client = pinecone.Pinecone(api_key="none", host=listener.url)
        client.create_index(**mapping, timeout=-1)
        ((path, body),) = listener.take()
        check(path == "/indexes" and created.items() <= body.items(), f"the index arrived as {body}")

        index = client.Index(host=listener.url)
        index.upsert(vectors=rows, batch_size=100, show_progress=False)
        arrived = {vector["id"]: vector for _, body in listener.take() for vector in body["vectors"]}
        for row in rows:
            sent = {"id": row["id"], "sparseValues": row["sparse_values"], "metadata": row["metadata"]}
            check(sent.items() <= arrived[row["id"]].items(), f"{row['id']} did not arrive whole")

        for body in queries:
            index.query(**body)
        for body, (_, arrived) in zip(queries, listener.take(), strict=True):
            sent = {"sparseVector": body["sparse_vector"], "topK": body["top_k"], "includeMetadata": True}
            check(sent.items() <= arrived.items(), "a query did not arrive whole")


def check_vector(vector):
    check(list(vector) == ["indices", "values"], f"a vector of {list(vector)}")
    check(1 <= len(vector["indices"]) <= NON_ZEROS, f"{len(vector['indices'])} non-zeros")
    check(len(set(vector["indices"])) == len(vector["indices"]), "an index twice")
    check(all(0 <= index < 2**32 for index in vector["indices"]), "an index over 32 bits")


def flat(value):
    return isinstance(value, (str, int, float)) or (
        isinstance(value, list) and all(isinstance(element, str) for element in value)
    )


def check_row(row):
    check(ID.fullmatch(row["id"]), f"the id {row['id']}")
    check_vector(row["sparse_values"])
    metadata = row["metadata"]
    check(all(not name.startswith("$") and flat(value) for name, value in metadata.items()), f"metadata {metadata}")
    check(len(json.dumps(metadata, ensure_ascii=False).encode()) <= METADATA_BYTES, f"metadata of {row['id']}")


def search(rows, queries):
    """The hits of every query: what an engine that adds products answers."""
    postings = {}
    for row in rows:
        vector = row["sparse_values"]
        for index, weight in zip(vector["indices"], vector["values"], strict=True):
            postings.setdefault(index, []).append((row["id"], weight))
    for body in queries:
        scores = {}
        vector = body["sparse_vector"]
        for index, weight in zip(vector["indices"], vector["values"], strict=True):
            for identifier, own in postings.get(index, []):
                scores[identifier] = scores.get(identifier, 0.0) + weight * own
        yield sorted(scores.items(), key=lambda hit: -hit[1])[: body["top_k"]]


def main():
    program, data, model, place = sys.argv[1:]
    output, named = f"{place}/rows.jsonl", ["--index-name", NAME]
    ranking.encode_documents(program, model, data, output, "--format", "pinecone", "--keep", KEPT)
    rows = ranking.lines(open(output, encoding="utf-8", newline="\n").read())
    exact = ranking.Exact(program, model, data, place)
    mapping = json.loads(ranking.call(program, "target", "mapping", "pinecone", "--model", model, *named))
    queries = [json.loads(body) for body in ranking.query_bodies(program, model, "pinecone", exact.texts)]

    check(mapping["vector_type"] == "sparse" and mapping["metric"] == "dotproduct", f"the index {mapping}")
    for row in rows:
        check_row(row)
    for body in queries:
        check_vector(body["sparse_vector"])
    corpus = ranking.lines(open(f"{data}/corpus.jsonl", encoding="utf-8", newline="\n").read())
    titles = {str(row["_id"]): row[KEPT] for row in corpus}
    check({row["id"]: row["metadata"][KEPT] for row in rows} == titles, "the titles are not those of the collection")
    check_client(mapping, rows, queries)
    ranking.compare("pinecone, as written", exact, list(search(rows, queries)))


main()
