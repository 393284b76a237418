-- Before the first row goes: from now on the training set begins at complete_from.
INSERT INTO scoring.retention_runs (cut, complete_from, transactions, labels, archives)
VALUES (%(cut)s, %(complete_from)s, %(transactions)s, %(labels)s, %(archives)s)
RETURNING run_id
