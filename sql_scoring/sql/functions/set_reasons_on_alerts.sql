-- Switches reason codes in the INSERT on or off. A separate trigger, so that an INSERT without the setting costs nothing;
-- its name comes after score_on_insert, whose decision it reads.
CREATE OR REPLACE FUNCTION scoring.set_reasons_on_alerts(p_is_on boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
BEGIN
    DROP TRIGGER IF EXISTS set_alert_reasons ON public.transactions;
    IF p_is_on THEN
        CREATE TRIGGER set_alert_reasons
        BEFORE INSERT ON public.transactions
        FOR EACH ROW
        WHEN (NEW.fraud_flag = 'FRAUD' OR NEW.is_control)
        EXECUTE FUNCTION scoring.set_alert_reasons();
    END IF;
END
$$;
