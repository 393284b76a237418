CREATE FUNCTION "scoring"."golden"(
  "features" real[]
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 239
AS $rowguard$
-- Probability of the second class, as RandomForestClassifier.predict_proba(X)[:, 1]
-- trees: 3, leaves: 11, features: 3, layout: bitmask
-- regions: 1, groups: 1, blocks: 1, thresholds: 5, masks: 33 bytes
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '0';
  v_mask bit varying;
BEGIN
  IF (pg_catalog.array_dims($1) OPERATOR(pg_catalog.=) '[1:3]'::pg_catalog.text) IS NOT TRUE THEN
    RAISE EXCEPTION 'this model takes an array of 3 features'
      USING ERRCODE = 'array_subscript_error';
  END IF;
  v_mask := X'ffffff';
  FOR v_turn IN 1..3 LOOP
    v_mask := v_mask
    OPERATOR(pg_catalog.&) pg_catalog.substring(X'010001000000020002010102030103030100000100030103030103030003030003', ('[1:3][0:6]={{1,1,1,1,25,49,73},{97,97,121,145,145,145,169},{193,217,217,217,217,217,241}}'::integer[])[v_turn][pg_catalog.width_bucket(COALESCE($1[v_turn]::float, float 'NaN'), '{0.5000000298023225,1.500000059604645,2.00000011920929,157.70999908447268,903.8249816894532,NaN}'::float[])], 24);
  END LOOP;
  FOR v_bit IN 1..17 BY 8 LOOP
    v_sum := v_sum
      OPERATOR(pg_catalog.+) ('{1,0,0,0,0,0,0,0,0,1,0,0,0,0,0,0,1,0,0,0,0,0,0,0}'::float[])[v_bit OPERATOR(pg_catalog.+) pg_catalog.mod(pg_catalog.substring(v_mask, v_bit, 8)::integer, 5::integer)];
  END LOOP;
  RETURN v_sum OPERATOR(pg_catalog./) float '3';
END
$rowguard$;
