-- The result of score_transaction and score_features. probability is the confidence in the prediction.
CREATE TYPE public.fraud_score AS (
    prediction integer,
    probability double precision,
    flag text,
    fraud_probability double precision,
    model_version text
);
