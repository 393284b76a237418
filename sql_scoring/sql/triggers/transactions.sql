-- PostgreSQL reads the text of every WHEN anew for each INSERT (some 3 microseconds for a call and two constants), so
-- they are few and short: score_on_insert, which fires first, makes is_history false on rows that are not loaded.

CREATE TRIGGER score_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
EXECUTE FUNCTION scoring.score_on_insert();

-- Loading history sets rowguard.load_history for its own transaction and so is not scored. Anybody can set that variable,
-- so the guard asks who loads: once per statement.
CREATE TRIGGER keep_history_undecided
BEFORE INSERT ON public.transactions
FOR EACH STATEMENT
EXECUTE FUNCTION scoring.keep_history_undecided();

-- Only rows that got no running totals pay for this one.
CREATE TRIGGER fold_late_row
AFTER INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.user_txns_before IS NULL)
EXECUTE FUNCTION scoring.fold_late_row();

CREATE TRIGGER forget_totals_on_delete
AFTER DELETE ON public.transactions
FOR EACH ROW
EXECUTE FUNCTION scoring.forget_totals();

CREATE TRIGGER forget_totals_on_update
AFTER UPDATE OF user_id, occurred_at, amount ON public.transactions
FOR EACH ROW
WHEN ((OLD.user_id, OLD.occurred_at, OLD.amount) IS DISTINCT FROM (NEW.user_id, NEW.occurred_at, NEW.amount))
EXECUTE FUNCTION scoring.forget_totals();

-- The following two come after score_on_insert: triggers fire in the order of their names.
CREATE TRIGGER shadow_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (NOT NEW.is_history)
EXECUTE FUNCTION scoring.shadow_on_insert();

-- Costs nothing on rows that are not flagged.
CREATE TRIGGER spare_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.fraud_flag = 'FRAUD')
EXECUTE FUNCTION scoring.spare_on_insert();
