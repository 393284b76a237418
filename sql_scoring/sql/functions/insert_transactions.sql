-- Stores a batch of transactions for the API with one INSERT, and returns each row with the position of its request.
--
-- Unless p_waits_for_locks, the rows of a user or serialized entity whose lock another transaction holds are skipped and
-- not returned, so that no request waits for another's user. Each lock is tried once: of a user all rows are stored in order, or none.
-- A key that was used before returns the row of its first use, with is_replayed.
-- An error of one row rolls all of them back; the caller then stores them individually.
-- Ids are assigned first: they show whose row is whose, and which request of a key stored it.
CREATE OR REPLACE FUNCTION scoring.insert_transactions(p_rows jsonb, p_waits_for_locks boolean)
RETURNS TABLE (
    ordinal integer,
    is_replayed boolean,
    transaction_id bigint,
    external_id text,
    user_id bigint /* key type */,
    amount numeric,
    /* for each column: {name} {type}, */
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
    v_ids bigint[] := ARRAY(
        SELECT nextval('public.transactions_transaction_id_seq'::regclass)
        FROM generate_series(1, jsonb_array_length(p_rows))
    );
    v_stored integer;
BEGIN
    RETURN QUERY
        WITH
        free_locks AS MATERIALIZED (
            SELECT k.lock_key
            FROM (
                SELECT DISTINCT u.lock_key
                FROM jsonb_to_recordset(p_rows) AS q (user_id bigint /* key type */ /* for each column: , {name} {type} */)
                CROSS JOIN
                    LATERAL unnest(ARRAY[scoring.user_lock_key(q.user_id) /* for each serialized entity: , {q_key} */])
                        AS u (lock_key)
            ) AS k
            WHERE pg_try_advisory_xact_lock(k.lock_key)
        )

        INSERT INTO public.transactions AS t
            (transaction_id, user_id, amount, occurred_at, idempotency_key, external_id /* for each column: , {name} */)
        SELECT
            v_ids[q.ordinality], q.user_id, q.amount, q.occurred_at, q.idempotency_key, q.external_id
            /* for each column: , q.{name} */
        FROM
            ROWS FROM (
                jsonb_to_recordset(p_rows) AS (
                    user_id bigint /* key type */,
                    amount numeric,
                    /* for each column: {name} {type}, */
                    occurred_at timestamptz,
                    idempotency_key text,
                    external_id text
                )
            ) WITH ORDINALITY AS q
        WHERE
            p_waits_for_locks
            OR (
                scoring.user_lock_key(q.user_id) IN (SELECT f.lock_key FROM free_locks AS f)
                /* for each serialized entity: AND coalesce({q_key} IN (SELECT f.lock_key FROM free_locks AS f), true) */
            )
        ON CONFLICT (user_id, idempotency_key) DO NOTHING
        RETURNING
            array_position(v_ids, t.transaction_id) - 1, false, t.transaction_id, t.external_id::text, t.user_id,
            t.amount::numeric,
            /* for each column: t.{name}::{type}, */ t.occurred_at, t.fraud_flag, t.fraud_probability, t.model_version,
            t.unscored_reason;
    GET DIAGNOSTICS v_stored = ROW_COUNT;
    IF v_stored < cardinality(v_ids) THEN
        RETURN QUERY
            SELECT
                q.ordinality::integer - 1, true, t.transaction_id, t.external_id::text, t.user_id, t.amount::numeric,
                /* for each column: t.{name}::{type}, */ t.occurred_at, t.fraud_flag, t.fraud_probability, t.model_version, t.unscored_reason
            FROM
                ROWS FROM (jsonb_to_recordset(p_rows) AS (user_id bigint /* key type */, idempotency_key text)) WITH ORDINALITY AS q
            INNER JOIN public.transactions AS t ON q.user_id = t.user_id AND q.idempotency_key = t.idempotency_key
            WHERE t.transaction_id <> v_ids[q.ordinality];
    END IF;
END
$$;
