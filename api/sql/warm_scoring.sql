SELECT public.warm_scoring()
