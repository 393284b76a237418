-- Everything of the first schema goes, with what dbt built on it. The group roles stay: they belong to the
-- whole server and other databases may use them.
DROP SCHEMA features CASCADE;

DROP FUNCTION public.score_transaction (double precision, double precision, integer, boolean);

DROP FUNCTION public.score_transaction (bigint, numeric, bigint, text, timestamptz);

DROP VIEW public.model_versions;

DROP TABLE public.fraud_labels;

DROP TABLE public.transactions;

DROP TABLE public.users;

DROP SCHEMA scoring CASCADE;

DROP TYPE public.fraud_score;
