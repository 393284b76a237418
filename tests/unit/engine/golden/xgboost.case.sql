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
-- Margin of the second class, as XGBClassifier computes it
-- trees: 6, leaves: 24, features: 4, layout: case
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum real := real '0.03333638';
  v1 double precision := CASE WHEN $1 OPERATOR(pg_catalog.<>) float 'NaN' THEN $1 END;
  v2 double precision := CASE WHEN $2 OPERATOR(pg_catalog.<>) float 'NaN' THEN $2 END;
  v3 double precision := CASE WHEN $3 OPERATOR(pg_catalog.<>) float 'NaN' THEN $3 END;
  v4 double precision := CASE WHEN $4 OPERATOR(pg_catalog.<>) float 'NaN' THEN $4 END;
BEGIN
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.<=) float '1.999999940395355' THEN CASE WHEN (v4 OPERATOR(pg_catalog.<=) float '-7.006492321624087e-46' OR v4 OPERATOR(pg_catalog.>) float '0.9999999701976775' AND v4 OPERATOR(pg_catalog.<=) float '1.999999940395355' OR v4 OPERATOR(pg_catalog.>) float '3.99999988079071' AND v4 OPERATOR(pg_catalog.<=) float '4.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '5.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '6.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '8.99999952316284' AND v4 OPERATOR(pg_catalog.<=) float 'Infinity') THEN real '-0.033475462' ELSE real '-0.44361424' END WHEN (v4 OPERATOR(pg_catalog.<=) float '-7.006492321624087e-46' OR v4 OPERATOR(pg_catalog.>) float '0.9999999701976775' AND v4 OPERATOR(pg_catalog.<=) float '1.999999940395355' OR v4 OPERATOR(pg_catalog.>) float '3.99999988079071' AND v4 OPERATOR(pg_catalog.<=) float '4.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '5.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '6.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '8.99999952316284' AND v4 OPERATOR(pg_catalog.<=) float 'Infinity') THEN real '0.45713118' ELSE real '0.0878535' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.>) float '2.99999988079071' THEN CASE WHEN v1 OPERATOR(pg_catalog.>) float '31.149998664855957' THEN real '0.43101963' ELSE real '0.107064' END WHEN v1 OPERATOR(pg_catalog.<=) float '67.86999893188477' THEN real '-0.2698506' ELSE real '0.074262515' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.<=) float '1.999999940395355' THEN CASE WHEN (v4 OPERATOR(pg_catalog.<=) float '-7.006492321624087e-46' OR v4 OPERATOR(pg_catalog.>) float '3.99999988079071' AND v4 OPERATOR(pg_catalog.<=) float '4.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '5.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '6.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '8.99999952316284' AND v4 OPERATOR(pg_catalog.<=) float 'Infinity') THEN real '0.061242137' ELSE real '-0.2859181' END WHEN (v4 OPERATOR(pg_catalog.<=) float '-7.006492321624087e-46' OR v4 OPERATOR(pg_catalog.>) float '0.9999999701976775' AND v4 OPERATOR(pg_catalog.<=) float '1.999999940395355' OR v4 OPERATOR(pg_catalog.>) float '3.99999988079071' AND v4 OPERATOR(pg_catalog.<=) float '6.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '8.99999952316284' AND v4 OPERATOR(pg_catalog.<=) float 'Infinity') THEN real '0.30283558' ELSE real '0.017280638' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v1 OPERATOR(pg_catalog.>) float '49.279996871948235' THEN CASE WHEN (v4 OPERATOR(pg_catalog.>) float '1.999999940395355' AND v4 OPERATOR(pg_catalog.<=) float '3.99999988079071' OR v4 OPERATOR(pg_catalog.>) float '4.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '5.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '6.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '7.99999976158142') THEN real '-0.030800838' ELSE real '0.27176997' END WHEN v2 OPERATOR(pg_catalog.>) float '3.99999988079071' THEN real '0.2977621' ELSE real '-0.17835389' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.<=) float '2.99999988079071' THEN CASE WHEN (v4 OPERATOR(pg_catalog.>) float '-7.006492321624087e-46' AND v4 OPERATOR(pg_catalog.<=) float '0.9999999701976775' OR v4 OPERATOR(pg_catalog.>) float '1.999999940395355' AND v4 OPERATOR(pg_catalog.<=) float '3.99999988079071' OR v4 OPERATOR(pg_catalog.>) float '4.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '5.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '6.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '8.99999952316284') THEN real '-0.23522039' ELSE real '0.0876359' END WHEN v3 OPERATOR(pg_catalog.>) float '0.9999999701976775' THEN real '0.043163314' ELSE real '0.28816676' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v1 OPERATOR(pg_catalog.>) float '94.35999679565428' THEN CASE WHEN v3 OPERATOR(pg_catalog.>) float '0.9999999701976775' THEN real '0.039370418' ELSE real '0.3266831' END WHEN (v4 OPERATOR(pg_catalog.<=) float '-7.006492321624087e-46' OR v4 OPERATOR(pg_catalog.>) float '0.9999999701976775' AND v4 OPERATOR(pg_catalog.<=) float '1.999999940395355' OR v4 OPERATOR(pg_catalog.>) float '5.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '6.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '8.99999952316284' AND v4 OPERATOR(pg_catalog.<=) float 'Infinity') THEN real '0.16619402' ELSE real '-0.13417973' END;
  RETURN (v_sum)::float;
END
$rowguard$;
