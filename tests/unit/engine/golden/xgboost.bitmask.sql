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
-- Margin of the second class, as XGBClassifier computes it
-- trees: 6, leaves: 24, features: 4, layout: bitmask
-- regions: 1, groups: 1, blocks: 1, thresholds: 17, masks: 150 bytes
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum real := real '0.03333638';
  v_mask bit varying;
  v_input double precision[] := ARRAY[$1, $2, $3, $4];
BEGIN
  v_mask := X'ffffffffffff';
  FOR v_turn IN 1..4 LOOP
    v_mask := v_mask
    OPERATOR(pg_catalog.&) pg_catalog.substring(('x' OPERATOR(pg_catalog.||) pg_catalog.encode(pg_catalog.decode('BwUHBQcDBwEHBQcDBwEHAgcDBwIHAgcDBwIHAgcEBwYHBQcDBQMFAwMHAgMCAwMHAgQCAwQHAgQCBgQHAgMCAwQHBwcHBwcHBwcHBwMDBwcHBwcHBgcGBwYGAQcBBwUFBgcDBwYGAQcBBQUFBgcGBwYFAQcDBQUFBgcGBwYGAQcBBQUFAQcBBwUFBgcGBwYGAQcBBwYF', 'base64'), 'hex'))::bit varying, ('[1:4][0:15]={{1,1,1,1,1,1,1,1,1,1,1,49,97,145,193,241},{289,289,289,337,385,433,433,433,433,433,433,433,433,433,433,481},{529,529,577,577,577,577,577,577,577,577,577,577,577,577,577,625},{673,721,769,817,817,865,913,961,1009,1057,1105,1105,1105,1105,1105,1153}}'::integer[])[v_turn][pg_catalog.width_bucket(COALESCE(v_input[v_turn], float 'NaN'), '{-7.006492321624085e-46,0.9999999701976776,1.9999999403953552,2.9999998807907104,3.9999998807907104,4.999999761581421,5.999999761581421,6.999999761581421,7.999999761581421,8.999999523162842,31.14999866485596,49.27999687194824,67.86999893188478,94.3599967956543,NaN}'::float[])], 48);
  END LOOP;
  FOR v_bit IN 1..33 BY 16 LOOP
    v_sum := v_sum
      OPERATOR(pg_catalog.+) ('{0.0878535,-0.44361424,0.45713118,0,-0.033475462,0,0,0,0,0,0,0,0,0,0,0,0.017280638,-0.2859181,0.30283558,0,0.061242137,0,0,0,0,0,0,0,0,0,0,0,0.043163314,-0.23522039,0.0876359,0,0.28816676,0,0,0,0,0,0,0,0,0,0,0}'::real[])[v_bit OPERATOR(pg_catalog.+) pg_catalog.mod(pg_catalog.substring(v_mask, v_bit, 8)::integer, 11::integer)]
      OPERATOR(pg_catalog.+) ('{0.43101963,-0.2698506,0.074262515,0,0.107064,0,0,0,0,0,0,0,0,0,0,0,-0.030800838,-0.17835389,0.27176997,0,0.2977621,0,0,0,0,0,0,0,0,0,0,0,0.039370418,-0.13417973,0.16619402,0,0.3266831,0,0,0,0,0,0,0,0,0,0,0}'::real[])[v_bit OPERATOR(pg_catalog.+) pg_catalog.mod(pg_catalog.substring(v_mask, v_bit OPERATOR(pg_catalog.+) 8, 8)::integer, 11::integer)];
  END LOOP;
  RETURN (v_sum)::float;
END
$rowguard$;
