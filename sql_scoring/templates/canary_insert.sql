    -- A stable share of users is decided by the challenger {version}. Should it fail, the champion decides.
    IF hashint8extended(p_user_id, 7267) & 65535 < {slots} THEN
        BEGIN
            v := features.insert_feature_values_{feature_hash8}(
                p_user_id, p_amount, p_merchant_id, p_location, p_occurred_at
            );
            v.fraud_probability := {function_name}(v.feature_values);
            IF v.fraud_probability IS NOT NULL THEN
                v.is_fraud := v.fraud_probability >= {threshold}::double precision;
                v.model_version := {version_literal};
                v.has_second_opinion := true;
                RETURN v;
            END IF;
        EXCEPTION
            WHEN OTHERS THEN
                RAISE WARNING 'the challenger failed, the champion decides: %', SQLERRM;
        END;
    END IF;
