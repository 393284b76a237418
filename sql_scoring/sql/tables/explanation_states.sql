-- One row per eight states of a group of leaves: for each the contributions of all features, packed into one number, 20
-- digits each, in units of 1e-17. The sum over the groups is exact, so it depends neither on the plan nor on the order.
CREATE TABLE scoring.explanation_states (
    model_id integer NOT NULL,
    -- The group in the upper bits, then its state without the last three bits, which are the place in the array.
    block_key integer NOT NULL,
    packed numeric[] NOT NULL,
    CONSTRAINT explanation_states_pkey PRIMARY KEY (model_id, block_key)
)
-- Compressed or moved out of the row, each lookup would cost several times as much.
WITH (toast_tuple_target = 8160);

ALTER TABLE scoring.explanation_states ALTER COLUMN packed SET STORAGE MAIN;
