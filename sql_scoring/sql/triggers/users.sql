CREATE TRIGGER record_home_insert
AFTER INSERT ON public.users
FOR EACH ROW
EXECUTE FUNCTION scoring.record_home_change();

CREATE TRIGGER record_home_update
AFTER UPDATE ON public.users
FOR EACH ROW
WHEN (OLD.home_location IS DISTINCT FROM NEW.home_location)
EXECUTE FUNCTION scoring.record_home_change();

CREATE TRIGGER record_home_delete
AFTER DELETE ON public.users
FOR EACH ROW
EXECUTE FUNCTION scoring.record_home_change();
