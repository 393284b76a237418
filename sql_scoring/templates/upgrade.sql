-- {kind} {version}: the models' states, the functions that callers know, and this revision.
{states}
{facades}
INSERT INTO scoring.model_revisions ({columns})
VALUES ({values});

SELECT scoring.bind_outcomes();
