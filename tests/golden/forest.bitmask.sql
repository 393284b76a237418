CREATE FUNCTION "scoring"."golden"(
  "amount" double precision,
  "user_txn_count_1h" double precision,
  "is_home_location" double precision
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 222
AS $rowguard$
-- Probability of the second class, as RandomForestClassifier.predict_proba(X)[:, 1]
-- trees: 3, leaves: 9, features: 3, layout: bitmask
-- regions: 5, groups: 5, blocks: 5, thresholds: 1, masks: 9 bytes
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 3. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '0';
  v_mask bit varying;
BEGIN
  IF $1 OPERATOR(pg_catalog.<=) float '41.649999618530266' THEN
    IF $3 OPERATOR(pg_catalog.<=) float '0.5000000298023224' THEN
      v_sum := v_sum OPERATOR(pg_catalog.+) float '1';
      v_sum := v_sum OPERATOR(pg_catalog.+) float '0';
      v_sum := v_sum OPERATOR(pg_catalog.+) float '0';
    ELSE
      v_sum := v_sum OPERATOR(pg_catalog.+) float '0';
      v_sum := v_sum OPERATOR(pg_catalog.+) float '0';
      v_sum := v_sum OPERATOR(pg_catalog.+) float '0';
    END IF;
  ELSE
    IF $3 OPERATOR(pg_catalog.<=) float '0.5000000298023224' THEN
      IF $1 OPERATOR(pg_catalog.<=) float '975.3750305175781' THEN
        v_sum := v_sum OPERATOR(pg_catalog.+) float '1';
        v_sum := v_sum OPERATOR(pg_catalog.+) float '0.6666666666666666';
        v_sum := v_sum OPERATOR(pg_catalog.+) float '1';
      ELSE
        v_mask := pg_catalog.substring(X'000000000000010000', ('[1:1][0:2]={{1,25,49}}'::integer[])[1][pg_catalog.width_bucket(COALESCE($1, float 'NaN'), '{975.3750305175782,NaN}'::float[])], 24);
        FOR v_bit IN 1..17 BY 8 LOOP
          v_sum := v_sum
      OPERATOR(pg_catalog.+) ('{0,1,0,0,0,0,0,0,0.6666666666666666,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0}'::float[])[v_bit OPERATOR(pg_catalog.+) pg_catalog.mod(pg_catalog.substring(v_mask, v_bit, 8)::integer, 5::integer)];
        END LOOP;
      END IF;
    ELSE
      v_sum := v_sum OPERATOR(pg_catalog.+) float '0';
      v_sum := v_sum OPERATOR(pg_catalog.+) float '0.6666666666666666';
      v_sum := v_sum OPERATOR(pg_catalog.+) float '0.5';
    END IF;
  END IF;
  RETURN v_sum OPERATOR(pg_catalog./) float '3';
END
$rowguard$;
