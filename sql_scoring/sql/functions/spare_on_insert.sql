-- Lets a random share of the alerts through: what is always stopped is never found out, and the next model would
-- learn nothing about it. The probability stays; fraud_flag, which applications act on, says LEGITIMATE.
CREATE OR REPLACE FUNCTION scoring.spare_on_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF random() < (
        SELECT s.share
        FROM scoring.let_through_shares AS s
        ORDER BY s.valid_from DESC
        LIMIT 1
    ) THEN
        NEW.is_let_through := true;
        NEW.fraud_flag := 'LEGITIMATE';
    END IF;
    RETURN NEW;
END
$$;
