-- The fraud probability that is shown for a boosted model's margin, within 4 units in the last place of the library's.
-- The margin decides. The probability reaches the threshold exactly where the margin reaches the cut, so that every later
-- comparison of probabilities repeats the decision: p_below is the greatest number below the threshold. exp() raises
-- beyond the range of its type. The planner inlines this body, whose names are bound once.
CREATE OR REPLACE FUNCTION scoring.margin_to_probability(
    p_margin double precision,
    p_cut double precision,
    p_threshold double precision,
    p_below double precision
)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_margin >= p_cut THEN greatest(1 / (1 + exp(-greatest(-700, least(700, p_margin)))), p_threshold)
    WHEN p_margin < p_cut THEN least(1 / (1 + exp(-greatest(-700, least(700, p_margin)))), p_below)
END;
