//! The jobs of the demo: what each is, since when, and how its attempts go, in the past by a
//! script and from then on in truth.

use serde_json::{Value, json};

use crate::model::{LogStream, RunStatus, Span};
use crate::offline::{Beginning, Ending};

/// A job of the demo.
pub(super) struct Role {
    /// Its definition.
    pub(super) spec: Value,
    /// How long ago it was written.
    pub(super) age: Span,
    /// What an attempt does; the number is drawn for it.
    pub(super) plays: fn(&Beginning<'_>, u64) -> Ending,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How long before now nobody led, and for how long.
pub(super) const OUTAGE: (Span, Span) = (Span::from_secs(37 * MINUTE), Span::from_secs(7 * MINUTE));
/// What was paused, and how long before now.
pub(super) const PAUSED: (&str, Span) = ("clean-carts", Span::from_secs(95 * MINUTE));
/// A queue, and its bound.
pub(super) const QUEUE: (&str, u32) = ("payments", 1);
/// What is started once the nodes are there: something to watch.
pub(super) const STARTED: [&str; 3] = ["train-recommender", "import-prices", "close-tills"];
/// The digests fail for so long.
const DIGESTS_FAIL: Span = Span::from_secs(64 * MINUTE);

/// Everybody on the stage, who is named by others before those who name them.
pub(super) fn roles() -> Vec<Role> {
    let mut all = reports();
    all.extend(shop());
    all.extend(machines());
    all
}

fn role(age: u64, spec: Value, plays: fn(&Beginning<'_>, u64) -> Ending) -> Role {
    Role { spec, age: Span::from_secs(age), plays }
}

/// A shell job; `dice N` is a number below N.
fn shell(script: &str) -> Value {
    let dice = "dice() { echo $(( $(od -An -N2 -tu2 /dev/urandom) % $1 )); }";
    json!({"type": "shell", "command": format!("{dice}\n{script}")})
}

fn good(secs: u64, lines: &[&str]) -> Ending {
    Ending {
        status: RunStatus::Succeeded,
        after: Span::from_secs(secs),
        exit_code: 0,
        error: None,
        result: None,
        lines: lines.iter().map(|line| (LogStream::Stdout, (*line).to_owned())).collect(),
    }
}

fn bad(secs: u64, exit_code: i32, lines: &[&str], last: &str) -> Ending {
    let mut ending = good(secs, lines);
    ending.lines.push((LogStream::Stderr, last.to_owned()));
    // As a node would tell it: of Python what it raised, of a shell its status.
    let raised = last.contains("Error: ");
    let told = if raised { last.to_owned() } else { format!("exited with status {exit_code}") };
    Ending { status: RunStatus::Failed, exit_code, error: Some(told), ..ending }
}

fn reports() -> Vec<Role> {
    vec![
        role(
            66 * DAY,
            json!({
                "name": "backup-database",
                "description": "Dumps the shop's database, and proves that the dump can be read",
                "tags": ["data", "nightly"],
                "expr": "5 1 * * *",
                "timeout": "1h",
                "retention": {"age": "90d"},
                "runner": shell("echo dumping 31 tables\nsleep 40\necho the dump can be read"),
            }),
            |_, n| match n % 16 {
                0 => bad(71, 1, &["dumping 31 tables"], "pg_dump: connection reset by peer"),
                _ => good(240 + n % 90, &["dumping 31 tables", "the dump can be read"]),
            },
        ),
        role(
            65 * DAY,
            json!({
                "name": "reports-nightly",
                "description": "Figures of the day, from a database that was backed up",
                "tags": ["reports", "nightly"],
                "expr": "15 2 * * *",
                "timezone": "Europe/London",
                "dependencies": ["backup-database"],
                "dependency_timeout": "4h",
                "retention": {"age": "90d"},
                "runner": shell("echo adding up; sleep 20; echo 1,204 rows"),
            }),
            |_, n| good(80 + n % 60, &["adding up", "1,204 rows"]),
        ),
        role(
            400 * DAY,
            json!({
                "name": "invoices-weekly",
                "description": "One invoice for each customer, on Monday morning",
                "tags": ["reports", "money"],
                "expr": "0 6 * * 1",
                "timezone": "Europe/Berlin",
                "retry": {"max_attempts": 3, "delay": "5m"},
                "retention": {"age": "2000d"},
                "runner": shell("echo 318 invoices; sleep 30; echo sent"),
            }),
            |b, n| match (n % 9, b.attempt) {
                (0, 1) => bad(40, 75, &["318 invoices"], "the mail relay is busy, try later"),
                _ => good(300 + n % 120, &["318 invoices", "sent"]),
            },
        ),
    ]
}

/// The shop: what customers notice.
fn shop() -> Vec<Role> {
    let mut all = orders();
    all.extend(prices());
    all.extend(money());
    all.push(tills());
    all
}

fn orders() -> Vec<Role> {
    vec![
        role(
            3 * HOUR,
            json!({
                "name": "sync-orders",
                "description": "New orders from the shop to the warehouse",
                "tags": ["shop", "sync"],
                "expr": "* * * * *",
                "timeout": "50s",
                "retry": {"max_attempts": 2, "delay": "5s"},
                "runner": shell("n=$(dice 40)\necho \"$n orders\"\nsleep $((3 + $(dice 9)))\n\
                    [ \"$n\" -ne 7 ] || { echo upstream answered 502 >&2; exit 22; }"),
            }),
            |b, n| match (n % 23, b.attempt) {
                (0, _) | (1, 1) => bad(9, 22, &["41 orders"], "upstream answered 502"),
                _ => good(4 + n % 9, &["37 orders", "acknowledged by the warehouse"]),
            },
        ),
        role(
            3 * HOUR,
            json!({
                "name": "sync-crm",
                "description": "Customers to the CRM; slow when they send a newsletter",
                "tags": ["sync"],
                "expr": "* * * * *",
                "overlap": "skip",
                "runner": shell("echo reading changes\nt=$((15 + $(dice 30)))\n\
                    [ \"$(dice 7)\" -ne 0 ] || t=100\nsleep $t\necho \"done in $t s\""),
            }),
            |_, n| match n % 8 {
                0 => good(80 + n % 60, &["reading changes", "the CRM is slow", "done"]),
                _ => good(15 + n % 35, &["reading changes", "done"]),
            },
        ),
        role(
            6 * HOUR,
            json!({
                "name": "clean-carts",
                "description": "Forgets carts that were left for a day",
                "tags": ["shop"],
                "expr": "*/5 * * * *",
                "runner": shell("sleep 2; echo \"$(dice 90) carts forgotten\""),
            }),
            |_, n| good(2 + n % 3, &["54 carts forgotten"]),
        ),
        role(
            22 * HOUR,
            json!({
                "name": "page-oncall",
                "description": "Tells whoever is on call",
                "tags": ["alerts"],
                "runner": shell("echo telling the one on call; sleep 1"),
            }),
            |_, _| good(1, &["telling the one on call"]),
        ),
        role(
            20 * HOUR,
            json!({
                "name": "send-digests",
                "description": "What is new, by mail, to who asked for it",
                "tags": ["mail"],
                "expr": "*/15 * * * *",
                "on_failure": ["page-oncall"],
                "runner": shell("echo 212 digests\nsleep 3\n\
                    echo '451 the relay refuses: too many connections' >&2\nexit 69"),
            }),
            // The rest is in `plays`.
            |_, n| good(20 + n % 20, &["212 digests", "accepted by the relay"]),
        ),
    ]
}

const PRICES: &str = "\
import random, time

def import_prices(market='eu'):
    print(f'reading prices of {market}')
    rows = 0
    for part in range(1, 13):
        time.sleep(random.uniform(0.6, 1.6))
        rows += random.randint(180, 420)
        print(f'part {part} of 12, {rows} rows')
    return {'market': market, 'rows': rows}
";

fn prices() -> Vec<Role> {
    vec![
        role(
            9 * HOUR,
            json!({
                "name": "index-search",
                "description": "Puts new prices into the search, after each import",
                "tags": ["shop", "search"],
                "runner": shell("echo indexing; sleep $((4 + $(dice 6))); echo swapped"),
            }),
            |_, n| good(4 + n % 8, &["indexing", "swapped"]),
        ),
        role(
            8 * HOUR,
            json!({
                "name": "import-prices",
                "description": "Prices of the market, every five minutes",
                "tags": ["shop", "search"],
                "expr": "*/5 * * * *",
                "code": PRICES,
                "parameters": {"market": "eu"},
                "parameters_schema": {
                    "type": "object",
                    "properties": {"market": {"enum": ["eu", "us", "apac"], "title": "Market"}},
                },
                "timeout": "2m",
                "on_success": ["index-search"],
            }),
            |_, n| match n % 19 {
                0 => bad(6, 1, &["reading prices of eu"], "KeyError: 'currency'"),
                _ => Ending {
                    result: Some(json!({"market": "eu", "rows": 2_900 + n % 900})),
                    ..good(9 + n % 10, &["reading prices of eu", "part 12 of 12, 3411 rows"])
                },
            },
        ),
        role(
            3 * HOUR,
            json!({
                "name": "warm-cache",
                "description": "Asks for the pages that most people see",
                "tags": ["shop"],
                "expr": "*/2 * * * *",
                "jitter": "20s",
                "runner": shell("echo 40 pages; sleep $((1 + $(dice 4)))"),
            }),
            |_, n| good(1 + n % 5, &["40 pages"]),
        ),
    ]
}

fn money() -> Vec<Role> {
    vec![
        role(
            10 * HOUR,
            json!({
                "name": "charge-cards",
                "description": "Subscriptions that are due; one at a time with refunds",
                "tags": ["money"],
                "expr": "*/10 * * * *",
                "queue": "payments",
                "priority": 10,
                "runner": shell("echo 27 cards; sleep $((60 + $(dice 40))); echo charged"),
            }),
            |_, n| match n % 31 {
                0 => bad(30, 3, &["27 cards"], "the bank answered: do not honour (7 of 27)"),
                _ => good(60 + n % 80, &["27 cards", "charged"]),
            },
        ),
        role(
            10 * HOUR,
            json!({
                "name": "settle-refunds",
                "description": "Money back; waits for the payments queue",
                "tags": ["money"],
                "expr": "*/10 * * * *",
                "queue": "payments",
                "runner": shell("echo 4 refunds; sleep $((20 + $(dice 20))); echo settled"),
            }),
            |_, n| good(20 + n % 30, &["4 refunds", "settled"]),
        ),
    ]
}

/// A workflow: one task for each till, and what comes of them.
fn tills() -> Role {
    let echo =
        |text: &str, secs: u32| shell(&format!("echo {text}\nsleep $(({secs} + $(dice 5)))"));
    let till = json!({"type": "shell", "argv": ["sh", "-c", "echo till $0; sleep 6", "{{item}}"]});
    role(
        5 * HOUR,
        json!({
            "name": "close-tills",
            "description": "Counts every till, books the sum, and prints the slips",
            "tags": ["money", "shop"],
            "expr": "*/20 * * * *",
            "tasks": [
                {"name": "rates", "runner": echo("rates of the day", 5)},
                {"name": "stop-sales", "runner": echo("the tills are quiet", 3)},
                {
                    "name": "count",
                    "after": ["stop-sales"],
                    "over": ["berlin", "ghent", "leeds", "lyon", "porto", "turin"],
                    "max_parallel": 2,
                    "runner": till,
                },
                {"name": "book", "after": ["count", "rates"], "runner": echo("booked", 8)},
                {"name": "slips", "after": ["book"], "runner": echo("6 slips printed", 6)},
                {"name": "open-again", "after": [{"task": "book", "on": "always"}],
                    "runner": echo("the tills are open", 4)},
                {"name": "call-accounts", "after": [{"task": "book", "on": "failure"}],
                    "runner": echo("calling", 2)},
            ],
        }),
        |_, n| match n % 61 {
            0 => bad(7, 1, &["counting"], "the drawer is short by 3.20"),
            _ => good(4 + n % 9, &["done"]),
        },
    )
}

fn machines() -> Vec<Role> {
    vec![
        role(
            3 * DAY,
            json!({
                "name": "rotate-logs",
                "description": "Logs of the day before to cold storage",
                "tags": ["machines"],
                "expr": "30 * * * *",
                "runner": shell("sleep 4; echo rotated"),
            }),
            |_, n| good(4 + n % 5, &["rotated"]),
        ),
        role(
            17 * DAY,
            json!({
                "name": "train-recommender",
                "description": "What else you may like, learnt anew",
                "tags": ["data"],
                "expr": "20 */6 * * *",
                "timeout": "45m",
                "retention": {"age": "90d"},
                "runner": shell("for epoch in $(seq 1 240); do\n  sleep 2\n  \
                    echo \"epoch $epoch of 240, loss 0.$((900 - 3 * epoch))\"\ndone"),
            }),
            |_, n| match n % 14 {
                0 => Ending {
                    status: RunStatus::TimedOut,
                    error: Some("it took longer than 45m".to_owned()),
                    ..good(2_700, &["epoch 1 of 240", "epoch 212 of 240, loss 0.264"])
                },
                _ => good(1_080 + n % 700, &["epoch 1 of 240", "epoch 240 of 240, loss 0.180"]),
            },
        ),
        role(
            24 * MINUTE,
            json!({
                "name": "probe-checkout",
                "description": "Buys a pair of socks, every twenty seconds",
                "tags": ["alerts", "shop"],
                "expr": "*/20 * * * * *",
                "runner": shell("sleep 1; echo socks bought in $(dice 900) ms"),
            }),
            |_, n| match n % 37 {
                0 => bad(2, 1, &["a pair of socks"], "the basket was empty after 2 s"),
                _ => good(1, &["socks bought in 412 ms"]),
            },
        ),
    ]
}

/// What an attempt of a role does, so long before now.
pub(super) fn plays(role: &Role, beginning: &Beginning<'_>, before: Span, drawn: u64) -> Ending {
    if beginning.job == "send-digests" && before < DIGESTS_FAIL {
        let last = "451 the relay refuses: too many connections";
        return bad(3 + drawn % 3, 69, &["212 digests"], last);
    }
    (role.plays)(beginning, drawn)
}

/// Work of a crowd: what its jobs are called.
const WHAT: [&str; 10] =
    ["sync", "import", "export", "index", "clean", "bill", "report", "mail", "check", "pack"];
const WHERE: [&str; 10] =
    ["berlin", "leeds", "lyon", "turin", "porto", "ghent", "malmo", "basel", "cork", "graz"];

/// One of many: the demo may be asked for thousands.
pub(super) fn one_of_crowd(number: u64) -> Value {
    let at = |of: &'static [&'static str], number: u64| of[(number % of.len() as u64) as usize];
    let (what, place) = (at(&WHAT, number), at(&WHERE, number / 10));
    json!({
        "name": format!("{what}-{place}-{:05}", number),
        "description": format!("One of many: to {what}, in {place}"),
        "tags": ["crowd", place],
        "expr": "H * * * *",
        "runner": {"type": "shell", "command": "true"},
    })
}

/// What its attempts do.
pub(super) fn crowd_plays(drawn: u64) -> Ending {
    match drawn % 50 {
        0 => bad(2, 1, &[], "it did not work this time"),
        // Few instants, so that thousands of ends are few steps.
        _ => Ending { after: Span::from_millis(500 * (1 + drawn % 8)), ..good(0, &[]) },
    }
}
