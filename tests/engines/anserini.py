"""Lucene, as Anserini and Pyserini use it: JsonVectorCollection, an index of impacts, a query of repeated terms.

Needs Java 21 or newer: JAVA_HOME, or `java` on the PATH.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

import ranking

# Anserini's program comes inside Pyserini's source distribution. Pyserini itself is Python around its classes, and would
# need PyTorch, which indexing and searching do not.
PYSERINI = "1.6.0"
SCALE = 100


def anserini_jar(place):
    """Path of Anserini's program with all that it needs, kept in `place`."""
    kept = list(place.glob("anserini-*-fatjar.jar"))
    if kept:
        return kept[0]
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pyserini"]
    subprocess.run([*download, "--dest", place, f"pyserini=={PYSERINI}"], check=True)
    archive = place / f"pyserini-{PYSERINI}.tar.gz"
    with tarfile.open(archive) as files:
        (member,) = (file for file in files if file.name.endswith("-fatjar.jar"))
        jar = place / pathlib.PurePosixPath(member.name).name
        partial = jar.with_suffix(".part")
        with files.extractfile(member) as source, open(partial, "wb") as target:
            shutil.copyfileobj(source, target)
        partial.rename(jar)
    archive.unlink()
    return jar


def run(jar, log, tool, *arguments):
    """Runs one of Anserini's programs; what it prints goes into `log`, and is shown if it fails."""
    java = os.path.join(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else "java"
    done = subprocess.run(
        [java, "-cp", jar, tool, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    log.write_text(done.stdout)
    if done.returncode != 0:
        sys.exit(f"anserini: {tool} failed:\n{done.stdout}")
    return done.stdout


def index(jar, place, collection):
    target = place / "index"
    shutil.rmtree(target, ignore_errors=True)
    reading = ["-collection", "JsonVectorCollection", "-input", collection]
    writing = ["-generator", "DefaultLuceneDocumentGenerator", "-index", target, "-threads", "1"]
    said = run(
        jar, place / "index.log", "io.anserini.index.IndexCollection", *reading, *writing, "-impact", "-pretokenized"
    )
    # It exits with 0 after a file that it could not read.
    if "Exception" in said:
        sys.exit(f"anserini: a file was not read:\n{said}")
    return target


def search(jar, place, index, queries):
    """For each query, (document id, score) pairs. A query is its terms, each as often as its weight says."""
    topics, run_file = place / "queries.tsv", place / "run.txt"
    # A line with no terms would end the program.
    lines = [f"{number}\t{query}\n" for number, query in enumerate(queries) if query]
    topics.write_text("".join(lines), encoding="utf-8")
    reading = ["-index", index, "-topics", topics, "-topicReader", "TsvString"]
    writing = ["-output", run_file, "-hits", str(ranking.TOP)]
    run(
        jar, place / "search.log", "io.anserini.search.SearchCollection", *reading, *writing, "-impact", "-pretokenized"
    )
    hits = [[] for _ in queries]
    for line in run_file.read_text(encoding="utf-8").rstrip("\n").split("\n"):
        # TREC's layout: query, Q0, id, rank, score, name; an id may have spaces in it.
        number, rest = line.split(" Q0 ", 1)
        identifier, _, score, _ = rest.rsplit(" ", 3)
        hits[int(number)].append((identifier, float(score)))
    return hits


def main(program, data, model, place):
    place = pathlib.Path(place)
    jar = anserini_jar(place)
    # A folder of its own: whatever else lies in it would be read as documents.
    collection = place / "collection"
    shutil.rmtree(collection, ignore_errors=True)
    collection.mkdir()
    ranking.encode_documents(program, model, data, collection / "vectors.jsonl", "--format", "anserini")
    impacts = ranking.integers(SCALE)
    exact = ranking.Exact(program, model, data, place, impacts, impacts)
    queries = ranking.query_bodies(program, model, "anserini", exact.texts)
    hits = search(jar, place, index(jar, place, collection), queries)
    ranking.compare("anserini", exact, hits)
    ranking.compare(
        "anserini, to the weights before rounding",
        ranking.Exact(program, model, data, place),
        hits,
        scale=SCALE * SCALE,
        least_overlap=0.98,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
