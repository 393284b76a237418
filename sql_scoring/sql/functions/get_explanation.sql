-- How a model is explained, the champion by default. The errors name why it cannot be: 42704 when there is nothing to
-- read, as after the model was pruned.
CREATE OR REPLACE FUNCTION scoring.get_explanation(p_version text)
RETURNS scoring.explanations
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_model scoring.explanations;
    v_version text := coalesce(p_version, (SELECT m.version FROM scoring.models AS m WHERE m.state = 'champion'));
    v_has_document boolean;
BEGIN
    IF v_version IS NULL THEN
        RAISE EXCEPTION 'no model is deployed yet'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run: rowguard retrain';
    END IF;
    SELECT e.* INTO v_model FROM scoring.explanations AS e WHERE e.version = v_version;
    IF v_model.version IS NOT NULL THEN
        RETURN v_model;
    END IF;
    SELECT m.explanation IS NOT NULL INTO v_has_document FROM scoring.models AS m WHERE m.version = v_version;
    IF v_has_document IS NULL THEN
        RAISE EXCEPTION 'there is no model %', v_version
            USING ERRCODE = 'undefined_object', HINT = 'List the models: rowguard models';
    END IF;
    IF v_has_document THEN
        RAISE EXCEPTION 'the explanation of model % is not built: the model was pruned, or never deployed', v_version
            USING ERRCODE = 'undefined_object', HINT = format('Build it: rowguard reasons --build %s', v_version);
    END IF;
    RAISE EXCEPTION 'model % was registered without an explanation', v_version
        USING ERRCODE = 'undefined_object', HINT = 'Train it again: rowguard train';
END
$$;
