"""Libraries on servers: PostgreSQL holds tracks and fingerprints, Milvus searches them.

Named by an address, ``postgresql://HOST/NAME``, wherever a folder may be named. Needs the packages
of the extra ``cluster``, which are imported only when a library at an address is opened.
"""
