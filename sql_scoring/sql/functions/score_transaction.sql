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
BEGIN
    IF user_id IS NULL OR amount IS NULL THEN
        RAISE EXCEPTION 'user_id and amount are required'
            USING ERRCODE = 'null_value_not_allowed',
            COLUMN = CASE WHEN user_id IS NULL THEN 'user_id' ELSE 'amount' END;
    END IF;
    PERFORM scoring.check_transaction(occurred_at);
    RETURN scoring.to_fraud_score(
        scoring.decide_transaction(
            ROW(
                user_id, scoring.remove_amount_noise(amount::scoring.amount), coalesce(occurred_at, now())
                /* for each column: , {name}::{stored_type} */
            )::scoring.scoring_request
        )
    );
END
$$;
