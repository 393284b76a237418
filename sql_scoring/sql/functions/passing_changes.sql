-- What would have let an alert pass: for each feature the nearest values, smaller and larger, at which the deployed
-- function scores below the threshold, all other values unchanged. Fewest crossed cuts first; no rows when no single
-- change does, or the row is no alert.
CREATE OR REPLACE FUNCTION public.passing_changes(user_id bigint /* key type */, transaction_id bigint)
RETURNS TABLE (
    feature text,
    value double precision,
    passing_value double precision,
    fraud_probability double precision,
    cuts_crossed integer
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_row public.transactions := scoring.get_decision(user_id, transaction_id);
    v_model scoring.explanations := scoring.get_explanation(v_row.model_version);
    v_threshold double precision;
    v_margin_cut double precision;
BEGIN
    SELECT m.threshold, m.margin_cut INTO v_threshold, v_margin_cut
    FROM scoring.models AS m
    WHERE m.version = v_model.version;
    IF v_row.fraud_probability < v_threshold THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        $query$
        WITH ranks AS (
            SELECT f.*, width_bucket($1[f.position]::double precision, f.cuts) AS rank
            FROM scoring.explanation_features AS f
            WHERE f.model_id = $2 AND $1[f.position] <> 'NaN'
        ),

        -- A larger value lies just above one of the cuts from its rank on, a smaller one just below one of those before.
        changes AS (
            SELECT
                r.position, r.name, c.is_larger, abs(c.cut - r.rank) + 1 - c.is_larger::integer AS crossed,
                CASE WHEN c.is_larger THEN r.above_cuts[c.cut] ELSE r.below_cuts[c.cut] END AS changed
            FROM ranks AS r
            CROSS JOIN LATERAL (
                SELECT n.cut, n.cut > r.rank AS is_larger FROM generate_series(1, cardinality(r.cuts)) AS n (cut)
            ) AS c
        ),

        scores AS (
            SELECT c.*, scoring.%I($1[:c.position - 1] || c.changed || $1[c.position + 1:]) AS score
            FROM changes AS c
        ),

        nearest AS (
            SELECT DISTINCT ON (s.position, s.is_larger) s.*
            FROM scores AS s
            WHERE s.score < $3
            ORDER BY s.position, s.is_larger, s.crossed
        )

        SELECT
            n.name, $1[n.position]::double precision, n.changed::double precision,
            CASE
                WHEN $4 THEN scoring.margin_to_probability(n.score, $3, $5, $5)
                ELSE n.score
            END,
            n.crossed
        FROM nearest AS n
        ORDER BY n.crossed, n.position, n.is_larger
        $query$,
        v_model.version
    )
    -- A boosted model's function returns a margin, and the cut decides.
    USING
        v_row.feature_values, v_model.model_id, coalesce(v_margin_cut, v_threshold), v_margin_cut IS NOT NULL,
        v_threshold;
END
$$;
