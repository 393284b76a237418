-- Stores a batch of transactions for the API, and returns each stored row with the ordinal of its request.
--
-- A key that was used before returns the row of its first use, with is_replayed. Unless p_waits_for_locks, a row whose
-- user is locked by another transaction is skipped and not returned, so that no request waits for another's user.
-- An error of one row rolls all of them back; the caller then stores them individually.
CREATE OR REPLACE FUNCTION scoring.insert_transactions(p_rows jsonb, p_waits_for_locks boolean)
RETURNS TABLE (
    ordinal integer,
    is_replayed boolean,
    transaction_id bigint,
    user_id bigint,
    amount numeric,
    merchant_id bigint,
    location text,
    occurred_at timestamptz,
    fraud_flag text,
    fraud_probability double precision,
    model_version text,
    unscored_reason text
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT q.*
        FROM
            jsonb_to_recordset(p_rows) AS q (
                ordinal integer,
                user_id bigint,
                amount numeric,
                merchant_id bigint,
                location text,
                occurred_at timestamptz,
                idempotency_key text
            )
    LOOP
        CONTINUE WHEN NOT p_waits_for_locks
            AND NOT pg_try_advisory_xact_lock(7265, hashint8(r.user_id) & 4095);
        RETURN QUERY
            INSERT INTO public.transactions AS t
                (user_id, amount, merchant_id, location, occurred_at, idempotency_key)
            VALUES (r.user_id, r.amount, r.merchant_id, r.location, r.occurred_at, r.idempotency_key)
            ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
            RETURNING
                r.ordinal, false, t.transaction_id, t.user_id, t.amount, t.merchant_id, t.location, t.occurred_at,
                t.fraud_flag, t.fraud_probability, t.model_version, t.unscored_reason;
        IF NOT FOUND THEN
            RETURN QUERY
                SELECT
                    r.ordinal, true, t.transaction_id, t.user_id, t.amount, t.merchant_id, t.location, t.occurred_at,
                    t.fraud_flag, t.fraud_probability, t.model_version, t.unscored_reason
                FROM public.transactions AS t
                WHERE t.user_id = r.user_id AND t.idempotency_key = r.idempotency_key;
        END IF;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA scoring TO rowguard_api;

GRANT EXECUTE ON FUNCTION scoring.insert_transactions(jsonb, boolean) TO rowguard_api;
