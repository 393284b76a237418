-- Scores a stored row again with the function of its model, from the feature values on the row. P0002: there is no such
-- row. 55000: it has no decision. 42704: the model's function was pruned.
CREATE OR REPLACE FUNCTION scoring.replay_decision(
    p_user_id bigint /* key type */,
    p_transaction_id bigint,
    OUT stored double precision,
    OUT replayed double precision,
    OUT is_equal boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_row public.transactions := scoring.get_decision(p_user_id, p_transaction_id);
    v_model scoring.models;
BEGIN
    SELECT m.* INTO v_model FROM scoring.models AS m WHERE m.version = v_row.model_version;
    IF to_regprocedure(format('scoring.%I(real[])', v_row.model_version)) IS NULL THEN
        RAISE EXCEPTION 'the function of model % was pruned', v_row.model_version USING ERRCODE = 'undefined_object';
    END IF;
    stored := v_row.fraud_probability;
    EXECUTE format('SELECT scoring.%I($1)', v_row.model_version) INTO replayed USING v_row.feature_values;
    IF v_model.margin_cut IS NOT NULL THEN
        -- The factor leads to the next smaller double of any threshold.
        replayed := scoring.margin_to_probability(
            replayed, v_model.margin_cut, v_model.threshold,
            v_model.threshold * (1 - 1.1102230246251565e-16::double precision)
        );
    END IF;
    is_equal := stored IS NOT DISTINCT FROM replayed;
END
$$;
