-- Times inside the server, each call in its own transaction, as an application's would be: PL/pgSQL keeps the
-- executable form of its expressions for one transaction only. The commit is not in the times.
CREATE SCHEMA IF NOT EXISTS bench;

CREATE TABLE IF NOT EXISTS bench.times (what text NOT NULL, microseconds double precision NOT NULL);

CREATE OR REPLACE PROCEDURE bench.time_inserts(p_what text, p_user_ids bigint[], p_merchant_ids bigint[], p_calls integer)
LANGUAGE plpgsql
AS $$
DECLARE
    v_start timestamptz;
    v_times double precision[] := '{}';
    v_user bigint;
    v_merchant bigint;
BEGIN
    FOR v_call IN 1..p_calls LOOP
        v_user := p_user_ids[1 + v_call % cardinality(p_user_ids)];
        v_merchant := p_merchant_ids[1 + v_call % cardinality(p_merchant_ids)];
        COMMIT;
        v_start := clock_timestamp();
        INSERT INTO public.transactions (user_id, amount, merchant_id) VALUES (v_user, 12.5, v_merchant);
        v_times := v_times || (extract(epoch FROM clock_timestamp() - v_start) * 1e6)::double precision;
    END LOOP;
    INSERT INTO bench.times SELECT p_what, t FROM unnest(v_times) AS t;
    COMMIT;
END
$$;

-- The rows that a feature read touches, read by the same indexes, and nothing computed of them.
CREATE OR REPLACE FUNCTION bench.plain_read(p_user_id bigint, p_merchant_id bigint, p_occurred_at timestamptz)
RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_read bigint;
BEGIN
    SELECT num_nonnulls(
        (SELECT u.home_location FROM public.users AS u WHERE u.user_id = p_user_id),
        l.occurred_at, l.user_txns_before, l.user_amount_before, l.user_amount_squares_before,
        s.txns, s.amounts, s.squares,
        m.{merchant_value}
    )
    INTO v_read
    FROM (SELECT 1) AS c
    LEFT JOIN LATERAL (
        SELECT e.occurred_at, e.user_txns_before, e.user_amount_before, e.user_amount_squares_before
        FROM public.transactions AS e
        WHERE e.user_id = p_user_id
        ORDER BY e.occurred_at DESC, e.user_txns_before DESC
        LIMIT 1
    ) AS l ON NOT EXISTS (
        SELECT FROM public.transactions AS n WHERE n.user_id = p_user_id AND n.user_txns_before IS NULL
    )
    CROSS JOIN LATERAL (
        SELECT
            array_agg(f.user_txns_before) AS txns,
            array_agg(f.user_amount_before) AS amounts,
            array_agg(f.user_amount_squares_before) AS squares
        FROM unnest(ARRAY[{windows}]) AS w (length)
        LEFT JOIN LATERAL (
            SELECT e.user_txns_before, e.user_amount_before, e.user_amount_squares_before
            FROM public.transactions AS e
            WHERE e.user_id = p_user_id AND e.occurred_at > p_occurred_at - w.length
            ORDER BY e.occurred_at, e.user_txns_before
            LIMIT 1
        ) AS f ON true
    ) AS s
    LEFT JOIN LATERAL (
        SELECT k.* FROM {merchant_risk} AS k
        WHERE k.merchant_id = p_merchant_id AND k.valid_from <= (p_occurred_at AT TIME ZONE 'UTC')::date
        ORDER BY k.valid_from DESC LIMIT 1
    ) AS m ON true;
    RETURN v_read;
END
$$;

CREATE OR REPLACE PROCEDURE bench.time_reads(p_user_ids bigint[], p_merchant_ids bigint[], p_at timestamptz, p_calls integer)
LANGUAGE plpgsql
AS $$
DECLARE
    v_start timestamptz;
    v_features double precision[] := '{}';
    v_plain double precision[] := '{}';
    v_user bigint;
    v_merchant bigint;
    v_decision scoring.decision;
    v_rows bigint;
BEGIN
    FOR v_call IN 1..p_calls LOOP
        -- Both for the same user in turn, so that a slow minute of the machine hits both; a first unmeasured read loads
        -- the pages.
        v_user := p_user_ids[1 + v_call % cardinality(p_user_ids)];
        v_merchant := p_merchant_ids[1 + v_call % cardinality(p_merchant_ids)];
        v_rows := bench.plain_read(v_user, v_merchant, p_at);
        COMMIT;
        v_start := clock_timestamp();
        v_decision := {live_function}(ROW(v_user, 12.5, p_at, v_merchant, NULL)::scoring.scoring_request);
        v_features := v_features || (extract(epoch FROM clock_timestamp() - v_start) * 1e6)::double precision;
        COMMIT;
        v_start := clock_timestamp();
        v_rows := bench.plain_read(v_user, v_merchant, p_at);
        v_plain := v_plain || (extract(epoch FROM clock_timestamp() - v_start) * 1e6)::double precision;
        COMMIT;
    END LOOP;
    INSERT INTO bench.times
    SELECT 'features', t FROM unnest(v_features) AS t
    UNION ALL SELECT 'plain', t FROM unnest(v_plain) AS t;
    COMMIT;
END
$$;
