-- One row per setting of the share of alerts that are let through; the newest counts, none means 0.
CREATE TABLE scoring.let_through_shares (
    valid_from timestamptz NOT NULL DEFAULT clock_timestamp(),
    share double precision NOT NULL,
    set_by text NOT NULL DEFAULT session_user,
    CONSTRAINT let_through_shares_pkey PRIMARY KEY (valid_from),
    CONSTRAINT let_through_shares_range CHECK (share BETWEEN 0 AND 1)
);
