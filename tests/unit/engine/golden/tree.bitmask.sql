CREATE FUNCTION "scoring"."golden"(
  "amount" double precision,
  "user_txn_count_1h" double precision,
  "is_home_location" double precision
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 210
AS $rowguard$
-- Probability of the second class, as DecisionTreeClassifier.predict_proba(X)[:, 1]
-- trees: 1, leaves: 3, features: 3, layout: bitmask
-- regions: 2, groups: 2, blocks: 2, thresholds: 1, masks: 3 bytes
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '-0';
  v_mask bit varying;
BEGIN
  IF $2 OPERATOR(pg_catalog.<=) float '2.5000001192092896' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0';
  ELSE
    v_mask := pg_catalog.substring(X'010001', ('[1:1][0:2]={{1,9,17}}'::integer[])[1][pg_catalog.width_bucket(COALESCE($1, float 'NaN'), '{1249.9950561523438,NaN}'::float[])], 8);
    FOR v_bit IN 1..1 BY 8 LOOP
      v_sum := v_sum
      OPERATOR(pg_catalog.+) ('{0,1,0,0,0,0,0,0}'::float[])[v_bit OPERATOR(pg_catalog.+) pg_catalog.mod(pg_catalog.substring(v_mask, v_bit, 8)::integer, 5::integer)];
    END LOOP;
  END IF;
  RETURN v_sum;
END
$rowguard$;
