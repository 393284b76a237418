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
-- Margin of the second class, as LGBMClassifier computes it
-- trees: 6, leaves: 24, features: 4, layout: nested_if
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '0';
  v1 double precision := CASE WHEN $1 OPERATOR(pg_catalog.<>) float 'NaN' THEN $1 END;
  v2 double precision := CASE WHEN $2 OPERATOR(pg_catalog.<>) float 'NaN' THEN $2 END;
BEGIN
  -- tree 1
  IF v2 OPERATOR(pg_catalog.<=) float '1.5000000000000002' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.07560656877649652';
  ELSIF v2 OPERATOR(pg_catalog.>) float '3.5000000000000004' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.21240576917022416';
  ELSIF ($4 OPERATOR(pg_catalog.>) float '0.9999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '1.9999999999999998' OR $4 OPERATOR(pg_catalog.>) float '3.9999999999999996' AND $4 OPERATOR(pg_catalog.<=) float '4.999999999999999' OR $4 OPERATOR(pg_catalog.>) float '5.999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '6.999999999999999') THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.14048644847013766';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.027246856802305538';
  END IF;
  -- tree 2
  IF v2 OPERATOR(pg_catalog.<=) float '1.5000000000000002' THEN
    IF v1 OPERATOR(pg_catalog.<=) float '68.00000000000001' THEN
      v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.15296667724047558';
    ELSE
      v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.02777671641005801';
    END IF;
  ELSIF v1 OPERATOR(pg_catalog.>) float '47.955000000000005' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.11149365573955528';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.011584288329419247';
  END IF;
  -- tree 3
  IF v2 OPERATOR(pg_catalog.<=) float '1.5000000000000002' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.08901414556789733';
  ELSIF v2 OPERATOR(pg_catalog.>) float '2.5000000000000004' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.11448448750729211';
  ELSIF ($4 OPERATOR(pg_catalog.>) float '0.9999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '1.9999999999999998' OR $4 OPERATOR(pg_catalog.>) float '3.9999999999999996' AND $4 OPERATOR(pg_catalog.<=) float '4.999999999999999' OR $4 OPERATOR(pg_catalog.>) float '5.999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '6.999999999999999') THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.08055187759480785';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.027792362778860838';
  END IF;
  -- tree 4
  IF v2 OPERATOR(pg_catalog.<=) float '1.5000000000000002' THEN
    IF v1 OPERATOR(pg_catalog.<=) float '68.00000000000001' THEN
      v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.13208629756691623';
    ELSE
      v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.016263088205206302';
    END IF;
  ELSIF v1 OPERATOR(pg_catalog.<=) float '18.535000000000004' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.08460320507411428';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.06967356959184817';
  END IF;
  -- tree 5
  IF v2 OPERATOR(pg_catalog.<=) float '1.5000000000000002' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.0739976976879876';
  ELSIF v1 OPERATOR(pg_catalog.>) float '93.94000000000001' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.12119411679403534';
  ELSIF ($4 OPERATOR(pg_catalog.>) float '0.9999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '1.9999999999999998' OR $4 OPERATOR(pg_catalog.>) float '3.9999999999999996' AND $4 OPERATOR(pg_catalog.<=) float '6.999999999999999') THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.07427942927420877';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.032915354395986515';
  END IF;
  -- tree 6
  IF v2 OPERATOR(pg_catalog.>) float '2.5000000000000004' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.09679338341799493';
  ELSIF ($4 OPERATOR(pg_catalog.>) float '0.9999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '1.9999999999999998' OR $4 OPERATOR(pg_catalog.>) float '3.9999999999999996' AND $4 OPERATOR(pg_catalog.<=) float '4.999999999999999' OR $4 OPERATOR(pg_catalog.>) float '5.999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '6.999999999999999') THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '0.054278050798299504';
  ELSIF v1 OPERATOR(pg_catalog.<=) float '47.11500000000001' THEN
    v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.12999661621840894';
  ELSE
    v_sum := v_sum OPERATOR(pg_catalog.+) float '-0.03849614055535627';
  END IF;
  RETURN v_sum;
END
$rowguard$;
