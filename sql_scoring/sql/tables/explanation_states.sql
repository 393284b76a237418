-- One row per state of a group of leaves: the contributions of all features, packed into one number, 20 digits each, in
-- units of 1e-17. The sum over the groups is exact, so it depends neither on the plan nor on the order.
CREATE TABLE scoring.explanation_states (
    model_id integer NOT NULL,
    -- The group in the upper 16 bits, its state in the lower ones.
    state_key integer NOT NULL,
    packed numeric NOT NULL,
    CONSTRAINT explanation_states_pkey PRIMARY KEY (model_id, state_key)
);
