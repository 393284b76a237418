-- The advisory locks: the upper half of a key names what is locked, the lower half which.
--   7265 a user, while a transaction inserts; 7266 a job of the whole database: one deployment, one archive run, one
--   build of features at a time. Users share 4,096 locks: a statement with rows of very many users must not fill the
--   server's lock table.
CREATE OR REPLACE FUNCTION scoring.user_lock_key(p_user_id bigint)
RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (7265::bigint << 32) | (hashint8(p_user_id) & 4095);

CREATE OR REPLACE FUNCTION scoring.job_lock_key(p_job text)
RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (7266::bigint << 32) | array_position(ARRAY['deploy', 'archive', 'features'], p_job) - 1;
