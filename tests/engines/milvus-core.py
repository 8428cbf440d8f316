"""Milvus's C++ core, with its index library Knowhere: milvus-lite 2.5, the last that held them.

It runs as a process of its own and listens on a Unix socket. The rest is as in milvus.py.
"""

import milvus

milvus.main("milvus-core")
