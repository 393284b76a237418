-- What the facade answers: everything that the trigger puts on the row.
CREATE TYPE scoring.decision AS (
    fraud_probability double precision,
    is_fraud boolean,
    model_version text,
    feature_values real[]
);
