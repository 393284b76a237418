-- One row per entry of a list, also after it was removed or has expired: the history of a list.
CREATE TABLE scoring.list_entries (
    key_hash bigint NOT NULL,
    list_id integer NOT NULL,
    key text NOT NULL,
    expires_at timestamptz,
    reason text,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    added_by text NOT NULL DEFAULT session_user,
    removed_at timestamptz,
    removed_by text,
    CONSTRAINT list_entries_list_fkey FOREIGN KEY (list_id) REFERENCES scoring.lists (list_id),
    CONSTRAINT list_entries_key_length CHECK (length(key) BETWEEN 1 AND 256),
    CONSTRAINT list_entries_reason_length CHECK (length(reason) <= 500)
);

-- One probe finds the entries of all lists for all keys of a row: eight bytes an entry, whatever the column's type.
CREATE INDEX list_entries_current_idx ON scoring.list_entries (key_hash) WHERE removed_at IS NULL;
