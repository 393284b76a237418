-- The advisory locks. A user's lock, which a transaction holds while it inserts, has its own key: users who share
-- none never wait for each other. The number, the bytes of "rowguard", keeps them apart from keys of applications.
CREATE OR REPLACE FUNCTION scoring.user_lock_key(p_user_id bigint /* key type */)
RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN int8xor(p_user_id /* as bigint */, 8245940728973324900);

-- The jobs of the whole database: one deployment, one archive run, one build of features, one opening of cases at a time.
-- Their locks have keys of two integers, which no key of one bigint equals: an INSERT for a user cannot hold one.
CREATE OR REPLACE FUNCTION scoring.job_lock_space()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 7266;

CREATE OR REPLACE FUNCTION scoring.job_lock_key(p_job text)
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_position(ARRAY['deploy', 'archive', 'features', 'reviews'], p_job) - 1;
