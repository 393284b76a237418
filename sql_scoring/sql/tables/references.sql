-- One table per reference that features.yml declares, with one row per key: read live. A second one has its history, which
-- the training set reads.
/* for each reference: {create_tables} */
