CREATE FUNCTION "scoring"."golden"(
  "amount" double precision,
  "user_txn_count_1h" double precision,
  "is_home_location" double precision,
  "merchant_category" double precision
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 267
AS $rowguard$
-- Margin of the second class, as LGBMClassifier computes it
-- trees: 6, leaves: 24, features: 4, layout: bitmask
-- regions: 1, groups: 1, blocks: 1, thresholds: 14, masks: 120 bytes
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '0';
  v_mask bit varying;
  v_input double precision[] := ARRAY[$1, $2, $4];
BEGIN
  v_mask := X'ffffffffffff';
  FOR v_turn IN 1..3 LOOP
    v_mask := v_mask
    OPERATOR(pg_catalog.&) pg_catalog.substring(X'070307050706070307010706070307010703070207010703070407020703070407020103070507020703010601030107060106040607060100040600000100040600060106040607030703070305050705070502030703070305050705070502030703070505050705070502030703070305030703070305', ('[1:3][0:15]={{1,1,1,1,1,1,1,1,1,1,49,97,145,193,241,289},{337,337,385,385,433,481,481,481,481,481,481,481,481,481,481,529},{577,625,625,673,673,673,721,769,817,865,865,865,865,865,865,913}}'::integer[])[v_turn][pg_catalog.width_bucket(COALESCE(v_input[v_turn], float 'NaN'), '{1,1.5000000000000004,2,2.500000000000001,3.500000000000001,4,5,6,7,18.535000000000007,47.115000000000016,47.95500000000001,68.00000000000003,93.94000000000003,NaN}'::float[])], 48);
  END LOOP;
  FOR v_bit IN 1..33 BY 16 LOOP
    v_sum := v_sum
      OPERATOR(pg_catalog.+) ('{0.21240576917022416,-0.07560656877649652,0.027246856802305538,0,0.14048644847013766,0,0,0,0,0,0,0,0,0,0,0,0.11448448750729211,-0.08901414556789733,-0.027792362778860838,0,0.08055187759480785,0,0,0,0,0,0,0,0,0,0,0,0.12119411679403534,-0.0739976976879876,-0.032915354395986515,0,0.07427942927420877,0,0,0,0,0,0,0,0,0,0,0}'::float[])[v_bit OPERATOR(pg_catalog.+) pg_catalog.mod(pg_catalog.substring(v_mask, v_bit, 8)::integer, 11::integer)]
      OPERATOR(pg_catalog.+) ('{0.11149365573955528,0.011584288329419247,-0.15296667724047558,0,-0.02777671641005801,0,0,0,0,0,0,0,0,0,0,0,0.06967356959184817,-0.13208629756691623,-0.016263088205206302,0,-0.08460320507411428,0,0,0,0,0,0,0,0,0,0,0,0.09679338341799493,-0.03849614055535627,0.054278050798299504,0,-0.12999661621840894,0,0,0,0,0,0,0,0,0,0,0}'::float[])[v_bit OPERATOR(pg_catalog.+) pg_catalog.mod(pg_catalog.substring(v_mask, v_bit OPERATOR(pg_catalog.+) 8, 8)::integer, 11::integer)];
  END LOOP;
  RETURN v_sum;
END
$rowguard$;
