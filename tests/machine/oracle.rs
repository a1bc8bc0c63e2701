//! An auditor that knows only schedules, policies and what happened around the machine: when
//! there was a leader, when the job was paused or edited, how long its runs took. It counts
//! seconds, shares no code with `plan` or `apply` (nor cron text: its schedules are
//! arithmetic), and predicts the exact ledger: each nominal time once, when, and why.

use std::collections::BTreeMap;

use cronapi::model::{LedgerRow, Outcome, RunStatus, Span, Timestamp};
use cronapi::schedule::spread;
use serde_json::{Value, json};

use crate::chance::{Chance, each_seed};
use crate::world::{Ending, World, at, secs};

/// A schedule that can be told second by second.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Seconds of the minute that are multiples.
    Seconds(i64),
    /// Minutes of the hour that are multiples.
    Minutes(i64),
    /// A time of day.
    Daily(i64, i64),
    /// From the job's creation.
    Every(i64),
}

impl Rule {
    fn expr(self) -> String {
        match self {
            Rule::Seconds(n) => format!("*/{n} * * * * *"),
            Rule::Minutes(n) => format!("*/{n} * * * *"),
            Rule::Daily(h, m) => format!("{m} {h} * * *"),
            Rule::Every(n) => format!("@every {n}s"),
        }
    }

    fn names(self, t: i64, created: i64) -> bool {
        let day = t.rem_euclid(86_400);
        match self {
            Rule::Seconds(n) => (t % 60) % n == 0,
            Rule::Minutes(n) => t % 60 == 0 && (t / 60 % 60) % n == 0,
            Rule::Daily(h, m) => day == h * 3_600 + m * 60,
            Rule::Every(n) => t > created && (t - created) % n == 0,
        }
    }

    fn random(chance: &mut Chance) -> Rule {
        match chance.below(5) {
            0 => Rule::Seconds(*chance.pick(&[5, 15, 20, 30])),
            1 | 2 => Rule::Minutes(*chance.pick(&[1, 2, 5, 15])),
            3 => Rule::Daily(chance.below(3) as i64, chance.below(60) as i64),
            _ => Rule::Every(*chance.pick(&[7, 45, 90, 600, 3_601])),
        }
    }
}

/// What the job asks for.
#[derive(Clone, Debug)]
struct Asked {
    rule: Rule,
    /// The job's share of its jitter, in microseconds.
    share: i64,
    policy: &'static str,
    window: i64,
    most: usize,
    overlap: &'static str,
    takes: i64,
    max_runs: usize,
}

/// What became of a nominal time: when it was decided, and how.
type Told = (i64, &'static str);

struct Auditor {
    asked: Asked,
    created: i64,
    /// The first second that is not decided.
    from: i64,
    told: BTreeMap<i64, Told>,
    fired: usize,
    /// Ends of open runs, in microseconds.
    ends: Vec<i64>,
    /// Fires are decided ahead, where that changes nothing.
    early: bool,
    /// The time whose start is planned: it needs no leader any more.
    ahead: Option<i64>,
    /// The time whose planned start was withdrawn last.
    given_back: Option<i64>,
}

const SECOND: i64 = 1_000_000;
const GRACE: i64 = 5 * SECOND;
const HORIZON: i64 = 3 * SECOND;

impl Auditor {
    fn over(&self) -> bool {
        self.fired >= self.asked.max_runs
    }

    fn times(&self, until: i64) -> Vec<i64> {
        let (rule, created) = (self.asked.rule, self.created);
        (self.from..until).filter(|t| !self.over() && rule.names(*t, created)).collect()
    }

    fn due(&self, t: i64) -> i64 {
        t * SECOND + self.asked.share
    }

    fn decide(&mut self, t: i64, now: i64, outcome: &'static str) {
        if self.over() {
            return;
        }
        let old = self.told.insert(t, (now, outcome));
        assert!(old.is_none(), "the auditor itself decides {t} twice");
        self.from = self.from.max(t + 1);
    }

    /// Fires `t`, if the overlap policy has it.
    fn fire(&mut self, t: i64, now: i64) {
        let open = self.ends.iter().any(|end| *end >= now);
        if self.asked.overlap == "skip" && open {
            return self.decide(t, now, "overlap");
        }
        self.decide(t, now, "fired");
        self.fired += 1;
        self.ends.push(now + self.asked.takes);
    }

    /// A leader is there until `to` and decides each time when it is due.
    fn leader(&mut self, from: i64, to: i64) {
        for t in self.times(to / SECOND + 1) {
            let due = self.due(t);
            if due <= to && self.ahead == Some(t) {
                self.start_ahead(due);
            } else if due <= to {
                self.fire(t, due.max(from));
            }
        }
    }

    /// A leader has looked at `now`, and plans what comes next if nothing is under way.
    fn look_ahead(&mut self, now: i64) {
        let idle = self.asked.overlap == "allow" || self.ends.iter().all(|end| *end <= now);
        if self.early && idle && self.ahead.is_none() {
            let times = self.times((now + HORIZON) / SECOND + 1);
            let near = |t: &i64| (now + 1..=now + HORIZON).contains(&self.due(*t));
            let next = times.into_iter().find(near);
            self.ahead = next.filter(|t| self.given_back != Some(*t));
        }
    }

    /// What is planned starts on its own if its time comes before `now`.
    fn start_ahead(&mut self, now: i64) {
        if let Some(t) = self.ahead.filter(|t| self.due(*t) <= now) {
            let due = self.due(t);
            self.decide(t, due, "fired");
            self.fired += 1;
            self.ends.push(due + self.asked.takes);
            self.ahead = None;
        }
    }

    /// The job is about to be edited.
    fn withdraw(&mut self) {
        self.given_back = self.ahead.take().or(self.given_back);
    }

    /// A leader comes at `now`; there was none since `down`.
    fn catch_up(&mut self, down: i64, now: i64) {
        self.start_ahead(now);
        // Ends of that time are reported after the leader has planned.
        for end in self.ends.iter_mut().filter(|end| **end > down) {
            *end = (*end).max(now);
        }
        let due: Vec<i64> =
            self.times(now / SECOND + 1).into_iter().filter(|t| self.due(*t) <= now).collect();
        let Some(oldest) = due.first() else { return };
        if now - self.due(*oldest) <= GRACE {
            due.into_iter().for_each(|t| self.fire(t, now));
            return;
        }
        let window = self.asked.window.max(GRACE);
        let (old, young): (Vec<i64>, Vec<i64>) =
            due.into_iter().partition(|t| self.due(*t) < now - window);
        old.into_iter().for_each(|t| self.decide(t, now, "window_passed"));
        let last = young.len().saturating_sub(1);
        for (place, t) in young.into_iter().enumerate() {
            let late = now - self.due(t);
            match self.asked.policy {
                "latest" if place < last => self.decide(t, now, "misfire"),
                "all" if place >= self.asked.most => self.decide(t, now, "limit"),
                "skip" if late > GRACE => self.decide(t, now, "misfire"),
                _ => self.fire(t, now),
            }
        }
    }

    /// The job is edited, resumed or deleted: what is undecided ends so.
    fn settle(&mut self, now: i64, outcome: &'static str) {
        for t in self.times(now / SECOND + 1) {
            self.decide(t, now, outcome);
        }
        self.from = self.from.max(now / SECOND + 1);
    }
}

/// What the machine says, time by time; ranges are spread over the times that the version in
/// force names.
fn spread_out(
    rows: &[LedgerRow],
    rules: &BTreeMap<u64, Rule>,
    created: i64,
) -> BTreeMap<i64, Told> {
    let mut all = BTreeMap::new();
    for row in rows {
        let outcome = match (row.outcome, row.reason) {
            (Outcome::Fired, _) => "fired",
            (Outcome::Superseded, _) => "superseded",
            (Outcome::Skipped, reason) => reason.unwrap().as_str(),
        };
        let told = (row.decided_at.micros(), outcome);
        let first = row.nominal_time.secs();
        let until = row.until.map_or(first + 1, Timestamp::secs);
        let rule = rules[&row.version];
        let times: Vec<i64> = (first..until).filter(|t| rule.names(*t, created)).collect();
        assert_eq!(times.first(), Some(&first), "a row begins with a nominal time: {row:?}");
        if row.until.is_some() {
            assert_eq!(row.count, Some(times.len() as u32), "{row:?}");
        }
        for t in times {
            assert!(all.insert(t, told).is_none(), "two outcomes for {t}: {row:?}");
        }
    }
    all
}

fn random_case(chance: &mut Chance) -> (Asked, Value) {
    let rule = Rule::random(chance);
    let jitter = if chance.once_in(3) { *chance.pick(&[800, 20_000, 300_000]) } else { 0 };
    let share = if jitter == 0 { 0 } else { spread("m", jitter + 1) as i64 * 1_000 };
    let policy = *chance.pick(&["latest", "all", "skip"]);
    let window = *chance.pick(&[0, 3, 60, 600, 3_600, 36_000]);
    let most = 1 + chance.below(6) as usize;
    let overlap = *chance.pick(&["allow", "skip"]);
    let takes = *chance.pick(&[0, 0, 2_500, 95_500, 1_000_500]) * 1_000;
    let max_runs = if chance.once_in(4) { 1 + chance.below(9) as usize } else { usize::MAX };
    let asked =
        Asked { rule, share, policy, window: window * SECOND, most, overlap, takes, max_runs };
    let mut job = json!({"name": "m", "expr": rule.expr(), "overlap": overlap,
        "runner": crate::world::work(),
        "misfire": {"policy": policy, "window": window, "max": most}});
    if jitter > 0 {
        job["jitter"] = json!(format!("{jitter}ms"));
    }
    if max_runs < usize::MAX {
        job["max_runs"] = json!(max_runs);
    }
    (asked, job)
}

fn audited(seed: u64, early: bool) {
    let mut chance = Chance::new(seed);
    let (asked, mut job) = random_case(&mut chance);
    let mut world = World::new();
    world.repeats = chance.once_in(2);
    world.around.early = early;
    world.now = Timestamp::from_micros(world.now.micros() + chance.below(7_000_000_000) as i64);
    let no = world.put(job.clone());
    let created = world.now.secs();
    let takes = Span::from_millis(asked.takes as u64 / 1_000);
    let ending = Ending { status: RunStatus::Succeeded, after: takes, result: None };
    world.script.insert("m".into(), vec![ending]);
    let mut rules = BTreeMap::from([(1, asked.rule)]);
    let mut auditor = Auditor {
        asked,
        created,
        from: created + 1,
        told: BTreeMap::new(),
        fired: 0,
        ends: vec![],
        early,
        ahead: None,
        given_back: None,
    };
    let mut paused = false;
    for _ in 0..14 {
        let now = world.now.micros();
        match chance.below(6) {
            0..2 => {
                let to =
                    now + (1 + chance.below(1_200) as i64) * SECOND + chance.below(999_999) as i64;
                world.run_to(Timestamp::from_micros(to));
                if !paused {
                    auditor.leader(now, to);
                    auditor.look_ahead(to);
                }
            }
            2..4 => {
                let gap = *chance.pick(&[1, 4, 5, 6, 9, 60, 400, 3_600, 3_700, 9_000]);
                let back = now + gap * SECOND + *chance.pick(&[0, 0, 1, 500_000]);
                world.now = Timestamp::from_micros(back);
                world.settle();
                if paused {
                    auditor
                        .ends
                        .iter_mut()
                        .filter(|end| **end > now)
                        .for_each(|e| *e = (*e).max(back));
                } else {
                    auditor.catch_up(now, back);
                    auditor.look_ahead(back);
                }
            }
            4 => {
                world.enable("m", paused);
                auditor.withdraw();
                if paused {
                    auditor.settle(now, "paused");
                }
                paused = !paused;
            }
            _ => {
                let rule = Rule::random(&mut chance);
                if rule.expr() == auditor.asked.rule.expr() {
                    continue;
                }
                job["expr"] = json!(rule.expr());
                job["enabled"] = json!(!paused);
                world.put(job.clone());
                auditor.withdraw();
                auditor.settle(now, if paused { "paused" } else { "superseded" });
                auditor.asked.rule = rule;
            }
        }
        rules.insert(world.job("m").version, auditor.asked.rule);
    }
    let now = world.now.micros();
    world.delete("m");
    auditor.settle(now, if paused { "paused" } else { "superseded" });
    let have = spread_out(&world.ledger_of(no), &rules, created);
    if have != auditor.told {
        let show = |map: &BTreeMap<i64, Told>, other: &BTreeMap<i64, Told>| -> Vec<String> {
            let differ = map.iter().filter(|(t, told)| other.get(t) != Some(told));
            let text = |(t, (d, o)): (&i64, &Told)| {
                format!("{} at {}: {o}", Timestamp::from_secs(*t), Timestamp::from_micros(*d))
            };
            differ.map(text).take(6).collect()
        };
        panic!(
            "{:?}\nthe machine: {:#?}\nthe auditor: {:#?}",
            auditor.asked,
            show(&have, &auditor.told),
            show(&auditor.told, &have)
        );
    }
}

#[test]
fn the_ledger_is_what_schedule_policies_and_timeline_say() {
    each_seed("oracle", 1..121, |seed| audited(seed, false));
    each_seed("oracle, ahead", 1..121, |seed| audited(seed, true));
}

/// Definitions whose times are not plain arithmetic, zones with changes of clocks among them:
/// the ledger, ranges spread out, is every time that the schedule names and no other.
#[test]
fn rows_and_ranges_together_are_every_nominal_time() {
    let rows = [
        ("30 2 * * *", "Europe/Berlin"),
        ("*/10 * * * *", "Australia/Lord_Howe"),
        ("0 0 L * *", "America/New_York"),
        ("15 3 * * MON#2", "America/Sao_Paulo"),
        ("0 */4 * * 1-5", "Asia/Kolkata"),
        ("H H * * *", "Pacific/Apia"),
        ("@every 5h7m", "UTC"),
        ("0 9 15W * *", "Europe/London"),
    ];
    each_seed("completeness", 1..33, |seed| {
        let mut chance = Chance::new(seed);
        let (expr, zone) = *chance.pick(&rows);
        let mut world =
            World::bare(chance.pick::<&str>(&["2027-03-13T00:00:00Z", "2027-10-01T00:00:00Z"]));
        world.node(1, 100);
        let policy = *chance.pick(&["latest", "all", "skip"]);
        let no = world.work(json!({"name": "m", "expr": expr, "timezone": zone,
            "calendars": [{"exclude": ["2027-03-29", "2027-10-31..2027-11-02"]}],
            "misfire": {"policy": policy, "window": "2d", "max": 2}}));
        let begun = world.now;
        for _ in 0..12 {
            match chance.below(4) {
                0 => {
                    world.now = world.now.plus(secs(chance.below(400_000)));
                    world.settle();
                }
                1 => {
                    world.enable("m", false);
                    world.run_for(chance.below(300_000));
                    world.enable("m", true);
                }
                _ => world.run_for(chance.below(300_000)),
            }
        }
        let created_at = world.job("m").created_at;
        let timing =
            cronapi::machine::prepare::timing::Timing::compile(&world.job("m").spec, created_at);
        let timing = timing.unwrap().unwrap();
        let mut want = Vec::new();
        let mut t = begun.secs();
        while let Some(next) = timing.schedule().next_after(t).filter(|t| *t <= world.now.secs()) {
            want.push(next);
            t = next;
        }
        let mut have = Vec::new();
        for row in world.ledger_of(no) {
            let (first, until) = (row.nominal_time.secs(), row.until.map(Timestamp::secs));
            have.push(first);
            let inside = want.iter().filter(|t| **t > first && until.is_some_and(|u| **t < u));
            have.extend(inside);
        }
        assert_eq!(have, want, "{expr} in {zone} from {begun}");
        assert!(at("2027-01-01T00:00:00Z") < begun);
    });
}
