SELECT u.user_id, u.home_location
FROM {{ source('public', 'users') }} AS u
