COPY users_stage (user_id, home_location) FROM STDIN (FORMAT csv)
