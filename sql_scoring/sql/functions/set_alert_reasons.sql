-- Writes reason codes on the row of an alert, in the same commit. The trigger exists only while the setting is on. An
-- error leaves the row without codes, which the job fills in: no explanation may cost a payment.
CREATE OR REPLACE FUNCTION scoring.set_alert_reasons()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.reason_codes := scoring.get_reason_codes(NEW.model_version, NEW.feature_values);
    RETURN NEW;
EXCEPTION
    WHEN OTHERS THEN
        RAISE WARNING 'an alert is stored without reason codes: %', SQLERRM;
        RETURN NEW;
END
$$;
