CREATE FUNCTION "scoring"."golden"(
  "amount" double precision,
  "user_txn_count_1h" double precision,
  "is_home_location" double precision,
  "merchant_category" double precision
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 273
AS $rowguard$
-- Margin of the second class, as CatBoostClassifier computes it
-- trees: 6, leaves: 22, features: 4, layout: bitmask
-- regions: 1, groups: 1, blocks: 1, thresholds: 11, masks: 114 bytes
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '0';
  v_mask bit varying;
  v_input double precision[] := ARRAY[$1, $2, $3, $4];
BEGIN
  v_mask := X'ffffffffffff';
  FOR v_turn IN 1..4 LOOP
    v_mask := v_mask
    OPERATOR(pg_catalog.&) pg_catalog.substring(X'060703030303010703030303010703030304010704030304060703030303030307030206030307030106030307030101040307030101040407030101040407030001030307030206070505030307070202030307070505030307070707010307070707020307070707000307070707010307', ('[1:4][0:11]={{1,1,1,1,1,1,1,1,49,97,145,193},{241,289,337,385,433,481,481,481,481,481,481,529},{577,577,625,625,625,625,625,625,625,625,625,673},{721,721,721,721,721,721,769,817,817,817,817,865}}'::integer[])[v_turn][pg_catalog.width_bucket(COALESCE(v_input[v_turn], float 'NaN'), '{-3.4028233649732406e+38,0.5000000298023225,1.500000059604645,2.50000011920929,3.50000011920929,5.50000023841858,6.50000023841858,28.145001411437992,47.73999977111817,68.00000381469728,NaN}'::float[])], 48);
  END LOOP;
  FOR v_bit IN 1..33 BY 16 LOOP
    v_sum := v_sum
      OPERATOR(pg_catalog.+) ('{0.49783549783549785,-0.2708333333333333,-0.4796747967479675,0,0.058823529411764705,0,0,0,0,0,0,0,0,0,0,0,0.144242037299902,-0.07845872861628297,-0.26925114706703784,0,0.45931919906152047,0,0,0,0,0,0,0,0,0,0,0,0.5290156056761554,-0.1321096441537022,0.4153007043705146,0,0,0,0,0,0,0,0,0,0,0,0,0}'::float[])[v_bit OPERATOR(pg_catalog.+) pg_catalog.mod(pg_catalog.substring(v_mask, v_bit, 8)::integer, 11::integer)]
      OPERATOR(pg_catalog.+) ('{0.22281780415364333,0.0031369271081192617,-0.3541203239169562,0,0.6356020236008375,0,0,0,0,0,0,0,0,0,0,0,-0.2736461529498139,0.008277837911688343,0.5049693744670323,0,0,0,0,0,0,0,0,0,0,0,0,0,0.23665715627686393,-0.0941752100424291,-0.14064837967923172,0,-0.09502970179355713,0,0,0,0,0,0,0,0,0,0,0}'::float[])[v_bit OPERATOR(pg_catalog.+) pg_catalog.mod(pg_catalog.substring(v_mask, v_bit OPERATOR(pg_catalog.+) 8, 8)::integer, 11::integer)];
  END LOOP;
  RETURN v_sum OPERATOR(pg_catalog.+) float '0';
END
$rowguard$;
