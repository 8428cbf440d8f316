"""Proves opensearch and opensearch-sparse-vector in an OpenSearch node: opensearch.py PROGRAM DATA MODEL PLACE

The node is assembled from the artifacts that OpenSearch publishes on Maven Central: the server, its HTTP transport, its
module with rank_features, and the plugins neural-search and k-NN, of which the first needs classes of the second.
Needs `mvn`, `curl`, and a Java of at least 21: in JAVA_HOME, on the PATH or below /usr/lib/jvm.
"""

import copy
import glob
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile

import numpy
import ranking

# A version of which every artifact is published; some versions lack a plugin.
VERSION = "3.6.0"
OLDEST_JAVA = 21

JARS = [
    ("org.opensearch", "opensearch", VERSION),
    ("org.opensearch.plugin", "transport-netty4-client", VERSION),
    ("org.opensearch.plugin", "mapper-extras-client", VERSION),
    # Modules of the distribution that the plugins find there: what they need of them is this.
    ("org.opensearch.plugin", "transport-grpc-spi", VERSION),
    ("com.google.guava", "guava", "33.2.1-jre"),
    # Without it the server logs nothing.
    ("org.apache.logging.log4j", "log4j-core", "2.25.3"),
]
ZIPS = [
    ("org.opensearch.plugin", "opensearch-knn", f"{VERSION}.0"),
    ("org.opensearch.plugin", "neural-search", f"{VERSION}.0"),
]
PLUGINS = [
    "org.opensearch.transport.Netty4ModulePlugin",
    "org.opensearch.index.mapper.MapperExtrasModulePlugin",
    "org.opensearch.knn.plugin.KNNPlugin",
    "org.opensearch.neuralsearch.plugin.NeuralSearch",
]

# Documents of a segment from which on it gets seismic's structures: by default a million.
SMALL_THRESHOLD = 100


def find_java():
    homes = [os.environ.get("JAVA_HOME"), *sorted(glob.glob("/usr/lib/jvm/*"))]
    for java in [f"{homes[0]}/bin/java", shutil.which("java"), *(f"{home}/bin/java" for home in homes[1:])]:
        if java and os.access(java, os.X_OK):
            said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
            version = re.search(r'version "(\d+)', said)
            if version and int(version[1]) >= OLDEST_JAVA:
                return java
    sys.exit(f"opensearch: no Java of at least {OLDEST_JAVA} found; name its folder in JAVA_HOME")


def pom():
    def dependency(artifact, kind):
        tags = zip(("groupId", "artifactId", "version", "type"), (*artifact, kind))
        return "<dependency>" + "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags) + "</dependency>"

    dependencies = [dependency(jar, "jar") for jar in JARS] + [dependency(plugin, "zip") for plugin in ZIPS]
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>engines</groupId><artifactId>opensearch</artifactId>"
        f"<version>1</version><dependencies>{''.join(dependencies)}</dependencies></project>\n"
    )


def install(place):
    """The folder of the jars. They are fetched once; the file of the pom is there when they are complete."""
    jars, complete = f"{place}/jars", f"{place}/pom.xml"
    if os.path.exists(complete) and open(complete, encoding="utf-8").read() == pom():
        return jars
    shutil.rmtree(jars, ignore_errors=True)
    unfinished = f"{place}/unfinished.xml"
    with open(unfinished, "w", encoding="utf-8") as file:
        file.write(pom())
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
    maven = ["mvn", "--quiet", "--batch-mode", "--file", os.path.abspath(unfinished), goal]
    subprocess.run([*maven, f"-DoutputDirectory={os.path.abspath(jars)}"], check=True)
    for _, name, version in ZIPS:
        unpack(f"{jars}/{name}-{version}.zip", jars)
    os.replace(unfinished, complete)
    return jars


def unpack(plugin, jars):
    """Moves a plugin's jars to the others, but for libraries that are there: a class path has one version of each."""

    def library(path):
        return re.sub(r"-\d[^/]*\.jar$", "", os.path.basename(path))

    present = {library(path) for path in glob.glob(f"{jars}/*.jar")}
    with zipfile.ZipFile(plugin) as archive:
        for name in archive.namelist():
            if name.endswith(".jar") and library(name) not in present:
                archive.extract(name, jars)
    os.remove(plugin)


class Server:
    """A node that runs while its `with` block does."""

    def __init__(self, place):
        self.home, self.log = f"{place}/home", f"{place}/node.log"
        shutil.rmtree(self.home, ignore_errors=True)
        for folder in ("config", "logs"):
            os.makedirs(f"{self.home}/{folder}")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "OpenSearchNode.java")
        flags = ["-Xmx1g", "--enable-native-access=ALL-UNNAMED", "--add-modules=jdk.incubator.vector"]
        self.command = [find_java(), *flags, "-cp", f"{install(place)}/*", source, self.home, *PLUGINS]

    def __enter__(self):
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        ports = f"{self.home}/logs/http.ports"
        deadline = time.monotonic() + 180
        while not os.path.exists(ports):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                sys.exit(f"opensearch: the node did not start, see {self.log}")
            time.sleep(0.2)
        self.address = open(ports, encoding="utf-8").read().split()[0]
        self.connection = http.client.HTTPConnection(self.address, timeout=120)
        return self

    def __exit__(self, failure, *_):
        self.connection.close()
        self.process.stdin.close()
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "killed"
        if status != 0 and failure is None:
            sys.exit(f"opensearch: the node did not stop as it should ({status}), see {self.log}")

    def ask(self, method, path, body=None):
        """The answer to a request whose body is text of JSON, or none."""
        headers = {"Content-Type": "application/json"}
        self.connection.request(method, path, body.encode() if body else None, headers)
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        if response.status >= 400:
            sys.exit(f"opensearch: {method} {path}: {json.dumps(answer)[:2000]}")
        return answer

    def send_bulk(self, index, path):
        """Sends a file as it is; the outcome of each of its actions."""
        headers = ["Content-Type: application/x-ndjson"]
        if path.endswith(".gz"):
            headers.append("Content-Encoding: gzip")
        curl = ["curl", "--silent", "--show-error", "--noproxy", "*", "--data-binary", f"@{path}"]
        for header in headers:
            curl += ["--header", header]
        said = subprocess.run([*curl, f"http://{self.address}/{index}/_bulk"], check=True, stdout=subprocess.PIPE)
        answer = json.loads(said.stdout)
        if "items" not in answer:
            sys.exit(f"opensearch: {path} refused: {json.dumps(answer)[:2000]}")
        outcomes = [outcome for item in answer["items"] for outcome in item.values()]
        if answer["errors"] != any(outcome["status"] >= 300 for outcome in outcomes):
            sys.exit(f"opensearch: {path}: `errors` is {answer['errors']}")
        return outcomes

    def load(self, index, paths):
        """Sends files of which every action must succeed; the number of actions."""
        count = 0
        for path in paths:
            outcomes = self.send_bulk(index, path)
            refused = [outcome for outcome in outcomes if outcome["status"] >= 300]
            if refused:
                sys.exit(f"opensearch: {path}: {len(refused)} actions refused, the first: {json.dumps(refused[0])}")
            count += len(outcomes)
        self.ask("POST", f"/{index}/_refresh")
        return count

    def count(self, index):
        return self.ask("GET", f"/{index}/_count")["count"]

    def hits(self, index, bodies):
        """(id, score) pairs for each body of a search."""
        answers = [self.ask("POST", f"/{index}/_search", body) for body in bodies]
        return [[(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]] for answer in answers]


class Proof:
    """What the checks below share."""

    def __init__(self, program, data, model, place, server):
        self.program, self.data, self.model, self.server = program, data, model, server
        self.files = f"{place}/files"
        shutil.rmtree(self.files, ignore_errors=True)
        os.makedirs(self.files)
        self.exact = ranking.Exact(program, model, data, self.files, document_weight=ranking.nine_bits)

    def encode(self, name, *options, store="opensearch"):
        """Encodes the documents into one or several files, named after `name`: their paths, in order."""
        path = f"{self.files}/{name}"
        ranking.encode_documents(self.program, self.model, self.data, path, "--format", store, *options)
        stem, suffix = name.split(".", 1)
        return [path] if os.path.exists(path) else sorted(glob.glob(f"{self.files}/{stem}-0*.{suffix}"))

    def mapping(self, store, *options):
        return json.loads(ranking.call(self.program, "target", "mapping", store, "--model", self.model, *options))

    def create_index(self, name, store="opensearch", *options, change=lambda body: body):
        self.server.ask("PUT", f"/{name}", json.dumps(change(self.mapping(store, *options))))

    def search(self, index, *options, store="opensearch"):
        bodies = ranking.query_bodies(self.program, self.model, store, self.exact.texts, *options)
        return self.server.hits(index, bodies)

    def expect(self, index, loaded, count):
        if not loaded == count == self.server.count(index):
            sys.exit(f"opensearch: {loaded} actions sent and {self.server.count(index)} documents found, not {count}")


def with_scores(exact, scores):
    """`exact` for the same documents and queries, with the scores of other vectors."""
    changed = copy.copy(exact)
    changed.scores = scores
    return changed


def without_dots(queries):
    """A rank_feature clause names its term behind the last dot of a path, so it cannot ask for one with a dot."""
    return [{term: weight for term, weight in query.items() if "." not in term} for query in queries]


def bytes_below(ceiling):
    """What seismic's own structures make of weights."""

    def weight(weights):
        whole = numpy.floor(numpy.minimum(weights, ceiling) * 255 / ceiling + 0.5)
        return (whole * ceiling / 255).astype(numpy.float32)

    return weight


def prove_rank_features(proof):
    """Numbered requests into a rank_features field; every form of query."""
    server = proof.server
    proof.create_index("cran")
    options = ["--index-name", "cran", "--bulk-mb", "1", "--keep", "title"]
    requests = proof.encode("bulk.ndjson", *options)
    if len(requests) < 2 or max(map(os.path.getsize, requests)) > 1_000_000:
        sys.exit(f"opensearch: --bulk-mb 1 made {requests}")
    proof.expect("cran", server.load("cran", requests), len(proof.exact.ids))
    print(f"opensearch: {len(requests)} requests of at most 1 MB taken, {server.count('cran')} documents")

    ranking.compare("opensearch, neural_sparse", proof.exact, proof.search("cran"))
    ranking.compare("opensearch, two phases", proof.exact, proof.search("cran", "--two-phase"), least_overlap=0.9)
    queries = without_dots(proof.exact.query_vectors)
    shortened = sum(len(query) < len(vector) for query, vector in zip(queries, proof.exact.query_vectors))
    print(f"opensearch: {shortened} queries have a term with a dot, which a rank_feature clause cannot name")
    scores = ranking.dot_products(proof.exact.document_vectors, queries, document_weight=ranking.nine_bits)
    dotless = with_scores(proof.exact, scores)
    ranking.compare("opensearch, rank_feature clauses", dotless, proof.search("cran", "--without-plugin"))
    hits = proof.search("cran", "--without-plugin", "--two-phase")
    ranking.compare("opensearch, rank_feature clauses with rescore", dotless, hits, least_overlap=0.9)


def prove_create(proof):
    """A gzip'd request that creates documents, which it can only once."""
    proof.create_index("created")
    [request] = proof.encode("create.ndjson.gz", "--bulk-action", "create")
    proof.expect("created", proof.server.load("created", [request]), len(proof.exact.ids))
    statuses = {outcome["status"] for outcome in proof.server.send_bulk("created", request)}
    if statuses != {409}:
        sys.exit(f"opensearch: creating again gave the statuses {statuses}")
    print("opensearch: one gzip'd request of `create` taken, and the second time refused as conflicts")
    ranking.compare("opensearch, created", proof.exact, proof.search("created"))


def prove_update(proof):
    """Vectors that join documents which are there without them."""
    proof.create_index("joined")
    documents = f"{proof.files}/documents.ndjson"
    with open(documents, "w", encoding="utf-8") as file:
        for identifier in proof.exact.ids:
            file.write(json.dumps({"index": {"_id": identifier}}) + "\n" + json.dumps({"shelf": identifier}) + "\n")
    proof.server.load("joined", [documents])
    updates = proof.encode("update.ndjson", "--bulk-action", "update")
    proof.expect("joined", proof.server.load("joined", updates), len(proof.exact.ids))
    identifier = proof.exact.ids[-1]
    source = proof.server.ask("GET", f"/joined/_doc/{identifier}")["_source"]
    if source["shelf"] != identifier or source["vector"] != proof.exact.document_vectors[-1]:
        sys.exit(f"opensearch: after an update the document is {json.dumps(source)[:500]}")
    ranking.compare("opensearch, updated", proof.exact, proof.search("joined"))


def prove_windows(proof):
    """Windows of documents as objects of a nested field: the best one is the document's score."""
    options = ["--on-long", "chunk", "--max-length", "64", "--chunk-rows"]
    path = f"{proof.files}/windows.jsonl"
    ranking.encode_documents(proof.program, proof.model, proof.data, path, *options)
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    windows, places = [row["vector"] for row in rows], [proof.exact.place[str(row["id"])] for row in rows]

    def best_windows(queries):
        scores = ranking.dot_products(windows, queries, document_weight=ranking.nine_bits)
        best = numpy.zeros_like(proof.exact.scores)
        numpy.maximum.at(best.T, places, scores.T)
        return with_scores(proof.exact, best)

    proof.create_index("windows", "opensearch", "--chunk-rows")
    loaded = proof.server.load("windows", proof.encode("windows.ndjson", *options))
    proof.expect("windows", loaded, len(proof.exact.ids))
    print(f"opensearch: {len(rows)} windows in {len(proof.exact.ids)} documents")
    queries = proof.exact.query_vectors
    ranking.compare("opensearch, windows", best_windows(queries), proof.search("windows", "--chunk-rows"))
    hits = proof.search("windows", "--chunk-rows", "--without-plugin")
    ranking.compare("opensearch, windows, rank_feature clauses", best_windows(without_dots(queries)), hits)


def prove_sparse_vector(proof):
    """A sparse_vector field: exact while a segment has few documents, seismic's approximation in larger ones."""
    store = "opensearch-sparse-vector"
    requests = proof.encode("ids.ndjson", "--bulk-mb", "1", store=store)
    proof.create_index("small", store)
    proof.expect("small", proof.server.load("small", requests), len(proof.exact.ids))
    ranking.compare(f"{store}, small segments", proof.exact, proof.search("small", store=store))

    def seismic(body):
        parameters = body["mappings"]["properties"]["vector"]["method"]["parameters"]
        parameters["approximate_threshold"] = SMALL_THRESHOLD
        return body

    proof.create_index("seismic", store, change=seismic)
    proof.expect("seismic", proof.server.load("seismic", requests), len(proof.exact.ids))
    proof.server.ask("POST", "/seismic/_forcemerge?max_num_segments=1")
    proof.server.ask("POST", "/seismic/_refresh")
    parameters = proof.mapping(store)["mappings"]["properties"]["vector"]["method"]["parameters"]
    scores = ranking.dot_products(
        proof.exact.document_vectors,
        proof.exact.query_vectors,
        bytes_below(parameters.get("quantization_ceiling_ingest", 3.0)),
        bytes_below(parameters.get("quantization_ceiling_search", 16.0)),
    )
    quantized = with_scores(proof.exact, scores)
    hits = proof.search("seismic", store=store)
    ranking.compare(f"{store}, seismic", proof.exact, hits, least_overlap=0.9)
    ranking.compare(f"{store}, seismic, its bytes", quantized, hits, least_overlap=0.9)


def prove_empty_vectors(proof):
    """Documents without any term are taken like others, and keep none of the others out."""
    prune = ["--prune", "abs_value=2.3"]
    rows = f"{proof.files}/pruned.jsonl"
    ranking.encode_documents(proof.program, proof.model, proof.data, rows, *prune)
    documents = [json.loads(line)["vector"] for line in open(rows, encoding="utf-8")]
    scores = ranking.dot_products(documents, proof.exact.query_vectors, document_weight=ranking.nine_bits)
    exact = with_scores(proof.exact, scores)
    empty = sum(not vector for vector in documents)
    for store in ("opensearch", "opensearch-sparse-vector"):
        index = f"empty-{store}"
        proof.create_index(index, store)
        loaded = proof.server.load(index, proof.encode(f"{index}.ndjson", *prune, store=store))
        proof.expect(index, loaded, len(exact.ids))
        ranking.compare(f"{store}, {empty} documents without a term", exact, proof.search(index, store=store))


def main(program, data, model, place):
    with Server(place) as server:
        version = server.ask("GET", "/")["version"]
        print(f"opensearch: {version['distribution']} {version['number']} on Lucene {version['lucene_version']}")
        proof = Proof(program, data, model, place, server)
        prove_rank_features(proof)
        prove_create(proof)
        prove_update(proof)
        prove_windows(proof)
        prove_sparse_vector(proof)
        prove_empty_vectors(proof)
    print("opensearch: the node stopped cleanly")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
