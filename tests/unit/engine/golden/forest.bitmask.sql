CREATE FUNCTION "scoring"."golden"(
  "amount" double precision,
  "user_txn_count_1h" double precision,
  "is_home_location" double precision
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 233
AS $rowguard$
-- Probability of the second class, as RandomForestClassifier.predict_proba(X)[:, 1]
-- trees: 3, leaves: 9, features: 3, layout: bitmask
-- regions: 1, groups: 1, blocks: 1, thresholds: 3, masks: 21 bytes
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '0';
  v_mask bit varying;
  v_input double precision[] := ARRAY[$1, $3];
BEGIN
  v_mask := X'ffffff';
  FOR v_turn IN 1..2 LOOP
    v_mask := v_mask
    OPERATOR(pg_catalog.&) pg_catalog.substring(X'010101010002000002010002010103000101000101', ('[1:2][0:4]={{1,1,25,49,73},{97,121,121,121,145}}'::integer[])[v_turn][pg_catalog.width_bucket(COALESCE(v_input[v_turn], float 'NaN'), '{0.5000000298023225,41.64999961853027,975.3750305175782,NaN}'::float[])], 24);
  END LOOP;
  FOR v_bit IN 1..17 BY 8 LOOP
    v_sum := v_sum
      OPERATOR(pg_catalog.+) ('{0,1,0,0,0,0,0,0,0.6666666666666666,0,0,0,0,0,0,0,0.5,0,1,0,0,0,0,0}'::float[])[v_bit OPERATOR(pg_catalog.+) pg_catalog.mod(pg_catalog.substring(v_mask, v_bit, 8)::integer, 5::integer)];
  END LOOP;
  RETURN v_sum OPERATOR(pg_catalog./) float '3';
END
$rowguard$;
