"""Tables in a SQL database: owners, items, state and messages, and the transactions that hold them together."""
