"""Elasticsearch: a node of the artifacts that Elastic publishes on Maven Central, the server, its HTTP transport and
the core of x-pack, which holds the query `sparse_vector`.

The file goes in as it is, by one bulk request. Elasticsearch keeps 9 significant bits of a document's weight, and is
held against that. Needs `mvn`, and a Java of at least 21: in JAVA_HOME, on the PATH or below /usr/lib/jvm.
"""

import contextlib
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import ranking

KEPT = "title"
NAME = "cran"
# One of which every artifact that is needed is on Maven Central.
VERSION = "9.5.3"
OLDEST_JAVA = 21
ARTIFACTS = ["org.elasticsearch:elasticsearch", "org.elasticsearch.plugin:transport-netty4"]
ARTIFACTS += ["org.elasticsearch.plugin:x-pack-core"]
# Not published, and needed by parts of x-pack only that are not loaded.
EXCLUDED = "org.elasticsearch.plugin:x-pack-template-resources"
# A module's class, and how the names begin of the jars that are its own.
MODULES = {
    "transport-netty4": ("org.elasticsearch.transport.netty4.Netty4Plugin", ["transport-netty4-", "netty-"]),
    "x-pack-core": (
        "org.elasticsearch.xpack.core.XPackClientPlugin",
        ["x-pack-core-", "unboundid-", "http", "commons-logging-", "commons-codec-"],
    ),
}


def find_java():
    homes = [os.environ.get("JAVA_HOME"), *sorted(glob.glob("/usr/lib/jvm/*"))]
    for java in [f"{homes[0]}/bin/java", shutil.which("java"), *(f"{home}/bin/java" for home in homes[1:])]:
        if java and os.access(java, os.X_OK):
            said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
            version = re.search(r'version "(\d+)', said)
            if version and int(version[1]) >= OLDEST_JAVA:
                return java
    sys.exit(f"elasticsearch: no Java of at least {OLDEST_JAVA} found; name its folder in JAVA_HOME")


def pom():
    def names(artifact):
        group, name = artifact.split(":")
        return f"<groupId>{group}</groupId><artifactId>{name}</artifactId>"

    exclusions = f"<exclusions><exclusion>{names(EXCLUDED)}</exclusion></exclusions>"
    dependencies = "".join(
        f"<dependency>{names(artifact)}<version>{VERSION}</version>{exclusions}</dependency>" for artifact in ARTIFACTS
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>engines</groupId><artifactId>elasticsearch</artifactId>"
        f"<version>1</version><dependencies>{dependencies}</dependencies></project>\n"
    )


def install(place):
    """The folder of the server's jars, and that of the modules; fetched once. The file of the pom is there when both
    are complete."""
    jars, modules, complete = place / "jars", place / "modules", place / "pom.xml"
    if complete.exists() and complete.read_text() == pom():
        return jars, modules
    for folder in (jars, modules):
        shutil.rmtree(folder, ignore_errors=True)
    unfinished = place / "unfinished.xml"
    unfinished.write_text(pom())
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
    maven = ["mvn", "--quiet", "--batch-mode", "--file", unfinished, goal, f"-DoutputDirectory={jars}"]
    subprocess.run(maven, check=True)
    for name, (class_name, beginnings) in MODULES.items():
        (modules / name).mkdir(parents=True)
        for jar in jars.iterdir():
            if jar.name.startswith(tuple(beginnings)):
                jar.rename(modules / name / jar.name)
        description = {"name": name, "description": name, "version": VERSION, "elasticsearch.version": VERSION}
        description |= {"java.version": OLDEST_JAVA, "classname": class_name}
        lines = [f"{key}={value}\n" for key, value in description.items()]
        (modules / name / "plugin-descriptor.properties").write_text("".join(lines))
    unfinished.rename(complete)
    return jars, modules


@contextlib.contextmanager
def running(place):
    """The address of a node that runs while the `with` block does."""
    jars, modules = install(place)
    home = place / "node"
    shutil.rmtree(home, ignore_errors=True)
    for folder in ("config", "logs"):
        (home / folder).mkdir(parents=True)
    (home / "modules").symlink_to(modules)
    source = pathlib.Path(__file__).with_name("ElasticsearchNode.java")
    native = "--enable-native-access=ALL-UNNAMED"
    command = [find_java(), "-Xmx1g", native, "--module-path", jars, "--add-modules", "ALL-MODULE-PATH", source, home]
    ports, log = home / "logs" / "http.ports", home / "logs" / "output"
    with open(log, "w") as output:
        node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(240):
            if node.poll() is not None:
                sys.exit(f"elasticsearch: the node has ended; see {log}")
            if ports.exists() and (address := re.search(r"127\.0\.0\.1:\d+", ports.read_text())):
                break
            time.sleep(0.5)
        else:
            sys.exit(f"elasticsearch: the node does not listen; see {log}")
        yield f"http://{address[0]}"
    finally:
        node.stdin.close()
        try:
            node.wait(30)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()


def send(method, url, body=b"", kind="application/json"):
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": kind})
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"elasticsearch: {method} {url}: {error.read().decode()[:2000]}")


def main():
    program, data, model, place = sys.argv[1:]
    output, named = f"{place}/bulk.ndjson", ["--index-name", NAME]
    ranking.encode_documents(program, model, data, output, "--format", "elasticsearch", "--keep", KEPT, *named)
    exact = ranking.Exact(program, model, data, place, document_weight=ranking.nine_bits)
    mapping = ranking.call(program, "target", "mapping", "elasticsearch", "--model", model, *named)
    queries = ranking.query_bodies(program, model, "elasticsearch", exact.texts, *named)

    hits, titles = [], {}
    with running(pathlib.Path(place).resolve()) as address:
        send("PUT", f"{address}/{NAME}", mapping.encode())
        loaded = send("POST", f"{address}/_bulk?refresh=true", open(output, "rb").read(), "application/x-ndjson")
        refused = [item for item in loaded["items"] if item["index"]["status"] != 201]
        if refused or len(loaded["items"]) != len(exact.ids):
            sys.exit(f"elasticsearch: {len(refused)} of {len(loaded['items'])} documents refused: {refused[:1]}")
        for query in queries:
            found = send("POST", f"{address}/{NAME}/_search", query.encode())["hits"]["hits"]
            hits.append([(hit["_id"], hit["_score"]) for hit in found])
            titles |= {hit["_id"]: hit["_source"][KEPT] for hit in found}
    rows = ranking.lines(open(f"{data}/corpus.jsonl", encoding="utf-8", newline="\n").read())
    if not titles.items() <= {str(row["_id"]): row[KEPT] for row in rows}.items():
        sys.exit("elasticsearch: a hit has not the title of its document")
    ranking.compare("elasticsearch", exact, hits)


main()
