-- Requires one array with a value or NULL for each feature of the model.
CREATE OR REPLACE FUNCTION scoring.check_feature_values(p_model scoring.explanations, p_values real[])
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_values IS NULL THEN
        RAISE EXCEPTION 'feature_values is required'
            USING ERRCODE = 'null_value_not_allowed', COLUMN = 'feature_values';
    END IF;
    IF array_dims(p_values) IS DISTINCT FROM format('[1:%s]', p_model.feature_count) THEN
        RAISE EXCEPTION 'model % takes an array of % features, not one of %',
            p_model.version, p_model.feature_count, coalesce(array_dims(p_values), 'none')
            USING ERRCODE = 'array_subscript_error', COLUMN = 'feature_values';
    END IF;
END
$$;
