-- The score of the model that did not decide; feature_values only where they differ from the decision's.
CREATE TYPE scoring.shadow_score AS (
    model_version text,
    probability double precision,
    feature_values real[],
    error text
);
