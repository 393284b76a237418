-- Back to before. Rows keep their decisions; second opinions, gate reports and let-through settings are lost.
DROP VIEW public.model_versions;

DROP TRIGGER spare_on_insert ON public.transactions;

DROP TRIGGER shadow_on_insert ON public.transactions;

DROP FUNCTION scoring.spare_on_insert();

DROP FUNCTION scoring.shadow_on_insert();

DROP TABLE scoring.let_through_shares;

DROP TABLE scoring.gate_reports;

ALTER TABLE scoring.model_revisions
DROP COLUMN steps,
DROP COLUMN challenger,
DROP CONSTRAINT model_revisions_kind_known,
ADD CONSTRAINT model_revisions_kind_known CHECK (kind IN ('deploy', 'rollback'));

ALTER TABLE scoring.models
DROP COLUMN reference,
DROP COLUMN canary_percent;

DROP INDEX scoring.models_one_challenger_idx;

DROP INDEX public.transactions_received_idx;

ALTER TABLE public.transactions
DROP COLUMN is_let_through,
DROP COLUMN shadow_version,
DROP COLUMN shadow_probability,
DROP COLUMN shadow_feature_values,
DROP COLUMN shadow_error;

-- The registry as people read it: one row per model version, newest first.
CREATE VIEW public.model_versions AS
SELECT
    m.version,
    m.state,
    m.state_reason,
    m.model_kind,
    m.layout,
    m.trained_at,
    m.train_from,
    m.train_to,
    m.label_cutoff,
    m.row_count,
    m.fraud_count,
    m.threshold,
    m.threshold_rule,
    m.metrics,
    m.tree_count,
    m.node_count,
    m.sql_bytes,
    m.sql_sha256,
    m.artifact_sha256,
    m.feature_names,
    m.feature_hash,
    m.library_versions,
    m.deployed_at,
    m.deployed_by
FROM scoring.models AS m
ORDER BY m.trained_at DESC, m.version DESC;

GRANT SELECT ON public.model_versions TO rowguard_app, rowguard_api, rowguard_trainer, rowguard_readonly;
