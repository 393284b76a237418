    -- A fixed fraction of users is decided by the challenger {version}. When it fails, the champion decides.
    IF hashint8extended(scoring.user_lock_key(p_request.user_id), 7267) & 65535 < {buckets} THEN
        BEGIN
            d := features.live_feature_values_{feature_hash8}(p_request);
            d.fraud_probability := {function_name}(d.feature_values);
            IF d.fraud_probability IS NOT NULL THEN
                d.is_fraud := d.fraud_probability >= {cut}::double precision;
{shown_by_canary}                d.model_version := {version_literal};
                d.needs_shadow_score := true;
                RETURN d;
            END IF;
        EXCEPTION
            WHEN OTHERS THEN
                RAISE WARNING 'the challenger failed, the champion decides: %', SQLERRM;
        END;
    END IF;
