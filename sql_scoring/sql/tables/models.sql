-- One row per model version: the registry. It holds the function's text and hash, so that missing revision files can
-- be restored. The function is scoring.<version>.
CREATE TABLE scoring.models (
    version text NOT NULL,
    state text NOT NULL,
    model_kind text NOT NULL,
    layout text NOT NULL,
    feature_names text[] NOT NULL,
    feature_hash text NOT NULL,
    trained_at timestamptz NOT NULL,
    train_from timestamptz NOT NULL,
    train_to timestamptz NOT NULL,
    label_cutoff timestamptz NOT NULL,
    row_count bigint NOT NULL,
    fraud_count bigint NOT NULL,
    threshold double precision NOT NULL,
    threshold_rule text NOT NULL,
    metrics jsonb NOT NULL,
    tree_count integer NOT NULL,
    node_count integer NOT NULL,
    sql_text text,
    sql_bytes integer NOT NULL,
    sql_sha256 text NOT NULL,
    -- What build_explanation reads: JSON, kept as text so that its revision file can be restored byte for byte.
    explanation text,
    artifact_sha256 text NOT NULL,
    library_versions jsonb NOT NULL,
    state_reason text,
    deployed_at timestamptz,
    deployed_by text,
    -- Distribution of scores and features in training, which monitoring compares live rows with.
    reference jsonb,
    -- Percentage of users whose transactions it decides while it is the challenger.
    canary_percent double precision,
    -- Of a boosted model, whose function returns a margin: from this margin on the probability reaches the threshold.
    margin_cut double precision,
    CONSTRAINT models_pkey PRIMARY KEY (version),
    CONSTRAINT models_version_form CHECK (version ~ '^[a-z][a-z0-9_]{0,62}$'),
    CONSTRAINT models_state_known CHECK (
        state IN ('candidate', 'challenger', 'champion', 'retired', 'rejected')
    ),
    CONSTRAINT models_threshold_range CHECK (threshold >= 0),
    CONSTRAINT models_canary_range CHECK (canary_percent BETWEEN 0 AND 100)
);

-- At most one champion, and at most one challenger.
CREATE UNIQUE INDEX models_one_champion_idx ON scoring.models (state)
WHERE state = 'champion';

CREATE UNIQUE INDEX models_one_challenger_idx ON scoring.models (state)
WHERE state = 'challenger';
