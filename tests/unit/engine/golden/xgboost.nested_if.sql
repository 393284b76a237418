CREATE FUNCTION "scoring"."golden"(
  "amount" double precision,
  "user_txn_count_1h" double precision,
  "is_home_location" double precision,
  "merchant_category" double precision
)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
COST 90
AS $rowguard$
-- Margin of the second class, as XGBClassifier computes it
-- trees: 6, leaves: 24, features: 4, layout: nested_if
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum real := real '0.03333638';
  v1 double precision := CASE WHEN $1 OPERATOR(pg_catalog.<>) float 'NaN' THEN $1 END;
  v2 double precision := CASE WHEN $2 OPERATOR(pg_catalog.<>) float 'NaN' THEN $2 END;
  v3 double precision := CASE WHEN $3 OPERATOR(pg_catalog.<>) float 'NaN' THEN $3 END;
  v4 double precision := CASE WHEN $4 OPERATOR(pg_catalog.<>) float 'NaN' THEN $4 END;
BEGIN
  -- tree 1
  IF v2 OPERATOR(pg_catalog.<=) float '1.999999940395355' THEN
    IF (v4 OPERATOR(pg_catalog.<=) float '-7.006492321624087e-46' OR v4 OPERATOR(pg_catalog.>) float '0.9999999701976775' AND v4 OPERATOR(pg_catalog.<=) float '1.999999940395355' OR v4 OPERATOR(pg_catalog.>) float '3.99999988079071' AND v4 OPERATOR(pg_catalog.<=) float '4.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '5.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '6.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '8.99999952316284' AND v4 OPERATOR(pg_catalog.<=) float 'Infinity') THEN
      v_sum := v_sum OPERATOR(pg_catalog.+) real '-0.033475462';
    ELSE
      v_sum := v_sum OPERATOR(pg_catalog.+) real '-0.44361424';
    END IF;
  ELSIF (v4 OPERATOR(pg_catalog.<=) float '-7.006492321624087e-46' OR v4 OPERATOR(pg_catalog.>) float '0.9999999701976775' AND v4 OPERATOR(pg_catalog.<=) float '1.999999940395355' OR v4 OPERATOR(pg_catalog.>) float '3.99999988079071' AND v4 OPERATOR(pg_catalog.<=) float '4.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '5.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '6.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '8.99999952316284' AND v4 OPERATOR(pg_catalog.<=) float 'Infinity') THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) real '0.45713118';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) real '0.0878535';
  END IF;
  -- tree 2
  IF v2 OPERATOR(pg_catalog.>) float '2.99999988079071' THEN
    IF v1 OPERATOR(pg_catalog.>) float '31.149998664855957' THEN
      v_sum := v_sum OPERATOR(pg_catalog.+) real '0.43101963';
    ELSE
      v_sum := v_sum OPERATOR(pg_catalog.+) real '0.107064';
    END IF;
  ELSIF v1 OPERATOR(pg_catalog.<=) float '67.86999893188477' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) real '-0.2698506';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) real '0.074262515';
  END IF;
  -- tree 3
  IF v2 OPERATOR(pg_catalog.<=) float '1.999999940395355' THEN
    IF (v4 OPERATOR(pg_catalog.<=) float '-7.006492321624087e-46' OR v4 OPERATOR(pg_catalog.>) float '3.99999988079071' AND v4 OPERATOR(pg_catalog.<=) float '4.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '5.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '6.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '8.99999952316284' AND v4 OPERATOR(pg_catalog.<=) float 'Infinity') THEN
      v_sum := v_sum OPERATOR(pg_catalog.+) real '0.061242137';
    ELSE
      v_sum := v_sum OPERATOR(pg_catalog.+) real '-0.2859181';
    END IF;
  ELSIF (v4 OPERATOR(pg_catalog.<=) float '-7.006492321624087e-46' OR v4 OPERATOR(pg_catalog.>) float '0.9999999701976775' AND v4 OPERATOR(pg_catalog.<=) float '1.999999940395355' OR v4 OPERATOR(pg_catalog.>) float '3.99999988079071' AND v4 OPERATOR(pg_catalog.<=) float '6.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '8.99999952316284' AND v4 OPERATOR(pg_catalog.<=) float 'Infinity') THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) real '0.30283558';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) real '0.017280638';
  END IF;
  -- tree 4
  IF v1 OPERATOR(pg_catalog.>) float '49.279996871948235' THEN
    IF (v4 OPERATOR(pg_catalog.>) float '1.999999940395355' AND v4 OPERATOR(pg_catalog.<=) float '3.99999988079071' OR v4 OPERATOR(pg_catalog.>) float '4.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '5.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '6.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '7.99999976158142') THEN
      v_sum := v_sum OPERATOR(pg_catalog.+) real '-0.030800838';
    ELSE
      v_sum := v_sum OPERATOR(pg_catalog.+) real '0.27176997';
    END IF;
  ELSIF v2 OPERATOR(pg_catalog.>) float '3.99999988079071' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) real '0.2977621';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) real '-0.17835389';
  END IF;
  -- tree 5
  IF v2 OPERATOR(pg_catalog.<=) float '2.99999988079071' THEN
    IF (v4 OPERATOR(pg_catalog.>) float '-7.006492321624087e-46' AND v4 OPERATOR(pg_catalog.<=) float '0.9999999701976775' OR v4 OPERATOR(pg_catalog.>) float '1.999999940395355' AND v4 OPERATOR(pg_catalog.<=) float '3.99999988079071' OR v4 OPERATOR(pg_catalog.>) float '4.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '5.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '6.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '8.99999952316284') THEN
      v_sum := v_sum OPERATOR(pg_catalog.+) real '-0.23522039';
    ELSE
      v_sum := v_sum OPERATOR(pg_catalog.+) real '0.0876359';
    END IF;
  ELSIF v3 OPERATOR(pg_catalog.>) float '0.9999999701976775' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) real '0.043163314';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) real '0.28816676';
  END IF;
  -- tree 6
  IF v1 OPERATOR(pg_catalog.>) float '94.35999679565428' THEN
    IF v3 OPERATOR(pg_catalog.>) float '0.9999999701976775' THEN
      v_sum := v_sum OPERATOR(pg_catalog.+) real '0.039370418';
    ELSE
      v_sum := v_sum OPERATOR(pg_catalog.+) real '0.3266831';
    END IF;
  ELSIF (v4 OPERATOR(pg_catalog.<=) float '-7.006492321624087e-46' OR v4 OPERATOR(pg_catalog.>) float '0.9999999701976775' AND v4 OPERATOR(pg_catalog.<=) float '1.999999940395355' OR v4 OPERATOR(pg_catalog.>) float '5.99999976158142' AND v4 OPERATOR(pg_catalog.<=) float '6.99999976158142' OR v4 OPERATOR(pg_catalog.>) float '8.99999952316284' AND v4 OPERATOR(pg_catalog.<=) float 'Infinity') THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) real '0.16619402';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) real '-0.13417973';
  END IF;
  RETURN (v_sum)::float;
END
$rowguard$;
