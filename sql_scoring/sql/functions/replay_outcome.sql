-- The outcome of a stored row, computed again by the rule set on it: from the row, the lists that had it and the rules
-- that exceptions suppressed, as stored with it. NULL for a row without a rule set's version. A backfilled decision came
-- later than the outcome, which was made without a score.
CREATE OR REPLACE FUNCTION scoring.replay_outcome(p_user_id bigint /* key type */, p_transaction_id bigint)
RETURNS scoring.outcome
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t public.transactions;
    d scoring.decision;
    o scoring.outcome;
    v_lists text[];
    v_suppressed integer[];
    v_positions integer[];
    v_rescored record;
    v_is_unscored boolean;
BEGIN
    SELECT r.* INTO t
    FROM public.transactions AS r
    WHERE r.user_id = p_user_id AND r.transaction_id = p_transaction_id;
    IF t.user_id IS NULL THEN
        RAISE EXCEPTION 'user % has no transaction %', p_user_id, p_transaction_id USING ERRCODE = 'no_data_found';
    ELSIF t.rule_set_version IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT r.unscored_reason INTO v_rescored
    FROM scoring.rescored_transactions AS r
    WHERE r.user_id = p_user_id AND r.transaction_id = p_transaction_id;
    IF FOUND THEN
        v_is_unscored := v_rescored.unscored_reason IS NOT NULL;
    ELSE
        v_is_unscored := t.unscored_reason IS NOT NULL;
        d.fraud_probability := t.fraud_probability;
        d.is_fraud := t.fraud_flag = 'FRAUD' OR t.is_control;
        d.model_version := t.model_version;
        d.feature_values := t.feature_values;
        /* for each reference column: d.{name} := t.{name}; */
        v_positions := (
            SELECT scoring.map_features(r.feature_names, m.feature_names)
            FROM scoring.models AS m
            INNER JOIN scoring.rule_sets AS r ON r.version = t.rule_set_version
            WHERE m.version = t.model_version
        );
        IF v_positions IS NOT NULL THEN
            d := scoring.remap_features(d, v_positions);
        END IF;
    END IF;
    SELECT array_agg(l.name ORDER BY l.name) INTO v_lists
    FROM scoring.unpack_rule_codes(t.matched_rules) AS c
    INNER JOIN scoring.lists AS l ON c.number = l.list_id
    WHERE c.kind = 'list';
    v_suppressed := ARRAY(
        SELECT c.number FROM scoring.unpack_rule_codes(t.matched_rules) AS c WHERE c.kind = 'suppressed' ORDER BY 1
    );
    EXECUTE format('SELECT (scoring.rule_set_%s($1, $2, $3, $4, $5, $6, $7)).*', t.rule_set_version)
    INTO o
    USING
        ROW(t.user_id, t.amount, t.occurred_at /* for each column: , t.{name} */)::scoring.scoring_request,
        d, v_lists, t.is_control, v_is_unscored, t.received_at, v_suppressed;
    RETURN o;
END
$$;
