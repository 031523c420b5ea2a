"""Running a script of a step: our schema and pgvector's are named in it, and nothing else is looked for.

The search path of a migration has our schema alone. What lies in ``public``, where on many servers anybody may create
functions, can so take no part in what is made here.
"""

from __future__ import annotations

from alembic import op

__all__ = ["run"]


def run(script: str) -> None:
    """Run SQL in which ``@schema@`` stands for the schema of our tables and ``@vector@`` for that of pgvector."""
    bind = op.get_bind()
    schema, home = bind.exec_driver_sql(
        "SELECT quote_ident(current_schema()), quote_ident(n.nspname) FROM pg_extension AS e "
        "JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
    ).one()
    filled = script.replace("@schema@", schema).replace("@vector@", home)
    bind.exec_driver_sql(filled.replace("%", "%%"))
