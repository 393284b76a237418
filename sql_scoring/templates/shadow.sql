-- Generated: of champion and challenger, the one that did not decide puts its score beside the decision. It is the
-- same row, so it commits with the decision or not at all. Whatever fails here, the decision stands.
CREATE OR REPLACE FUNCTION scoring.shadow_on_insert()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.shadow_version <> '' THEN
        RETURN NEW; -- loaded, with what was said then
    END IF;
    NEW.shadow_version := NULL;
    BEGIN
        IF NEW.model_version = {champion_literal} THEN
{by_challenger}
        ELSIF NEW.model_version = {challenger_literal} THEN
{by_champion}
        END IF;
    EXCEPTION
        WHEN OTHERS THEN
            NEW.shadow_error := left(SQLSTATE || ': ' || SQLERRM, 500);
    END;
    RETURN NEW;
END
$$;
