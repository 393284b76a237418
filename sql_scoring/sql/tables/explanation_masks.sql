-- What a rank of a feature adds to the states of all groups: 16 bits per group. The OR over the features is the state.
CREATE TABLE scoring.explanation_masks (
    model_id integer NOT NULL,
    feature integer NOT NULL,
    rank integer NOT NULL,
    mask bit varying NOT NULL,
    CONSTRAINT explanation_masks_pkey PRIMARY KEY (model_id, feature, rank)
);
