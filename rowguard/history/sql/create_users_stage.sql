CREATE TEMP TABLE users_stage (user_id bigint, home_location text) ON COMMIT DROP
