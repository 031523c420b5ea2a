#!/bin/sh
# Runs memweld with passwords that stand in files, as secrets of containers do: PGPASSWORD_FILE=/run/secrets/… sets
# PGPASSWORD, for this process and not for the whole container.
set -eu

for name in PGPASSWORD MEMWELD_GRAPH_PASSWORD; do
    eval "file=\${${name}_FILE:-}"
    if [ -n "$file" ] && [ -r "$file" ]; then
        value="$(cat "$file")"
        # Neo4j's own file has its login before the password.
        export "$name=${value#neo4j/}"
    elif [ -n "$file" ] && [ -e "$file" ]; then
        echo "memweld: the user $(id -u) cannot read $file: chown 10001 it, and chmod 0400." >&2
        exit 1
    fi
done

exec memweld "$@"
