-- The features of a caller who brings four of them; the others are missing. Names are those of the list.
BEGIN
    RETURN ARRAY[
    {%- for feature in feature_list() %}
        {{ {
            'transaction_amount': 'p_transaction_amount',
            'user_txn_minutes_since_last': 'p_time_since_last_txn',
            'user_txn_count_1h': 'p_num_txns_last_hour',
            'user_location_match': 'p_user_location_match::integer',
        }.get(feature.name, 'NULL') }}::real{{ ',' if not loop.last }}
    {%- endfor %}
    ];
END
