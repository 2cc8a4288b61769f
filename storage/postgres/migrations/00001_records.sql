-- Every table has the records of one kind (storage/record), sealed, under the key that
-- the seal covers. The other columns lead to a record, and tell no more than the keys
-- of the embedded engine's indexes do; expires and due are about sweeping, see sweep.go.
-- A value of no bytes is no record: it holds a place that a transaction has locked.
--
-- expires changes with the record and has no index, so that a renewal stays on its page
-- (a heap-only tuple). due is when the sweep looks at the row, which moves it on.

-- +goose Up
SET LOCAL statement_timeout = 0;
CREATE TABLE meta (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL
);
INSERT INTO meta (key, value) VALUES ('oldest_program', '1');
CREATE TABLE signing_keys (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL
);
CREATE TABLE clients (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL
);
CREATE TABLE callback_secrets (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL
);
CREATE TABLE people (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL
) WITH (fillfactor = 90);
CREATE TABLE deleted (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL
);
CREATE TABLE numbers (
    key   bytea PRIMARY KEY,
    sub   bytea NOT NULL,
    value bytea NOT NULL
);
CREATE TABLE consents (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL
) WITH (fillfactor = 90);
CREATE TABLE limits (
    key     bytea PRIMARY KEY,
    value   bytea NOT NULL,
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX limits_due ON limits (due);
CREATE TABLE attempts (
    key         bytea PRIMARY KEY,
    correlation bytea NOT NULL UNIQUE,
    browser     bytea NOT NULL,
    value       bytea NOT NULL,
    expires     timestamptz NOT NULL,
    due         timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX attempts_browser ON attempts (browser);
CREATE INDEX attempts_due ON attempts (due);
CREATE TABLE forms (
    key     bytea PRIMARY KEY,
    attempt bytea NOT NULL,
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX forms_due ON forms (due);
CREATE TABLE deliveries (
    key     bytea PRIMARY KEY,
    value   bytea NOT NULL,
    attempt bytea NOT NULL,       -- the correlation of its attempt, if it brings a token
    node    text NOT NULL,        -- the process that works on it, '' for none
    until   timestamptz NOT NULL, -- when another one may take it; not before, also where none works on it
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX deliveries_due ON deliveries (due);
CREATE INDEX deliveries_node ON deliveries (node);
CREATE INDEX deliveries_attempt ON deliveries (attempt);
CREATE TABLE sessions (
    key     bytea PRIMARY KEY,
    sid     bytea NOT NULL UNIQUE,
    sub     bytea NOT NULL,
    value   bytea NOT NULL,
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX sessions_sub ON sessions (sub);
CREATE INDEX sessions_due ON sessions (due);
CREATE TABLE codes (
    key      bytea PRIMARY KEY,
    grant_id bytea NOT NULL,
    sid      bytea NOT NULL,
    sub      bytea NOT NULL,
    value    bytea NOT NULL,
    expires  timestamptz NOT NULL,
    due      timestamptz NOT NULL
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX codes_sid ON codes (sid) WHERE sid <> '';
CREATE INDEX codes_sub ON codes (sub);
CREATE INDEX codes_due ON codes (due);
CREATE TABLE grants (
    key     bytea PRIMARY KEY,
    sid     bytea NOT NULL,
    sub     bytea NOT NULL,
    value   bytea NOT NULL,
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX grants_sid ON grants (sid) WHERE sid <> '';
CREATE INDEX grants_sub ON grants (sub);
CREATE INDEX grants_due ON grants (due);
CREATE TABLE access_tokens (
    key      bytea PRIMARY KEY,
    grant_id bytea NOT NULL,
    value    bytea NOT NULL,
    expires  timestamptz NOT NULL,
    due      timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX access_tokens_due ON access_tokens (due);
CREATE TABLE assertions (
    key     bytea PRIMARY KEY,
    value   bytea NOT NULL,
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX assertions_due ON assertions (due);
CREATE TABLE initial_tokens (
    key     bytea PRIMARY KEY,
    value   bytea NOT NULL,
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
);
CREATE INDEX initial_tokens_due ON initial_tokens (due);
CREATE TABLE receivers (
    key     bytea PRIMARY KEY,
    value   bytea NOT NULL,
    node    text NOT NULL,        -- the process that tells it something, '' for none
    until   timestamptz NOT NULL, -- when another one may; not before, also where none does
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX receivers_due ON receivers (due);
CREATE TABLE notices (
    key      bytea PRIMARY KEY,
    receiver bytea NOT NULL,
    value    bytea NOT NULL,
    expires  timestamptz NOT NULL,
    due      timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX notices_receiver ON notices (receiver, key);
CREATE INDEX notices_due ON notices (due);
CREATE TABLE streams (
    key    bytea PRIMARY KEY,
    events text[] NOT NULL, -- what is kept for it when it happens
    value  bytea NOT NULL
);
CREATE TABLE known (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL
) WITH (fillfactor = 90);
CREATE TABLE removed_subjects (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL
);
CREATE TABLE device_requests (
    key     bytea PRIMARY KEY,
    value   bytea NOT NULL,
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX device_requests_due ON device_requests (due);
CREATE TABLE audit_heads (
    key   bytea PRIMARY KEY,
    value bytea NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE TABLE funnel (
    key     bytea PRIMARY KEY,
    value   bytea NOT NULL,
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX funnel_due ON funnel (due);
CREATE TABLE api_keys (
    key     bytea PRIMARY KEY,
    value   bytea NOT NULL,
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
);
CREATE INDEX api_keys_due ON api_keys (due);
CREATE TABLE requests (
    key     bytea PRIMARY KEY,
    value   bytea NOT NULL,
    expires timestamptz NOT NULL,
    due     timestamptz NOT NULL
);
CREATE INDEX requests_due ON requests (due);

-- outcomes tells of each transaction whether it was committed, see transaction.go, and
-- which attempts it has changed, see wake.go.
CREATE TABLE outcomes (
    at        timestamptz NOT NULL,
    id        bytea NOT NULL,
    committed boolean NOT NULL,
    changed   text[],
    xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (at, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX outcomes_changed ON outcomes (xid) WHERE changed IS NOT NULL;

-- servers has the processes that use the database, see servers.go.
CREATE TABLE servers (
    node  text PRIMARY KEY,
    until timestamptz NOT NULL -- when it counts as gone, unless it says that it is there
);

-- refuse_deleted ends a transaction that would give a deleted user a record. Its query
-- sees what was committed before it runs, like any statement at READ COMMITTED.
-- +goose StatementBegin
CREATE FUNCTION refuse_deleted(tombstone bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM deleted WHERE key = tombstone) THEN
        RAISE EXCEPTION 'the user was deleted' USING ERRCODE = 'CI001';
    END IF;
END
$$;
-- +goose StatementEnd

-- settle_delivery deletes a delivery whose work a transaction finishes. It ends the
-- transaction if the process does not hold the delivery: another one decides.
-- +goose StatementBegin
CREATE FUNCTION settle_delivery(id bytea, process text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM deliveries WHERE key = id AND node = process;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another process works on the delivery' USING ERRCODE = 'CI002';
    END IF;
END
$$;
-- +goose StatementEnd

-- living keeps a user from being deleted before the transaction ends, and ends it if the
-- user was deleted. Each of its queries sees what was committed before it runs.
-- +goose StatementBegin
CREATE FUNCTION living(sub bytea, tombstone bytea) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM people WHERE key = sub FOR KEY SHARE;
    IF EXISTS (SELECT FROM deleted WHERE key = tombstone) THEN
        RAISE EXCEPTION 'the user was deleted' USING ERRCODE = 'CI001';
    END IF;
END
$$;
-- +goose StatementEnd

-- as_guessed ends a transaction that has guessed wrong, see guess.go.
-- +goose StatementBegin
CREATE FUNCTION as_guessed(holds boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT holds THEN
        RAISE EXCEPTION 'a row is not as it was guessed' USING ERRCODE = 'CI003';
    END IF;
END
$$;
-- +goose StatementEnd
