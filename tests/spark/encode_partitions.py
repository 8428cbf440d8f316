#!/usr/bin/env python3
"""Encodes a JSONL collection on Spark, each partition piped through neural-sparse, and compares with one run.

    pip install pyspark        # and a Java runtime
    python tests/spark/encode_partitions.py target/release/neural-sparse docs.jsonl [PARTITIONS] [MASTER]

Every row needs an id of its own: within a partition, line numbers begin at 1 again.
"""

import shlex
import subprocess
import sys

from pyspark.sql import SparkSession


def main(program, docs, partitions="4", master="local[2]"):
    # One thread a partition: Spark runs as many partitions at once as there are cores.
    piped = [program, "encode", "--model", "tiny", "--quiet", "--threads", "1", "--input", "-", "--output", "-"]
    spark = SparkSession.builder.master(master).appName("neural-sparse").getOrCreate()
    rows = spark.sparkContext.textFile(docs, minPartitions=int(partitions))
    # checkCode: a partition whose program fails, or rejects a row, fails the job.
    vectors = rows.pipe(shlex.join(piped), checkCode=True).collect()
    num_partitions = rows.getNumPartitions()
    spark.stop()

    alone = [program, "encode", "--model", "tiny", "--quiet", "--input", docs]
    # Not splitlines, which takes other characters than the newline for line ends.
    expected = subprocess.run(alone, check=True, stdout=subprocess.PIPE).stdout.decode().split("\n")[:-1]
    if vectors != expected:
        sys.exit(f"different: {len(vectors)} rows from Spark, {len(expected)} from one run")
    print(f"the same {len(vectors)} rows, byte for byte, from {num_partitions} partitions as from one run")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
