-- One row per rule of a published rule set. Position is its number in the set, by priority: matched_rules names it so.
CREATE TABLE scoring.rules (
    version integer NOT NULL,
    position integer NOT NULL,
    name text NOT NULL,
    condition text NOT NULL,
    action text NOT NULL,
    reason_code text NOT NULL,
    reason text NOT NULL,
    priority integer NOT NULL,
    mode text NOT NULL,
    owner text NOT NULL,
    CONSTRAINT rules_pkey PRIMARY KEY (version, position),
    CONSTRAINT rules_name_once UNIQUE (version, name),
    CONSTRAINT rules_version_fkey FOREIGN KEY (version) REFERENCES scoring.rule_sets (version),
    CONSTRAINT rules_position_range CHECK (position BETWEEN 1 AND 16383),
    CONSTRAINT rules_action_known CHECK (action IN ('approve', 'review', 'decline')),
    CONSTRAINT rules_mode_known CHECK (mode IN ('shadow', 'live'))
);
