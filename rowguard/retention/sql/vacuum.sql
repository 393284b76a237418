VACUUM (ANALYZE) public.transactions, public.fraud_labels
