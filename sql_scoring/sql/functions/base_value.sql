-- The output of a model before any feature is known: the average over what features are compared with, which
-- explanations name. It is no fraud rate. The contributions of a row add up to its output minus this.
CREATE OR REPLACE FUNCTION public.base_value(model_version text DEFAULT NULL)
RETURNS double precision
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (scoring.get_explanation(model_version)).base_value;
END
$$;
