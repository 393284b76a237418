-- One row per user and change of home: what the trigger read at any past time, for the training set.
CREATE TABLE scoring.user_home_history (
    user_id bigint NOT NULL,
    valid_from timestamptz NOT NULL,
    home_location text,
    CONSTRAINT user_home_history_pkey PRIMARY KEY (user_id, valid_from)
);
