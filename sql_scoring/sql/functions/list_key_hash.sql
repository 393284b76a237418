-- What an entry is found by. The column is part of it: user 7 is not merchant 7.
CREATE OR REPLACE FUNCTION scoring.list_key_hash(p_column text, p_key text)
RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtextextended(p_key, hashtextextended(p_column, 18));
