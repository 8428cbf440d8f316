"""Vespa, as far as it is Java: its reader of schemas, its reader of documents, and its library of tensors.

Its content nodes, which search, are C++, and published in a container image only. So what is proven here is that Vespa
reads the schema, the feed and the tensors in the queries, and that the rank profile, worked out by Vespa over every
document, ranks them as our vectors do. The YQL is not tried. Needs `mvn`, and a Java of at least 17: in JAVA_HOME, or
on the PATH.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import ranking

KEPT = "title"
NAME = "cran"
# The last of which every artifact is on Maven Central.
VERSION = "8.700.24"
ARTIFACTS = ["config-model", "config-model-api", "config-provisioning", "container-dev"]


def pom():
    dependencies = "".join(
        f"<dependency><groupId>com.yahoo.vespa</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{VERSION}</version></dependency>"
        for artifact in ARTIFACTS
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>engines</groupId><artifactId>vespa</artifactId>"
        f"<version>1</version><dependencies>{dependencies}</dependencies></project>\n"
    )


def install(place):
    """The folder of the jars. They are fetched once; the file of the pom is there when they are complete."""
    jars, complete = pathlib.Path(place, "jars").resolve(), pathlib.Path(place, "pom.xml")
    if complete.exists() and complete.read_text() == pom():
        return jars
    shutil.rmtree(jars, ignore_errors=True)
    unfinished = pathlib.Path(place, "unfinished.xml")
    unfinished.write_text(pom())
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
    maven = ["mvn", "--quiet", "--batch-mode", "--file", unfinished.resolve(), goal, f"-DoutputDirectory={jars}"]
    subprocess.run(maven, check=True)
    unfinished.rename(complete)
    return jars


def with_kept_field(schema):
    """A document type must name each of its fields."""
    start = f"document {NAME} {{\n"
    if start not in schema:
        sys.exit(f"vespa: the schema has no line `{start.rstrip()}`")
    return schema.replace(start, start + f"field {KEPT} type string {{ indexing: summary | index }}\n", 1)


def main():
    program, data, model, place = sys.argv[1:]
    jars = install(place)
    documents, queries = f"{place}/documents.jsonl", f"{place}/queries.jsonl"
    named = ["--index-name", NAME]
    ranking.encode_documents(program, model, data, documents, "--format", "vespa", "--keep", KEPT, *named)
    exact = ranking.Exact(program, model, data, place)
    schema = pathlib.Path(place, f"{NAME}.sd")
    schema.write_text(with_kept_field(ranking.call(program, "target", "mapping", "vespa", "--model", model, *named)))
    with open(queries, "w", encoding="utf-8") as file:
        file.writelines(f"{body}\n" for body in ranking.query_bodies(program, model, "vespa", exact.texts, *named))

    java = f"{os.environ['JAVA_HOME']}/bin/java" if "JAVA_HOME" in os.environ else "java"
    source = pathlib.Path(__file__).with_name("VespaRanking.java")
    printed = ranking.call(java, "-cp", f"{jars}/*", source, schema, documents, queries)
    ranking.compare("vespa", exact, ranking.lines(printed))


main()
