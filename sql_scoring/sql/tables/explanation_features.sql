-- One row per model and feature: where its values are divided, and where they usually lie.
CREATE TABLE scoring.explanation_features (
    model_id integer NOT NULL,
    position integer NOT NULL,
    name text NOT NULL,
    -- Where its digits are in a packed sum, from the right; the features that most states hold come first, so that
    -- numbers are short.
    slot integer NOT NULL,
    -- The rank of a value is the number of cuts at or below it, as width_bucket counts; -1 when it is missing.
    cuts double precision[] NOT NULL,
    -- The nearest values on both sides of each cut.
    below_cuts real[] NOT NULL,
    above_cuts real[] NOT NULL,
    -- 5 % of the rows that passed lie below, 5 % above; of a feature with two values, the common one.
    usual_low double precision,
    usual_high double precision,
    CONSTRAINT explanation_features_pkey PRIMARY KEY (model_id, position)
);
