            NEW.shadow_version := {version_literal};
            NEW.shadow_probability := {function_name}(NEW.feature_values);
