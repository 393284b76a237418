-- The result of score_transaction and score_features. probability is the confidence in the prediction.
-- Of score_features, which has no transaction, the last three are NULL.
CREATE TYPE public.fraud_score AS (
    prediction integer,
    probability double precision,
    flag text,
    fraud_probability double precision,
    model_version text,
    outcome text,
    outcome_reasons text[],
    rule_set_version integer
);
