-- The floor: the same columns, indexes and rows, no trigger, and the rules as an application would write them: as
-- CHECK constraints, where rowguard has domains. In an empty table indexes are shallower.
DROP TABLE IF EXISTS public.bench_plain;
CREATE TABLE public.bench_plain (LIKE public.transactions INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE public.bench_plain
ALTER occurred_at SET DEFAULT now(),
ALTER received_at SET DEFAULT now(),
ALTER amount TYPE numeric,
ALTER location TYPE text,
ALTER idempotency_key TYPE text,
ADD CHECK (amount >= 0 AND amount < 1e12),
ADD CHECK (min_scale(amount) <= 4),
ADD CHECK (length(location) <= 64),
ADD CHECK (length(idempotency_key) BETWEEN 1 AND 255);

-- The same with rowguard's domains: what is left of the difference is the trigger alone.
DROP TABLE IF EXISTS public.bench_domains;
CREATE TABLE public.bench_domains (
    LIKE public.transactions INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES
);
ALTER TABLE public.bench_domains ALTER occurred_at SET DEFAULT now(), ALTER received_at SET DEFAULT now();

-- The floor of any trigger.
DROP TABLE IF EXISTS public.bench_noop;
CREATE TABLE public.bench_noop (
    LIKE public.bench_plain INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES
);

DO $$
DECLARE
    v_columns text := (
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
        FROM pg_attribute AS a
        WHERE a.attrelid = 'public.transactions'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    );
BEGIN
    EXECUTE format('INSERT INTO public.bench_plain (%1$s) SELECT %1$s FROM public.transactions', v_columns);
    EXECUTE format('INSERT INTO public.bench_domains (%1$s) SELECT %1$s FROM public.transactions', v_columns);
    EXECUTE format('INSERT INTO public.bench_noop (%1$s) SELECT %1$s FROM public.transactions', v_columns);
END
$$;

CREATE OR REPLACE FUNCTION public.bench_noop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER bench_noop BEFORE INSERT ON public.bench_noop FOR EACH ROW EXECUTE FUNCTION public.bench_noop();
