INSERT INTO scoring.gate_reports (version, champion, is_passed, is_forced, reasons, figures)
VALUES (%(version)s, %(champion)s, %(is_passed)s, %(is_forced)s, %(reasons)s, %(figures)s)
