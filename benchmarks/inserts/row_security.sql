-- The tenant of a row is its session's; a session sees and writes its own tenant's rows.
ALTER TABLE public.transactions ADD COLUMN tenant text NOT NULL DEFAULT current_setting('rowguard.tenant', true);
GRANT SELECT (tenant) ON public.transactions TO rowguard_app;
ALTER TABLE public.transactions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON public.transactions TO rowguard_app
USING (tenant = current_setting('rowguard.tenant', true))
WITH CHECK (tenant = current_setting('rowguard.tenant', true));
