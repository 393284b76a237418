-- One row per user: an optional profile. A user without one is scored with an unknown home.
CREATE TABLE public.users (
    user_id bigint NOT NULL,
    home_location scoring.location,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_pkey PRIMARY KEY (user_id)
);
