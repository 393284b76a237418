-- How far base plus contributions are from a model's output: its function's value, or the stored probability where
-- p_cut and p_threshold turn a margin into it. Of a calibrated model 0 where the output is that of the steps around.
CREATE OR REPLACE FUNCTION scoring.additivity_error(
    p_model scoring.explanations,
    p_contributions double precision[],
    p_output double precision,
    p_cut double precision DEFAULT NULL,
    p_threshold double precision DEFAULT NULL
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_score double precision := p_model.base_value + (
        SELECT sum(u.c ORDER BY u.n) FROM unnest(p_contributions) WITH ORDINALITY AS u (c, n)
    );
    v_steps int4range;
BEGIN
    IF p_model.step_values IS NULL THEN
        -- The stored probability is never across the threshold from the margin's, so this one is cut there as well.
        RETURN abs(
            CASE
                WHEN p_cut IS NULL THEN v_score
                ELSE scoring.margin_to_probability(v_score, p_cut, p_threshold, p_threshold)
            END - p_output
        );
    END IF;
    v_steps := int4range(
        width_bucket(v_score - p_model.tolerance, p_model.step_bounds),
        width_bucket(v_score + p_model.tolerance, p_model.step_bounds),
        '[]'
    );
    RETURN (
        SELECT min(abs(s.value - p_output))
        FROM unnest(p_model.step_values) WITH ORDINALITY AS s (value, n)
        WHERE v_steps @> (s.n - 1)::integer
    );
END
$$;
