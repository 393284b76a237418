-- Gauss-Legendre nodes and weights on the interval from 0 to 1, for leaves with this many conditions.
CREATE TABLE scoring.explanation_nodes (
    model_id integer NOT NULL,
    steps integer NOT NULL,
    node integer NOT NULL,
    abscissa double precision NOT NULL,
    weight double precision NOT NULL,
    CONSTRAINT explanation_nodes_pkey PRIMARY KEY (model_id, steps, node)
);
