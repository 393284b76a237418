            NEW.shadow_version := {version_literal};
            NEW.shadow_feature_values := features.live_feature_values_{feature_hash8}(
                NEW.user_id, NEW.amount, NEW.merchant_id, NEW.location, NEW.occurred_at
            );
            NEW.shadow_probability := {function_name}(NEW.shadow_feature_values);
