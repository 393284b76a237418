-- The words for a value: the phrase of its place, the value in its unit, and the usual range.
CREATE OR REPLACE FUNCTION scoring.phrase_reason(
    p_catalog jsonb,
    p_feature text,
    p_place text,
    p_value double precision,
    p_low double precision,
    p_high double precision
)
RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_entry jsonb := p_catalog -> 'features' -> p_feature;
    v_value text := concat_ws(' ', scoring.format_number(p_value), nullif(v_entry ->> 'unit', ''));
    v_texts jsonb := p_catalog -> 'texts';
BEGIN
    IF p_place = 'missing' THEN
        RETURN v_entry ->> 'missing';
    END IF;
    IF p_place = 'usual' THEN
        RETURN format(v_texts ->> 'usual', v_entry ->> 'label', v_value);
    END IF;
    -- A yes or no: the phrase states the value.
    IF p_low = p_high THEN
        RETURN v_entry ->> p_place;
    END IF;
    RETURN format(
        v_texts ->> 'unusual', v_entry ->> p_place, v_value, scoring.format_number(p_low), scoring.format_number(p_high)
    );
END
$$;
