CREATE FUNCTION "scoring"."golden"(
  "amount" double precision,
  "user_txn_count_1h" double precision,
  "is_home_location" double precision
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 4
AS $rowguard$
-- Probability of the second class, as DecisionTreeClassifier.predict_proba(X)[:, 1]
-- trees: 1, leaves: 3, features: 3, layout: case
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '-0';
  v1 double precision := CASE WHEN $1 OPERATOR(pg_catalog.<>) float 'NaN' THEN $1 END;
BEGIN
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN $2 OPERATOR(pg_catalog.<=) float '2.5000001192092896' THEN float '0' WHEN v1 OPERATOR(pg_catalog.>) float '1249.9950561523435' THEN float '0' ELSE float '1' END;
  RETURN v_sum;
END
$rowguard$;
