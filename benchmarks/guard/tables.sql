CREATE SCHEMA guard;

-- Stands for scoring: a read that cannot be folded away.
CREATE FUNCTION guard.work(p_user_id bigint) RETURNS double precision
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN p_user_id * 1.5;
END
$$;
