"""One module a framework: ``play(backend, user_id, prompt)`` runs a real agent and returns lines of dialogue."""
