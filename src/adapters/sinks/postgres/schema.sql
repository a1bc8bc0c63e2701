-- The tables and views of sinks of the type `postgres`. Each statement may be run again.

CREATE SCHEMA IF NOT EXISTS cronapi;

CREATE TABLE IF NOT EXISTS cronapi.schema_version (
    version integer NOT NULL
);

-- How far each sink is: everything up to this place of the log is there.
CREATE TABLE IF NOT EXISTS cronapi.positions (
    cluster text NOT NULL,
    sink text NOT NULL,
    fence bigint NOT NULL,
    entry bigint NOT NULL,
    sub bigint NOT NULL,
    -- While the history of before is copied: the last key that was.
    filling bytea,
    moved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster, sink)
);

-- Runs that ended.
CREATE TABLE IF NOT EXISTS cronapi.runs (
    cluster text NOT NULL,
    id uuid NOT NULL,
    job text NOT NULL,
    job_uid uuid,
    version bigint,
    trigger text,
    status text NOT NULL,
    reason text,
    nominal_time timestamptz,
    fired_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz NOT NULL,
    attempts integer,
    node bigint,
    exit_code integer,
    http_status integer,
    error text,
    result jsonb,
    parameters jsonb,
    requested_by text,
    cancelled_by text,
    cause uuid,
    backfill bigint,
    workflow_run uuid,
    task text,
    task_index bigint,
    cpu_ms bigint,
    peak_memory_bytes bigint,
    log_bytes bigint,
    page text,
    PRIMARY KEY (cluster, id)
);
CREATE INDEX IF NOT EXISTS runs_by_job ON cronapi.runs (job, finished_at);
CREATE INDEX IF NOT EXISTS runs_by_end ON cronapi.runs (finished_at);

-- What became of each nominal time; a row with `until` is of all from `nominal_time` to before it.
CREATE TABLE IF NOT EXISTS cronapi.ledger (
    cluster text NOT NULL,
    job_uid uuid NOT NULL,
    nominal_time timestamptz NOT NULL,
    job text NOT NULL,
    until timestamptz,
    count integer,
    outcome text NOT NULL,
    reason text,
    run_id uuid,
    decided_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (cluster, job_uid, nominal_time)
);
CREATE INDEX IF NOT EXISTS ledger_by_job ON cronapi.ledger (job, nominal_time);

-- Runs of jobs (not of tasks of workflows) with how long they took, and how late they began.
CREATE OR REPLACE VIEW cronapi.timings AS
SELECT
    cluster, id, job, status, nominal_time, started_at, finished_at, attempts, node,
    finished_at - started_at AS took,
    started_at - nominal_time AS late
FROM cronapi.runs
WHERE workflow_run IS NULL AND started_at IS NOT NULL;

-- The last run of each job.
CREATE OR REPLACE VIEW cronapi.latest AS
SELECT DISTINCT ON (cluster, job) *
FROM cronapi.runs
WHERE workflow_run IS NULL
ORDER BY cluster, job, finished_at DESC, id DESC;

-- Runs that did not do what they should.
CREATE OR REPLACE VIEW cronapi.failures AS
SELECT cluster, id, job, status, finished_at, attempts, node, exit_code, http_status, error, page
FROM cronapi.runs
WHERE workflow_run IS NULL AND status IN ('failed', 'timed_out', 'lost');

-- Each job by days (UTC).
CREATE OR REPLACE VIEW cronapi.daily AS
SELECT
    cluster, job,
    (finished_at AT TIME ZONE 'UTC')::date AS day,
    count(*) AS runs,
    count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
    count(*) FILTER (WHERE status IN ('failed', 'timed_out', 'lost')) AS failed,
    count(*) FILTER (WHERE status IN ('cancelled', 'skipped')) AS other,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at))
        AS p50_seconds,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at))
        AS p95_seconds
FROM cronapi.runs
WHERE workflow_run IS NULL
GROUP BY cluster, job, day;

-- Nominal times that have no run.
CREATE OR REPLACE VIEW cronapi.not_run AS
SELECT cluster, job, nominal_time, until, coalesce(count, 1) AS times, outcome, reason, decided_at
FROM cronapi.ledger
WHERE outcome <> 'fired';
