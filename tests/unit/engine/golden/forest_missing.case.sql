CREATE FUNCTION "scoring"."golden"(
  "amount" double precision,
  "user_txn_count_1h" double precision,
  "is_home_location" double precision
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 11
AS $rowguard$
-- Probability of the second class, as RandomForestClassifier.predict_proba(X)[:, 1]
-- trees: 3, leaves: 11, features: 3, layout: case
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '0';
  v1 double precision := CASE WHEN $1 OPERATOR(pg_catalog.<>) float 'NaN' THEN $1 END;
  v2 double precision := CASE WHEN $2 OPERATOR(pg_catalog.<>) float 'NaN' THEN $2 END;
BEGIN
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.>) float '2.0000001192092896' THEN float '1' WHEN v1 OPERATOR(pg_catalog.>) float '157.70999908447266' THEN CASE WHEN v1 OPERATOR(pg_catalog.<=) float '903.8249816894531' THEN float '1' ELSE float '0' END ELSE float '0' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v1 OPERATOR(pg_catalog.<=) float 'Infinity' THEN float '0' WHEN $3 OPERATOR(pg_catalog.<=) float '0.5000000298023224' THEN float '1' ELSE float '0' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.>) float '1.5000000596046448' THEN float '1' WHEN v1 OPERATOR(pg_catalog.<=) float '157.70999908447266' THEN float '0' WHEN v1 OPERATOR(pg_catalog.<=) float '903.8249816894531' THEN float '1' ELSE float '0' END;
  RETURN v_sum OPERATOR(pg_catalog./) float '3';
END
$rowguard$;
