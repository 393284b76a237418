-- One row per label of a transaction; several rows for one transaction are its history.
CREATE SEQUENCE public.fraud_labels_label_id_seq AS bigint;

CREATE TABLE public.fraud_labels (
    user_id bigint /* key type */ NOT NULL,
    transaction_id bigint NOT NULL,
    label_id bigint NOT NULL DEFAULT nextval('public.fraud_labels_label_id_seq'::regclass),
    is_fraud boolean NOT NULL,
    -- When it became known; the training set uses only what was known at its cutoff.
    labelled_at timestamptz NOT NULL DEFAULT now(),
    source scoring.label_source NOT NULL DEFAULT 'manual',
    CONSTRAINT fraud_labels_pkey PRIMARY KEY (user_id, transaction_id, label_id),
    CONSTRAINT fraud_labels_transaction_fkey FOREIGN KEY (user_id, transaction_id)
    REFERENCES public.transactions (user_id, transaction_id) ON DELETE CASCADE
);

ALTER SEQUENCE public.fraud_labels_label_id_seq OWNED BY public.fraud_labels.label_id;
