-- The decision that an INSERT of this row would get, without inserting it.
CREATE OR REPLACE FUNCTION public.score_transaction(
    user_id bigint /* key type */,
    amount numeric,
    /* for each column: {name} {type} DEFAULT NULL, */
    occurred_at timestamptz DEFAULT pg_catalog.now()
)
RETURNS public.fraud_score
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_request scoring.scoring_request;
    d scoring.decision;
    o scoring.outcome;
BEGIN
    IF user_id IS NULL OR amount IS NULL THEN
        RAISE EXCEPTION 'user_id and amount are required'
            USING ERRCODE = 'null_value_not_allowed',
            COLUMN = CASE WHEN user_id IS NULL THEN 'user_id' ELSE 'amount' END;
    END IF;
    PERFORM scoring.check_transaction(occurred_at);
    v_request := ROW(
        user_id, scoring.remove_amount_noise(amount::scoring.amount), coalesce(occurred_at, now())
        /* for each column: , {name}::{stored_type} */
    )::scoring.scoring_request;
    d := scoring.decide_transaction(v_request);
    IF scoring.uses_outcomes() THEN
        o := scoring.decide_outcome(v_request, d, false, false, clock_timestamp());
    END IF;
    RETURN scoring.to_fraud_score(d, o);
END
$$;
