-- Gives each transaction that waits for review a case, and returns how many cases were opened. An INSERT does nothing
-- for it: the partial index transactions_review_idx has the rows. Callers of the queue call it first. It looks back a
-- day behind the newest case, for transactions that committed late; the first call looks back 30 days.
CREATE OR REPLACE FUNCTION scoring.open_review_cases(p_due_hours double precision DEFAULT 24)
RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_since timestamptz;
    v_opened integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(scoring.job_lock_space(), scoring.job_lock_key('reviews')) THEN
        RETURN 0; -- another session does it right now
    END IF;
    v_since := coalesce(
        (SELECT c.opened_at FROM scoring.review_cases AS c ORDER BY c.case_id DESC LIMIT 1),
        clock_timestamp() - interval '30 days'
    ) - interval '1 day';
    WITH waiting AS MATERIALIZED (
        SELECT t.user_id, t.transaction_id, t.amount, t.fraud_probability, t.received_at
        FROM public.transactions AS t
        WHERE
            (t.outcome = 'review' OR t.is_control OR (t.outcome IS NULL AND t.fraud_flag = 'FRAUD'))
            AND t.received_at >= v_since
            AND NOT EXISTS (
                SELECT
                FROM scoring.review_case_transactions AS r
                WHERE r.user_id = t.user_id AND r.transaction_id = t.transaction_id
            )
    ),

    cases AS (
        INSERT INTO scoring.review_cases AS c (
            user_id, due_at, transaction_count, amount_total, max_fraud_probability
        )
        SELECT
            w.user_id,
            min(w.received_at) + make_interval(secs => p_due_hours * 3600),
            count(*),
            sum(w.amount),
            max(w.fraud_probability)
        FROM waiting AS w
        GROUP BY w.user_id
        ORDER BY min(w.received_at), w.user_id
        ON CONFLICT (user_id) WHERE state = 'open' DO UPDATE
        SET transaction_count = c.transaction_count + excluded.transaction_count,
            amount_total = c.amount_total + excluded.amount_total,
            max_fraud_probability = greatest(c.max_fraud_probability, excluded.max_fraud_probability)
        RETURNING c.case_id, c.user_id, c.transaction_count, c.xmax = 0 AS is_new
    ),

    members AS (
        INSERT INTO scoring.review_case_transactions (user_id, transaction_id, case_id)
        SELECT w.user_id, w.transaction_id, c.case_id
        FROM waiting AS w
        INNER JOIN cases AS c ON w.user_id = c.user_id
    ),

    events AS (
        INSERT INTO scoring.audit_events (actor, action, subject, details)
        SELECT
            'rowguard',
            CASE WHEN c.is_new THEN 'review.open' ELSE 'review.extend' END,
            'case ' || c.case_id,
            jsonb_build_object('transactions', c.transaction_count)
        FROM cases AS c
        ORDER BY c.case_id
    )

    SELECT count(*) FILTER (WHERE c.is_new) INTO v_opened FROM cases AS c;
    RETURN v_opened;
END
$$;
