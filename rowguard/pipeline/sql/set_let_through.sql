INSERT INTO scoring.let_through_shares (share)
VALUES (%(share)s)
