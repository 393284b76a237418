-- The reasons of a score, at most four: themes that raised it, by what their features contributed together. Single
-- features are no reasons, as six windows of one rate would fill the list. None under 0.01 or 5 % of what raised the
-- score in total.
CREATE OR REPLACE FUNCTION scoring.summarize_reasons(
    p_model scoring.explanations, p_values real[], p_contributions double precision[], p_language text
)
RETURNS TABLE (rank integer, reason_code text, reason text, contribution double precision, features text[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_catalog jsonb := p_model.catalogs -> p_language;
BEGIN
    RETURN QUERY
    WITH described AS (
        SELECT d.*, f.position, f.usual_low, f.usual_high, v_catalog -> 'features' -> d.feature ->> 'theme' AS theme
        FROM scoring.describe_contributions(p_model, p_values, p_contributions, NULL, p_language) AS d
        INNER JOIN scoring.explanation_features AS f ON f.model_id = p_model.model_id AND d.feature = f.name
    ),

    themes AS (
        SELECT
            d.theme,
            -- In order of position: a sum of floats depends on its order.
            sum(d.contribution ORDER BY d.position) AS contribution,
            array_agg(d.feature ORDER BY d.contribution DESC, d.position) FILTER (WHERE d.contribution > 0) AS features,
            -- The words are those of a value that is unusual and raised the score, where there is one.
            (
                array_agg(
                    d.position
                    ORDER BY d.contribution > 0 AND d.reason_code NOT LIKE '%\_usual' DESC, d.contribution DESC, d.position
                )
            )[1] AS position
        FROM described AS d
        GROUP BY d.theme
    )

    SELECT
        (row_number() OVER (ORDER BY t.contribution DESC, t.theme))::integer,
        d.reason_code,
        CASE
            WHEN d.reason_code LIKE '%\_usual' THEN
                format(v_catalog -> 'texts' ->> 'combination', v_catalog -> 'themes' ->> t.theme)
            ELSE
                scoring.phrase_reason(
                    v_catalog, d.feature, right(d.reason_code, -length(t.theme) - 1), d.value, d.usual_low, d.usual_high
                )
        END,
        t.contribution,
        t.features
    FROM themes AS t
    INNER JOIN described AS d ON t.position = d.position
    WHERE t.contribution >= greatest(0.01, 0.05 * (SELECT sum(c ORDER BY n) FROM unnest(p_contributions) WITH ORDINALITY AS u (c, n)))
    ORDER BY 1
    LIMIT 4;
END
$$;
