"""What each framework does: ``play(backend, user_id, said)`` runs its real agent and tells what came of it."""
