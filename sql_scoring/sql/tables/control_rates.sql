-- One row per setting of the control rate, the probability that an alert joins the control group; the newest counts,
-- none means 0.
CREATE TABLE scoring.control_rates (
    valid_from timestamptz NOT NULL DEFAULT clock_timestamp(),
    rate double precision NOT NULL,
    set_by text NOT NULL DEFAULT session_user,
    CONSTRAINT control_rates_pkey PRIMARY KEY (valid_from),
    CONSTRAINT control_rates_range CHECK (rate BETWEEN 0 AND 1)
);
