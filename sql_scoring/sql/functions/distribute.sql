-- Distributes the tables by user_id where Citus is installed; elsewhere it does nothing. Safe to repeat: what is
-- distributed already is left alone. p_citus names the schema of the extension's functions and of its catalog.
CREATE OR REPLACE FUNCTION scoring.distribute(p_citus text DEFAULT 'pg_catalog')
RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table text;
    v_done text[] := '{}';
    v_is_done boolean;
BEGIN
    IF to_regproc(format('%I.create_distributed_table', p_citus)) IS NULL THEN
        RETURN v_done;
    END IF;
    -- The scoring trigger reads rows of its own user alone, and those lie on the same shard.
    PERFORM set_config('citus.enable_unsafe_triggers', 'on', true);
    -- Read on every node, small, and written rarely.
    FOREACH v_table IN ARRAY ARRAY['scoring.settings', 'scoring.models', 'scoring.let_through_shares'] LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.pg_dist_partition WHERE logicalrelid = %L::regclass)', p_citus, v_table)
        INTO v_is_done;
        IF NOT v_is_done THEN
            EXECUTE format('SELECT %I.create_reference_table(%L::regclass)', p_citus, v_table);
            v_done := v_done || v_table;
        END IF;
    END LOOP;
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM %I.pg_dist_partition WHERE logicalrelid = %L::regclass)', p_citus, 'public.transactions'
    )
    INTO v_is_done;
    IF NOT v_is_done THEN
        -- A local table may not refer to a distributed one, not even for a moment.
        ALTER TABLE public.fraud_labels DROP CONSTRAINT fraud_labels_transaction_fkey;
        ALTER TABLE scoring.rescored_transactions DROP CONSTRAINT rescored_transactions_transaction_fkey;
        EXECUTE format('SELECT %I.create_distributed_table(%L::regclass, %L)', p_citus, 'public.transactions', 'user_id');
        v_done := v_done || 'public.transactions'::text;
    END IF;
    FOREACH v_table IN ARRAY ARRAY[
        'public.fraud_labels', 'public.users', 'scoring.user_home_history', 'scoring.rescored_transactions'
    ] LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.pg_dist_partition WHERE logicalrelid = %L::regclass)', p_citus, v_table)
        INTO v_is_done;
        IF NOT v_is_done THEN
            EXECUTE format(
                'SELECT %I.create_distributed_table(%L::regclass, %L, colocate_with => %L)', p_citus, v_table, 'user_id',
                'public.transactions'
            );
            v_done := v_done || v_table;
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conname = 'fraud_labels_transaction_fkey') THEN
        ALTER TABLE public.fraud_labels ADD CONSTRAINT fraud_labels_transaction_fkey
        FOREIGN KEY (user_id, transaction_id)
        REFERENCES public.transactions (user_id, transaction_id) ON DELETE CASCADE;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conname = 'rescored_transactions_transaction_fkey') THEN
        ALTER TABLE scoring.rescored_transactions ADD CONSTRAINT rescored_transactions_transaction_fkey
        FOREIGN KEY (user_id, transaction_id)
        REFERENCES public.transactions (user_id, transaction_id) ON DELETE CASCADE;
    END IF;
    RETURN v_done;
END
$$;
