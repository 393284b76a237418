-- What clients were told, to compare with what is stored.
CREATE TEMP TABLE acknowledged (
    user_id bigint,
    idempotency_key text,
    transaction_id bigint,
    fraud_probability double precision,
    model_version text,
    unscored_reason text
)
