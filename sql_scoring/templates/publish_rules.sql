-- {kind}: rule set {version}.
{registration}SELECT scoring.set_rule_set({version});

INSERT INTO scoring.rule_set_revisions (revision, schema_revision, kind, version)
VALUES ({revision}, {schema_revision}, {kind_literal}, {version});
