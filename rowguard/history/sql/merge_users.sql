INSERT INTO public.users AS u (user_id, home_location)
SELECT s.user_id, s.home_location
FROM users_stage AS s
ON CONFLICT (user_id) DO UPDATE
    SET home_location = excluded.home_location, updated_at = now()
    WHERE u.home_location IS DISTINCT FROM excluded.home_location
