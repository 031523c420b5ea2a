"""SQLite: pooled connections, transactions and the tables of one file."""
