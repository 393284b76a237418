CREATE FUNCTION "scoring"."golden"(
  "amount" double precision,
  "user_txn_count_1h" double precision,
  "is_home_location" double precision,
  "merchant_category" double precision
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 22
AS $rowguard$
-- Margin of the second class, as CatBoostClassifier computes it
-- trees: 6, leaves: 22, features: 4, layout: case
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '0';
  v1 double precision := CASE WHEN $1 OPERATOR(pg_catalog.<>) float 'NaN' THEN $1 END;
  v2 double precision := CASE WHEN $2 OPERATOR(pg_catalog.<>) float 'NaN' THEN $2 END;
  v3 double precision := CASE WHEN $3 OPERATOR(pg_catalog.<>) float 'NaN' THEN $3 END;
  v4 double precision := CASE WHEN $4 OPERATOR(pg_catalog.<>) float 'NaN' THEN $4 END;
BEGIN
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v1 OPERATOR(pg_catalog.>) float '28.14500141143799' THEN CASE WHEN v2 OPERATOR(pg_catalog.>) float '1.5000000596046448' THEN float '0.49783549783549785' ELSE float '-0.2708333333333333' END WHEN v2 OPERATOR(pg_catalog.>) float '1.5000000596046448' THEN float '0.058823529411764705' ELSE float '-0.4796747967479675' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v3 OPERATOR(pg_catalog.>) float '0.5000000298023224' THEN CASE WHEN v2 OPERATOR(pg_catalog.>) float '2.5000001192092896' THEN float '0.22281780415364333' ELSE float '-0.3541203239169562' END WHEN v2 OPERATOR(pg_catalog.>) float '2.5000001192092896' THEN float '0.6356020236008375' ELSE float '0.0031369271081192617' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v3 OPERATOR(pg_catalog.>) float '0.5000000298023224' THEN CASE WHEN v1 OPERATOR(pg_catalog.>) float '68.00000381469727' THEN float '0.144242037299902' ELSE float '-0.26925114706703784' END WHEN v1 OPERATOR(pg_catalog.>) float '68.00000381469727' THEN float '0.45931919906152047' ELSE float '-0.07845872861628297' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v4 OPERATOR(pg_catalog.>) float '5.500000238418579' THEN CASE WHEN v4 OPERATOR(pg_catalog.>) float '6.500000238418579' THEN float '-0.2736461529498139' ELSE float '0.5049693744670323' END WHEN v4 OPERATOR(pg_catalog.>) float '6.500000238418579' THEN float '0' ELSE float '0.008277837911688343' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.>) float '-3.402823364973241e+38' THEN CASE WHEN v2 OPERATOR(pg_catalog.>) float '3.5000001192092896' THEN float '0.5290156056761554' ELSE float '-0.1321096441537022' END WHEN v2 OPERATOR(pg_catalog.>) float '3.5000001192092896' THEN float '0' ELSE float '0.4153007043705146' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.>) float '0.5000000298023224' THEN CASE WHEN v1 OPERATOR(pg_catalog.>) float '47.739999771118164' THEN float '0.23665715627686393' ELSE float '-0.0941752100424291' END WHEN v1 OPERATOR(pg_catalog.>) float '47.739999771118164' THEN float '-0.09502970179355713' ELSE float '-0.14064837967923172' END;
  RETURN v_sum OPERATOR(pg_catalog.+) float '0';
END
$rowguard$;
