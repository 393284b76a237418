-- The floor: the same columns, types and indexes, and no trigger.
DROP TABLE IF EXISTS public.bench_plain;
CREATE TABLE public.bench_plain (
    LIKE public.transactions INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING GENERATED
);
ALTER TABLE public.bench_plain ALTER occurred_at SET DEFAULT now(), ALTER received_at SET DEFAULT now();

-- The floor of any trigger.
DROP TABLE IF EXISTS public.bench_noop;
CREATE TABLE public.bench_noop (
    LIKE public.bench_plain INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING GENERATED
);
CREATE OR REPLACE FUNCTION public.bench_noop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER bench_noop BEFORE INSERT ON public.bench_noop FOR EACH ROW EXECUTE FUNCTION public.bench_noop();
