"""Postgres: pooled connections, transactions bound to users, row-level security, HNSW and the migrations.

psycopg is imported with it; `memweld.connect` says what to install where it is missing.
"""
