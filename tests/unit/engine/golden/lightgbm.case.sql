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
-- Margin of the second class, as LGBMClassifier computes it
-- trees: 6, leaves: 24, features: 4, layout: case
-- NULL and NaN are missing values. Inputs are compared unrounded with the cuts that float32 rounding amounts to.
-- Written by rowguard's transpiler, format 4. Do not edit: transpile the model again.
DECLARE
  v_sum double precision := float '0';
  v1 double precision := CASE WHEN $1 OPERATOR(pg_catalog.<>) float 'NaN' THEN $1 END;
  v2 double precision := CASE WHEN $2 OPERATOR(pg_catalog.<>) float 'NaN' THEN $2 END;
BEGIN
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.<=) float '1.5000000000000002' THEN float '-0.07560656877649652' WHEN v2 OPERATOR(pg_catalog.>) float '3.5000000000000004' THEN float '0.21240576917022416' WHEN ($4 OPERATOR(pg_catalog.>) float '0.9999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '1.9999999999999998' OR $4 OPERATOR(pg_catalog.>) float '3.9999999999999996' AND $4 OPERATOR(pg_catalog.<=) float '4.999999999999999' OR $4 OPERATOR(pg_catalog.>) float '5.999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '6.999999999999999') THEN float '0.14048644847013766' ELSE float '0.027246856802305538' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.<=) float '1.5000000000000002' THEN CASE WHEN v1 OPERATOR(pg_catalog.<=) float '68.00000000000001' THEN float '-0.15296667724047558' ELSE float '-0.02777671641005801' END WHEN v1 OPERATOR(pg_catalog.>) float '47.955000000000005' THEN float '0.11149365573955528' ELSE float '0.011584288329419247' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.<=) float '1.5000000000000002' THEN float '-0.08901414556789733' WHEN v2 OPERATOR(pg_catalog.>) float '2.5000000000000004' THEN float '0.11448448750729211' WHEN ($4 OPERATOR(pg_catalog.>) float '0.9999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '1.9999999999999998' OR $4 OPERATOR(pg_catalog.>) float '3.9999999999999996' AND $4 OPERATOR(pg_catalog.<=) float '4.999999999999999' OR $4 OPERATOR(pg_catalog.>) float '5.999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '6.999999999999999') THEN float '0.08055187759480785' ELSE float '-0.027792362778860838' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.<=) float '1.5000000000000002' THEN CASE WHEN v1 OPERATOR(pg_catalog.<=) float '68.00000000000001' THEN float '-0.13208629756691623' ELSE float '-0.016263088205206302' END WHEN v1 OPERATOR(pg_catalog.<=) float '18.535000000000004' THEN float '-0.08460320507411428' ELSE float '0.06967356959184817' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.<=) float '1.5000000000000002' THEN float '-0.0739976976879876' WHEN v1 OPERATOR(pg_catalog.>) float '93.94000000000001' THEN float '0.12119411679403534' WHEN ($4 OPERATOR(pg_catalog.>) float '0.9999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '1.9999999999999998' OR $4 OPERATOR(pg_catalog.>) float '3.9999999999999996' AND $4 OPERATOR(pg_catalog.<=) float '6.999999999999999') THEN float '0.07427942927420877' ELSE float '-0.032915354395986515' END;
  v_sum := v_sum OPERATOR(pg_catalog.+) CASE WHEN v2 OPERATOR(pg_catalog.>) float '2.5000000000000004' THEN float '0.09679338341799493' WHEN ($4 OPERATOR(pg_catalog.>) float '0.9999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '1.9999999999999998' OR $4 OPERATOR(pg_catalog.>) float '3.9999999999999996' AND $4 OPERATOR(pg_catalog.<=) float '4.999999999999999' OR $4 OPERATOR(pg_catalog.>) float '5.999999999999999' AND $4 OPERATOR(pg_catalog.<=) float '6.999999999999999') THEN float '0.054278050798299504' WHEN v1 OPERATOR(pg_catalog.<=) float '47.11500000000001' THEN float '-0.12999661621840894' ELSE float '-0.03849614055535627' END;
  RETURN v_sum;
END
$rowguard$;
