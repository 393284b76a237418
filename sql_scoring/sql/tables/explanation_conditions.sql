-- Leaves as conditions on the ranks of features, for models that are too deep for tables; for the others only while
-- these are built. A leaf has one component with weights along its path, or one per pattern of the passed sample.
CREATE TABLE scoring.explanation_conditions (
    model_id integer NOT NULL,
    leaf integer NOT NULL,
    component integer NOT NULL,
    -- Position among the conditions of the leaf, from 1.
    step integer NOT NULL,
    -- The group that the leaf belongs to, and its place in it; NULL without tables.
    leaf_group integer,
    slot integer,
    -- How many conditions the leaf has, and so which nodes are exact for it.
    steps integer NOT NULL,
    -- The leaf's value times the fraction of the component.
    scale double precision NOT NULL,
    feature integer NOT NULL,
    ranks int4multirange NOT NULL,
    weight double precision NOT NULL,
    CONSTRAINT explanation_conditions_pkey PRIMARY KEY (model_id, leaf, component, step)
);
