CREATE FUNCTION "scoring"."golden"(
  "amount" double precision,
  "user_txn_count_1h" double precision,
  "is_home_location" double precision
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 185
AS $rowguard$
-- Probability of the second class, as RandomForestClassifier.predict_proba(X)[:, 1]
-- trees: 2, leaves: 2, features: 3, layout: bitmask
-- regions: 1, groups: 1, blocks: 1, thresholds: 0, masks: 0 bytes
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '0';
  v_mask bit varying;
BEGIN
  v_sum := v_sum OPERATOR(pg_catalog.+) float '0.25';
  v_sum := v_sum OPERATOR(pg_catalog.+) float '0.3333333333333333';
  RETURN v_sum OPERATOR(pg_catalog./) float '2';
END
$rowguard$;
