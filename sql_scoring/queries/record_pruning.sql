-- The history says when a version's function went; its state stays.
INSERT INTO scoring.model_state_changes (version, from_state, to_state, reason)
VALUES (%(version)s, %(state)s, %(state)s, 'function pruned')
