//! Every limit of the product, in one place. Each is documented in docs/limits.md and
//! stands in the OpenAPI document; tests send one more than each.

use super::rate::Rate;
use super::span::Span;

/// A definition as JSON, its code included, in bytes.
pub const DEFINITION_BYTES_MAX: usize = 64 * 1024;
/// The same of a workflow.
pub const FLOW_BYTES_MAX: usize = 160 * 1024;
/// Tasks of a workflow.
pub const FLOW_TASKS_MAX: usize = 1_000;
/// Tasks of a workflow, one after the other.
pub const FLOW_DEPTH_MAX: usize = 128;
/// Items of a task.
pub const FLOW_ITEMS_MAX: usize = 10_000;
/// Items of a task at a time, unless it says otherwise.
pub const FLOW_PARALLEL_DEFAULT: u32 = 16;
/// Results of tasks that a run of a workflow keeps because something names them, in bytes.
pub const FLOW_RESULTS_BYTES_MAX: usize = 1024 * 1024;
/// Results that a run which goes on from another can take over, in bytes.
pub const FLOW_KEPT_BYTES_MAX: usize = 128 * 1024;
/// A request body that is not a list of definitions, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// The body of `POST /apply`, in bytes.
pub const APPLY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Definitions in one `POST /apply`.
pub const APPLY_ITEMS_MAX: usize = 10_000;
/// Values in one request body, or in one definition of a list: a value takes many times the
/// memory of its text.
pub const VALUES_MAX: usize = 40_000;
/// Values in all definitions of one `POST /apply`.
pub const APPLY_VALUES_MAX: usize = 500_000;
/// A run's parameters as JSON, in bytes.
pub const PARAMETERS_BYTES_MAX: usize = 32 * 1024;
/// A run's result as JSON, in bytes.
pub const RESULT_BYTES_MAX: usize = 32 * 1024;
/// What all templates of one attempt make once values are filled in, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 1024 * 1024;
/// A name of a job, user, queue or label, in characters.
pub const NAME_LEN_MAX: usize = 128;
/// A description or a reason, in characters.
pub const TEXT_LEN_MAX: usize = 4_096;
/// Tags of a job.
pub const TAGS_MAX: usize = 32;
/// Dependencies of a job, and likewise targets in one of its chain lists.
pub const REFERENCES_MAX: usize = 64;
/// Jobs in a row that chains and dependencies may lead through.
pub const CHAIN_DEPTH_MAX: usize = 32;
/// Open runs of one job, waiting ones included; a fire past it is `skipped: queue full`.
pub const OPEN_RUNS_PER_JOB_MAX: u32 = 1_000;
/// `max_concurrent` at most.
pub const CONCURRENT_MAX: u32 = 1_000;
/// Attempts of a run.
pub const ATTEMPTS_MAX: u32 = 100;
/// Captured output of an attempt, in bytes: head and tail are kept.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Items of a page, at most, and by default.
pub const PAGE_MAX: usize = 1_000;
/// Items of a page by default.
pub const PAGE_DEFAULT: usize = 50;
/// Jobs in one request for strips.
pub const STRIPS_MAX: usize = 100;
/// Cells of a strip, past and to come together.
pub const CELLS_MAX: usize = 200;
/// Runs that the figures of a job are made of: the newest.
pub const SAMPLES_MAX: usize = 500;
/// Buckets of a range of time, such as of a load map.
pub const BUCKETS_MAX: usize = 1_500;
/// A range of time that is cut in buckets, or whose coming fires are listed.
pub const LOAD_RANGE_MAX: Span = Span::from_secs(366 * 86_400);
/// Runs in one answer for a timeline.
pub const BARS_MAX: usize = 5_000;
/// Jobs in one graph of chains and gates.
pub const GRAPH_JOBS_MAX: usize = 1_000;
/// Characters of a text that is looked for in output.
pub const SEARCH_LEN_MAX: usize = 200;
/// Hits in one answer of a search in output.
pub const HITS_MAX: usize = 500;
/// Calendars of a job, and dates or date ranges in one of them.
pub const CALENDARS_MAX: usize = 8;
/// Dates or date ranges in one calendar.
pub const CALENDAR_ITEMS_MAX: usize = 512;
/// Environment variables or headers of a runner.
pub const RUNNER_ENTRIES_MAX: usize = 128;
/// Characters of an `Idempotency-Key` (printable ASCII).
pub const IDEMPOTENCY_KEY_LEN_MAX: usize = 255;
/// How long an `Idempotency-Key` is remembered.
pub const IDEMPOTENCY_TTL: Span = Span::from_secs(24 * 3600);
/// Idempotency keys remembered at a time; past it the oldest are forgotten.
pub const IDEMPOTENCY_KEYS_MAX: usize = 100_000;
/// Jobs in a cluster.
pub const JOBS_MAX: usize = 2_000_000;
/// Secrets in a cluster.
pub const SECRETS_MAX: usize = 1_000;
/// Queues with a limit.
pub const QUEUES_MAX: usize = 10_000;
/// Sets of settings: `scheduling`.
pub const SETTINGS_MAX: usize = 1;
/// Versions of a definition that is no job which are kept, the newest.
pub const DEFINITION_VERSIONS_MAX: u64 = 100;
/// The value of a secret, in bytes: at least.
pub const SECRET_BYTES_MIN: usize = 4;
/// The value of a secret, in bytes: at most.
pub const SECRET_BYTES_MAX: usize = 16 * 1024;
/// Data keys of secrets at a time, while one takes the place of another.
pub const SECRET_KEYS_MAX: usize = 8;
/// Windows of a queue's rates.
pub const QUEUE_RATES_MAX: usize = 4;
/// `limit` of one of them: so many starts are remembered.
pub const QUEUE_RATE_LIMIT_MAX: u32 = 10_000;
/// Shares of a queue with a weight of their own.
pub const QUEUE_WEIGHTS_MAX: usize = 256;
/// The weight of a share, at most.
pub const QUEUE_WEIGHT_MAX: u32 = 1_000;
/// Rules of alerts.
pub const RULES_MAX: usize = 500;
/// Channels that a rule, or a job, tells.
pub const RULE_CHANNELS_MAX: usize = 8;
/// `min_failures` at most.
pub const MIN_FAILURES_MAX: u32 = 1_000;
/// `group_wait` of a rule, at most.
pub const GROUP_WAIT_MAX: Span = Span::from_secs(3_600);
/// `repeat` of a rule: at least.
pub const REPEAT_MIN: Span = Span::from_secs(60);
/// Incidents that are open, and beginnings of some; a trouble past it is counted only.
pub const INCIDENTS_MAX: usize = 50_000;
/// Jobs that one incident names, and whose success it waits for.
pub const INCIDENT_JOBS_MAX: usize = 1_000;
/// Monitors.
pub const MONITORS_MAX: usize = 10_000;
/// How late a ping may be, unless the monitor says otherwise.
pub const MONITOR_GRACE_DEFAULT: Span = Span::from_secs(600);
/// `grace` and `max_duration` of a monitor: at least.
pub const MONITOR_GRACE_MIN: Span = Span::from_secs(1);
/// `every` of a monitor: at least.
pub const MONITOR_EVERY_MIN: Span = Span::from_secs(12);
/// Pings of one monitor: so many in a row at a node, then one more each time: five a minute.
pub const PINGS: Rate = Rate { burst: 60, every: Span::from_secs(12) };
/// Pings with a key that no monitor has, from one address at a node.
pub const PINGS_UNKNOWN: Rate = Rate { burst: 60, every: Span::from_secs(1) };
/// What a ping brings along, in bytes; the rest is left out.
pub const PING_BODY_BYTES_MAX: usize = 10_000;
/// What sent a ping, as that says, in characters.
pub const PING_AGENT_LEN_MAX: usize = 200;
/// Pings of a monitor that can be read: the newest.
pub const PINGS_KEPT: u64 = 100;
/// Those of them whose bodies can be read, too.
pub const PING_BODIES_KEPT: u64 = 10;
/// When nothing happened by the log for so long, nobody led: deadlines that came in that time are
/// excused.
pub const EXCUSE_AFTER: Span = Span::from_secs(5);
/// Where there are monitors, the leader says so often at least that it is there.
pub const BEAT: Span = Span::from_secs(2);
/// Notices that wait to be sent; one past it is counted, and told with the next.
pub const NOTICES_MAX: usize = 10_000;
/// Why a run ended, as a notice tells it, in bytes.
pub const NOTICE_DETAIL_MAX: usize = 200;
/// From a try to send a notice in vain to the next: at first.
pub const NOTICE_RETRY_MIN: Span = Span::from_secs(5);
/// The same, at most.
pub const NOTICE_RETRY_MAX: Span = Span::from_secs(1_800);
/// A notice that could not be sent for so long is given up.
pub const NOTICE_AGE_MAX: Span = Span::from_secs(86_400);
/// Notices that are told in one message, when a channel has more than its rate.
pub const DIGEST_MAX: usize = 100;
/// Notices and incidents that are over and can be read: the newest.
pub const ALERTS_KEPT_MAX: u64 = 10_000;
/// How long they can.
pub const ALERTS_AGE_MAX: Span = Span::from_secs(30 * 86_400);
/// `max_waiting` of a queue, at most.
pub const QUEUE_WAITING_MAX: u32 = 1_000_000;
/// Channels in a cluster.
pub const CHANNELS_MAX: usize = 100;
/// Addresses that one message of a channel goes to by mail.
pub const CHANNEL_RECIPIENTS_MAX: usize = 50;
/// Headers that a channel sets.
pub const CHANNEL_HEADERS_MAX: usize = 16;
/// The address of a channel, in bytes.
pub const CHANNEL_URL_BYTES_MAX: usize = 2_048;
/// `rate.limit` of a channel, at most.
pub const CHANNEL_RATE_LIMIT_MAX: u32 = 10_000;
/// `rate.per` of a channel, at most.
pub const CHANNEL_RATE_PER_MAX: Span = Span::from_secs(86_400);
/// Each text of a channel's template, in bytes.
pub const CHANNEL_TEMPLATE_BYTES_MAX: usize = 16 * 1024;
/// Steps and data that a template of a channel may use before it is given up.
pub const CHANNEL_TEMPLATE_FUEL: u64 = 50_000;
/// Each text of a message, in bytes; what is longer is cut, and says so.
pub const MESSAGE_TEXT_BYTES_MAX: usize = 16 * 1024;
/// The subject of a message, in characters.
pub const MESSAGE_SUBJECT_LEN_MAX: usize = 200;
/// How long one message may take to be delivered.
pub const DELIVERY_TIMEOUT: Span = Span::from_secs(10);
/// What is read of the answer to a message.
pub const DELIVERY_ANSWER_BYTES_MAX: usize = 4 * 1024;
/// Tests of one channel: so many in a row at a node, then one more each time.
pub const CHANNEL_TESTS: Rate = Rate { burst: 5, every: Span::from_secs(10) };
/// A heartbeat of a job that was not taken for so long is given up: the next run has its own.
pub const HEARTBEAT_AGE_MAX: Span = Span::from_secs(3_600);
/// Heartbeats of jobs under way at a time.
pub const HEARTBEATS_AT_ONCE: usize = 16;
/// Subscriptions to pushes in a cluster.
pub const PUSH_SUBSCRIPTIONS_MAX: usize = 1_000;
/// Those of one user.
pub const PUSH_SUBSCRIPTIONS_PER_USER: usize = 20;
/// The address that a browser gives for its pushes, in bytes.
pub const PUSH_ENDPOINT_BYTES_MAX: usize = 1_024;
/// Troubles that one subscription was told of and that are not over; more are counted only.
pub const PUSH_OPEN_MAX: u32 = 200;
/// Notices that wait for one subscription; more are counted only.
pub const PUSH_WAITING_MAX: u32 = 100;
/// From one push to a browser to the next, at least.
pub const PUSH_PAUSE: Span = Span::from_secs(2);
/// Notices that are pushed one by one; where more wait they go in one message.
pub const PUSH_SINGLE_MAX: usize = 3;
/// Pushes under way at a time.
pub const PUSHES_AT_ONCE: usize = 16;
/// What a push says, before it is encrypted, in bytes. Push services take 4,096 with what the
/// encryption adds (RFC 8030 §7.2, RFC 8291 §4).
pub const PUSH_PAYLOAD_BYTES_MAX: usize = 3_993;
/// Windows in a cluster.
pub const WINDOWS_MAX: usize = 100;
/// The shortest window that comes again and again: the leader looks at each twice.
pub const WINDOW_DURATION_MIN: Span = Span::from_secs(60);
/// The longest one.
pub const WINDOW_DURATION_MAX: Span = Span::from_secs(31 * 86_400);
/// Notices that go out together at the end of a window, to a channel; more are a second message.
pub const SUMMARY_MAX: usize = 1_000;
/// Sinks in a cluster.
pub const SINKS_MAX: usize = 20;
/// Types, and jobs, that a sink selects.
pub const SINK_SELECT_MAX: usize = 100;
/// The address of a server of a sink or a trigger, in bytes.
pub const SERVER_URL_BYTES_MAX: usize = 2_048;
/// Bytes of the key of a job's lock.
pub const LOCK_KEY_BYTES_MAX: usize = 200;
/// The shortest time after which Redis frees a lock that is not renewed.
pub const LOCK_TTL_MIN: Span = Span::from_secs(3);
/// The longest.
pub const LOCK_TTL_MAX: Span = Span::from_secs(3_600);
/// The same, where the definition names none.
pub const LOCK_TTL_DEFAULT: Span = Span::from_secs(30);
/// A run whose lock is busy tries again after a quarter of the time it waits: at least this,
pub const LOCK_RETRY_MIN: Span = Span::from_secs(1);
/// and at most this.
pub const LOCK_RETRY_MAX: Span = Span::from_secs(15);
/// Characters of what is told about why a lock is busy.
pub const LOCK_WHY_CHARS_MAX: usize = 500;
/// The key of a stream, in bytes.
pub const STREAM_KEY_BYTES_MAX: usize = 512;
/// Entries that a stream keeps, at most.
pub const SINK_STREAM_LEN_MAX: u64 = 100_000_000;
/// The same, unless the sink says otherwise.
pub const SINK_STREAM_LEN_DEFAULT: u64 = 1_000_000;
/// Events that go to a sink at a time.
pub const SINK_BATCH_MAX: usize = 500;
/// How long a call to a server of a sink may take; then the connection is dropped.
pub const SINK_CALL_TIMEOUT: Span = Span::from_secs(5);
/// A sink that lacks more events is behind, which is told; it has caught up when a tenth is left.
pub const SINK_BEHIND: u64 = 10_000;
/// Runs that `long_after: auto` is worked out from, at most.
pub const AUTO_RUNS_MAX: usize = 20;
/// With fewer that succeeded, nothing is told.
pub const AUTO_RUNS_MIN: usize = 5;
/// What `late_after: auto` and `long_after: auto` are at least.
pub const AUTO_MIN: Span = Span::from_secs(60);
/// What `late_after: auto` is at most.
pub const AUTO_LATE_MAX: Span = Span::from_secs(1_800);
/// Triggers in a cluster.
pub const TRIGGERS_MAX: usize = 100;
/// Entries of a stream that are taken at a time.
pub const TRIGGER_BATCH_MAX: usize = 100;
/// What they have in them, in bytes, and what the parameters of their runs have: packed, they fit
/// in one command.
pub const TRIGGER_BATCH_BYTES_MAX: usize = 65_536;
/// What one of them may have in it, in bytes.
pub const TRIGGER_ENTRY_BYTES_MAX: usize = 65_536;
/// Backfills that have not ended.
pub const BACKFILLS_OPEN_MAX: usize = 100;
/// The same of one job.
pub const BACKFILLS_PER_JOB_MAX: usize = 4;
/// Nominal times of all backfills that have not ended.
pub const BACKFILL_TIMES_MAX: u64 = 1_000_000;
/// Runs that a backfill makes in one step.
pub const BACKFILL_STEP_MAX: usize = 64;
/// `max_concurrent` of a backfill, at most.
pub const BACKFILL_CONCURRENT_MAX: u32 = 100;
/// `limit` of a backfill's rate, at most: so many runs are remembered.
pub const BACKFILL_RATE_LIMIT_MAX: u32 = 1_000;
/// Backfills that ended and are still shown, the newest.
pub const BACKFILLS_ENDED_MAX: usize = 1_000;
/// Users, and likewise API tokens, in a cluster.
pub const USERS_MAX: usize = 10_000;
/// A duration in a definition, at most (ten years).
pub const SPAN_MAX: Span = Span::from_secs(3_650 * 86_400);
/// A password, in characters: at least.
pub const PASSWORD_LEN_MIN: usize = 8;
/// A password, in characters: at most (hashing is not free).
pub const PASSWORD_LEN_MAX: usize = 512;
/// Passwords that wait for their turn to be hashed, in one node; more are refused at once.
pub const PASSWORDS_WAITING_MAX: usize = 256;
/// Wrong logins to one account: so many in a row, then one more each time.
pub const LOGINS_PER_USER: Rate = Rate { burst: 10, every: Span::from_secs(6) };
/// Wrong logins from one address (of IPv6: one /64 network).
pub const LOGINS_PER_ADDRESS: Rate = Rate { burst: 30, every: Span::from_secs(2) };
/// Accounts and addresses whose wrong logins are remembered.
pub const LOGIN_FAILURES_MAX: usize = 2_000;
/// How long a login lasts: the life of a refresh token.
pub const SESSION_TTL: Span = Span::from_secs(7 * 86_400);
/// How long the page's refresh token that was just used up is good once more, for another tab.
pub const REFRESH_GRACE: Span = Span::from_secs(30);
/// Logins that were refreshed and last, in a cluster.
pub const REFRESHED_SESSIONS_MAX: usize = 20_000;
/// The same of one user.
pub const REFRESHED_SESSIONS_PER_USER_MAX: usize = 200;
/// Signing keys whose tokens are accepted at a time.
pub const SIGNING_KEYS_MAX: usize = 8;
/// The cluster's key, in characters: at least.
pub const CLUSTER_KEY_LEN_MIN: usize = 16;

/// A node that could not reach the leader for so long begins no more attempts.
pub const NODE_LEASE: Span = Span::from_secs(10);
/// From the end of a node's lease until the leader gives the node up: for clocks that do not
/// run alike, and to stop what has to be stopped.
pub const NODE_LEASE_GRACE: Span = Span::from_secs(2);
/// A fire is decided ahead by so much at most, where that is switched on.
pub const EARLY_HORIZON: Span = Span::from_secs(3);
/// Nominal times later than this are not misfires: they fire, late.
pub const MISFIRE_GRACE: Span = Span::from_secs(5);
/// Runs of a catch-up unless the job says otherwise.
pub const MISFIRE_MAX_DEFAULT: u32 = 100;
/// Runs of a catch-up, at most.
pub const MISFIRE_MAX: u32 = 10_000;
/// Age past which a missed time is not caught up, unless the job says otherwise.
pub const MISFIRE_WINDOW_DEFAULT: Span = Span::from_secs(3600);
/// SIGTERM to SIGKILL, unless the job says otherwise.
pub const KILL_GRACE_DEFAULT: Span = Span::from_secs(10);
/// Closed runs kept a job, unless it says otherwise.
pub const RETENTION_COUNT_DEFAULT: u32 = 1_000;
/// Age at which a closed run goes, unless the job says otherwise.
pub const RETENTION_AGE_DEFAULT: Span = Span::from_secs(30 * 86_400);
/// Events that are kept, where they are.
pub const EVENTS_KEPT_MAX: u64 = 1_000_000;
/// How long an event is kept, where they are.
pub const EVENTS_AGE_MAX: Span = Span::from_secs(86_400);
/// Events that are kept for sinks that lack them; then they go all the same.
pub const EVENTS_LACKED_MAX: u64 = 5_000_000;
/// Deleted jobs whose history can be read; beyond it the one that was deleted first goes.
pub const DELETED_JOBS_MAX: usize = 10_000;
/// Missed or paused times that are counted one by one; a range of more has no count.
pub const COUNTED_MAX: u32 = 10_000;
/// Jobs with metrics of their own.
pub const METRICS_JOBS_MAX: usize = 10_000;
/// Nodes that find their data directories in one pool.
pub const POOL_SEATS_MAX: usize = 64;
/// Memory of an attempt, in bytes: at least.
pub const MEMORY_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// Processes of an attempt at a time, at most.
pub const PROCESSES_MAX: u32 = 1_000_000;
/// Open files of a process of an attempt: at least.
pub const OPEN_FILES_MIN: u32 = 16;
/// Open files of a process of an attempt: at most.
pub const OPEN_FILES_MAX: u32 = 1_000_000;
