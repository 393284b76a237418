-- One row per transaction that is or was under review: the case that it belongs to.
CREATE TABLE scoring.review_case_transactions (
    user_id bigint /* key type */ NOT NULL,
    transaction_id bigint NOT NULL,
    case_id bigint NOT NULL,
    CONSTRAINT review_case_transactions_pkey PRIMARY KEY (user_id, transaction_id),
    CONSTRAINT review_case_transactions_case_fkey FOREIGN KEY (case_id) REFERENCES scoring.review_cases (case_id),
    CONSTRAINT review_case_transactions_transaction_fkey FOREIGN KEY (user_id, transaction_id)
    REFERENCES public.transactions (user_id, transaction_id) ON DELETE CASCADE
);

CREATE INDEX review_case_transactions_case_idx ON scoring.review_case_transactions (case_id);
