//! Jobs that mean harm, against the cage of an attempt; and that a cage costs little.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cronapi::executor::runner::isolation::{Files, Mode, Options};
use cronapi::executor::runner::{Ended, Limits, RunnerEnv};
use serde_json::json;

use crate::bench::*;
use crate::skip::skipped;

/// Files that are kept from jobs, and one that is not.
struct Place {
    _folder: tempfile::TempDir,
    data: PathBuf,
    key: PathBuf,
    open: PathBuf,
}

fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("made");
        let [data, keys, open] = ["data", "keys", "open"].map(|name| folder.path().join(name));
        for (made, mode) in [(folder.path(), 0o755), (&data, 0o755), (&keys, 0o755), (&open, 0o777)]
        {
            std::fs::create_dir_all(made).expect("made");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(made, mode).expect("set");
        }
        std::fs::write(data.join("signing"), "s3cr3t").expect("written");
        let key = keys.join("cluster.key");
        std::fs::write(&key, "s3cr3t").expect("written");
        Place { data, key, open, _folder: folder }
    })
}

fn options(user: Option<&str>) -> Options {
    let keep = vec![place().data.clone(), place().key.clone(), "/no/such/file".into()];
    Options { mode: Mode::BestEffort, keep, user: user.map(str::to_owned) }
}

/// A node whose jobs are kept apart as far as this machine lets it.
fn caged() -> &'static RunnerEnv {
    static NODE: OnceLock<RunnerEnv> = OnceLock::new();
    NODE.get_or_init(|| RunnerEnv::detect().isolated(&options(None)).expect("an account"))
}

/// Says loudly what this machine lacks.
fn lacks(what: &str) -> bool {
    let found = caged().isolation().in_force();
    let held = match what {
        "files" => found.files != Files::Open,
        "memory" => found.memory,
        _ => found.signals,
    };
    if !held {
        skipped("isolation", &format!("this machine can't keep {what} from jobs: {found:?}"));
    }
    !held
}

/// A shell's function that says whether a command works.
const TRY: &str = "t() { n=$1; shift; if \"$@\" >/dev/null 2>&1; then echo $n yes; \
                   else echo $n no; fi; };";

async fn tries(script: &str) -> Vec<String> {
    let ran = start_on(caged(), shell(&format!("{TRY} {script}"))).end().await;
    assert_eq!(ran.outcome.exit_code, Some(0), "{ran:?}");
    ran.lines()
}

#[tokio::test]
async fn what_is_kept_from_jobs_is_neither_read_nor_written() {
    if lacks("files") {
        return;
    }
    let Place { data, key, open, .. } = place();
    let (data, key, open) = (data.display(), key.display(), open.display());
    let said = tries(&format!(
        "t read grep s3cr3t {data}/signing; t list_content grep -r s3cr3t {data}; \
         t key grep s3cr3t {key}; t write sh -c 'echo x > {data}/new'; \
         t over sh -c 'echo x > {data}/signing'; t remove rm -f {data}/signing; \
         t away mv {data} {data}2; t round grep s3cr3t /proc/self/root{data}/signing; \
         t link ln {key} {open}/link; t umount umount {data}; \
         t beside sh -c 'echo x > {open}/file && cat {open}/file'; t system cat /etc/passwd; \
         t sub mkdir -p {open}/a/b; t move mv {open}/file {open}/a/b/file"
    ))
    .await;
    let bad = ["read", "list_content", "key", "write", "over", "away", "round", "link", "umount"];
    for what in bad {
        assert!(said.contains(&format!("{what} no")), "{what}: {said:?}");
    }
    for what in ["beside", "system", "sub", "move"] {
        assert!(said.contains(&format!("{what} yes")), "{what}: {said:?}");
    }
    assert_eq!(std::fs::read_to_string(place().data.join("signing")).expect("there"), "s3cr3t");
    assert!(!place().data.join("new").exists());
}

#[tokio::test]
async fn a_key_that_is_put_in_the_place_of_another_is_kept_too() {
    if lacks("files") {
        return;
    }
    let key = &place().key;
    let next = key.with_extension("next");
    std::fs::write(&next, "s3cr3t").expect("written");
    std::fs::rename(&next, key).expect("renamed");
    let said = tries(&format!("t key grep s3cr3t {}", key.display())).await;
    assert_eq!(said, ["key no"]);
}

#[tokio::test]
async fn a_password_s_file_may_go_once_it_was_read() {
    let file = place().open.join("password");
    std::fs::write(&file, "s3cr3t").expect("written");
    let keep = vec![place().data.clone(), file.clone()];
    let options = Options { keep, ..options(None) };
    static NODE: OnceLock<RunnerEnv> = OnceLock::new();
    let node = NODE.get_or_init(|| RunnerEnv::detect().isolated(&options).expect("found"));
    let line = format!(
        "{TRY} t read grep s3cr3t {}; t data ls {}/signing",
        file.display(),
        place().data.display()
    );
    let held = node.isolation().in_force().files != Files::Open;
    for there in [true, false, true] {
        if there {
            std::fs::write(&file, "s3cr3t").expect("written");
        } else {
            std::fs::remove_file(&file).expect("removed");
        }
        let ran = start_on(node, shell(&line)).end().await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{ran:?}");
        assert!(!held || ran.lines()[0] == "read no", "{ran:?}");
    }
}

#[tokio::test]
async fn another_attempt_and_the_daemon_are_out_of_reach() {
    if lacks("memory") || lacks("signals") {
        return;
    }
    let mut victim = start_on(caged(), shell("echo here $$; exec sleep 60"));
    victim.until("here ").await;
    let theirs: u32 = victim.out().trim().rsplit(' ').next().expect("a pid").parse().expect("it");
    for pid in [theirs, std::process::id()] {
        let ptrace = "import ctypes, sys; \
                      sys.exit(ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), 0, 0) != 0)";
        let said = tries(&format!(
            "t environ cat /proc/{pid}/environ; t memory sh -c 'exec 3</proc/{pid}/mem'; \
             t files sh -c 'exec 3</proc/{pid}/fd/1'; t maps cat /proc/{pid}/maps; \
             t term kill {pid}; t kill kill -9 {pid}; t stop kill -STOP {pid}; \
             t root ls /proc/{pid}/root/; \
             t ptrace python3 -c '{ptrace}' {pid}; t own kill -0 $$; \
             sleep 9 & t child kill $!; t self cat /proc/self/environ"
        ))
        .await;
        for what in ["environ", "memory", "files", "maps", "term", "kill", "stop", "root", "ptrace"]
        {
            assert!(said.contains(&format!("{what} no")), "{pid} {what}: {said:?}");
        }
        for what in ["own", "child", "self"] {
            assert!(said.contains(&format!("{what} yes")), "{what}: {said:?}");
        }
    }
    assert!(is_running(theirs));
    victim.cancel();
    assert_eq!(victim.end().await.outcome.ended, Ended::Cancelled, "the daemon still reaches it");
}

#[tokio::test]
async fn abstract_sockets_of_others_are_out_of_reach() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let name = "abstract_sockets_of_others_are_out_of_reach";
    let found = caged().isolation().in_force();
    if found.landlock < 6 || !has_python() {
        return skipped(name, &format!("it takes Landlock of Linux 6.12, and python3: {found:?}"));
    }
    let theirs = format!("cronapi-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&theirs).expect("an address");
    let _daemon = UnixListener::bind_addr(&address).expect("bound");
    let connect = "import socket, sys; \
                   s = socket.socket(socket.AF_UNIX); s.connect(chr(0) + sys.argv[1])";
    let own = "import os, socket; n = chr(0) + 'own' + str(os.getpid()); \
               l = socket.socket(socket.AF_UNIX); l.bind(n); l.listen(); \
               socket.socket(socket.AF_UNIX).connect(n)";
    let said =
        tries(&format!("t theirs python3 -c '{connect}' {theirs}; t own python3 -c \"{own}\""))
            .await;
    assert_eq!(said, ["theirs no", "own yes"]);
}

#[tokio::test]
async fn command_lines_of_others_are_out_of_sight() {
    let found = caged().isolation().in_force();
    if !found.processes {
        let name = "command_lines_of_others_are_out_of_sight";
        skipped(name, &format!("this machine shows all processes: {found:?}"));
        return;
    }
    let mut other = start_on(caged(), argv(&["sh", "-c", "echo here $$; exec sleep 60", "t0p"]));
    other.until("here ").await;
    let theirs: u32 = other.out().trim().rsplit(' ').next().expect("a pid").parse().expect("it");
    let said = tries(&format!(
        "t other cat /proc/{theirs}/cmdline; t daemon cat /proc/{}/cmdline; \
         t first cat /proc/1/cmdline; t own cat /proc/$$/cmdline; t self cat /proc/self/status; \
         t list sh -c 'ls /proc | grep -x {theirs}'; sleep 9 & t child cat /proc/$!/cmdline; \
         t machine cat /proc/meminfo",
        std::process::id()
    ))
    .await;
    let words = ["other no", "daemon no", "first no", "own yes", "self yes", "list no"];
    for word in words.into_iter().chain(["child yes", "machine yes"]) {
        assert!(said.iter().any(|line| line == word), "{word}: {said:?}");
    }
    other.cancel();
    assert_eq!(other.end().await.outcome.ended, Ended::Cancelled, "the daemon still sees it");
}

#[tokio::test]
async fn jobs_have_an_account_of_their_own_and_no_way_back() {
    let found = caged().isolation().in_force();
    if !found.own_account {
        skipped(
            "jobs_have_an_account_of_their_own_and_no_way_back",
            "another account for jobs needs root",
        );
        return;
    }
    let ran = start_on(
        caged(),
        shell(
            "id -u; id -G; grep -E 'Cap(Prm|Eff|Inh|Amb)|NoNew' \
                                       /proc/self/status; cat /proc/self/oom_score_adj",
        ),
    );
    let said = ran.end().await;
    let lines = said.lines();
    assert!(lines[0] != "0" && !lines[1].split(' ').any(|gid| gid == "0"), "{lines:?}");
    let caps: Vec<_> = lines.iter().filter(|line| line.starts_with("Cap")).collect();
    assert!(caps.len() == 4 && caps.iter().all(|line| line.ends_with("0000000000000000")));
    assert!(lines.iter().any(|line| line.starts_with("NoNewPrivs") && line.ends_with('1')));
    assert_eq!(lines.last().map(String::as_str), Some("500"));
    if has_python() {
        let asked = python("import os\ndef f(): return os.getuid()", json!({}));
        let uid = start_on(caged(), asked).end().await.outcome.result;
        assert_eq!(uid.map(|uid| uid.to_string()), Some(lines[0].clone()));
    }
}

#[test]
fn what_is_required_and_not_to_be_had_refuses_the_start() {
    let refused = |options: &Options| RunnerEnv::detect().isolated(options).map(drop);
    let no_one = Options { user: Some("no-such".into()), ..options(None) };
    assert!(refused(&no_one).unwrap_err().contains("no-such"));
    if rustix::process::geteuid().is_root() {
        let root = Options { mode: Mode::Require, ..options(Some("root")) };
        assert!(refused(&root).unwrap_err().contains("jobs run as root"));
    }
    let all = Options { mode: Mode::Require, ..options(None) };
    let missing = &caged().isolation().in_force().missing;
    assert_eq!(refused(&all).is_ok(), missing.is_empty(), "{missing:?}");
    let off = RunnerEnv::detect().isolated(&Options { mode: Mode::Off, ..options(None) });
    assert!(!off.expect("nothing").isolation().in_force().own_account);
}

async fn bounded(line: &str, limits: Limits) -> Ran {
    let mut spec = shell(line);
    spec.limits = limits;
    start_on(caged(), spec).end().await
}

fn in_open(line: &str) -> String {
    format!("cd {} && {line}", place().open.display())
}

#[tokio::test]
async fn bounds_hold_and_the_error_names_the_one_that_ended_it() {
    let file = Limits { file_size: Some(1 << 20), ..Limits::default() };
    let ran = bounded(&in_open("head -c 9000000 /dev/zero > big"), file).await;
    assert!(ran.error().contains("limits.file_size"), "{ran:?}");
    assert_eq!(std::fs::metadata(place().open.join("big")).expect("there").len(), 1 << 20);

    let cpu = Limits { cpu: Some(Duration::from_secs(1)), ..Limits::default() };
    let ran = bounded("while :; do :; done", cpu).await;
    assert!(ran.error().contains("limits.cpu"), "{ran:?}");

    let few = Limits { processes: Some(20), ..Limits::default() };
    let bomb = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); (setsid sleep 30) & sleep 0.01; done; \
                wait";
    let ran = bounded(bomb, few).await;
    assert_eq!(ran.outcome.ended, Ended::Failed, "{ran:?}");

    // Two that are small enough each, and too large together.
    let memory = Limits { memory: Some(96 << 20), ..Limits::default() };
    let hungry = "eat() { head -c 60000000 /dev/zero | { tail -c 60000000; sleep 20; } | \
                  sleep 20; }; eat & eat & wait";
    let ran = bounded(hungry, memory).await;
    assert_eq!(ran.outcome.ended, Ended::Failed, "{ran:?}");
    assert!(ran.error().contains("limits.memory"), "{ran:?}");
}

#[tokio::test]
async fn bounds_of_python_are_told_by_its_own_errors() {
    if !has_python() {
        return;
    }
    for (code, limits, field) in [
        (
            "def f(): return len(bytearray(300_000_000))",
            Limits { memory: Some(128 << 20), ..Limits::default() },
            "limits.memory",
        ),
        (
            "def f(): x = [open('/dev/null') for _ in range(200)]",
            Limits { open_files: Some(64), ..Limits::default() },
            "limits.open_files",
        ),
        (
            "def f(): open('FILE', 'wb').write(bytes(9_000_000))",
            Limits { file_size: Some(1 << 20), ..Limits::default() },
            "limits.file_size",
        ),
    ] {
        let file = place().open.join("python").display().to_string();
        let mut spec = python(&code.replace("FILE", &file), json!({}));
        spec.limits = limits;
        let ran = start_on(caged(), spec).end().await;
        assert!(ran.error().contains(field), "{field}: {ran:?}");
    }
}

#[test]
fn the_smaller_bound_holds() {
    let node = Limits { memory: Some(100), processes: Some(5), ..Limits::default() };
    let job = Limits { memory: Some(200), processes: Some(2), open_files: Some(9), ..node };
    let both = job.within(&node);
    assert_eq!((both.memory, both.processes, both.open_files), (Some(100), Some(2), Some(9)));
}

/// Sequential starts of `/bin/true`, in microseconds each.
async fn cost(node: &'static RunnerEnv, limits: Limits) -> u128 {
    const STARTS: u32 = 200;
    let begin = Instant::now();
    for _ in 0..STARTS {
        let mut spec = argv(&["true"]);
        spec.limits = limits;
        let ran = start_on(node, spec).end().await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{ran:?}");
    }
    (begin.elapsed() / STARTS).as_micros()
}

#[tokio::test]
async fn a_cage_costs_little() {
    // A daemon has some memory, which a plain fork would copy the tables of.
    let heap = vec![1_u8; 200 << 20];
    let limits = Limits { memory: Some(1 << 30), processes: Some(500), ..Limits::default() };
    let (open, caged) = (cost(node(), Limits::default()).await, cost(caged(), limits).await);
    let begin = Instant::now();
    for _ in 0..200 {
        let done = std::process::Command::new("/bin/true").status().expect("started");
        assert!(done.success());
    }
    let bare = (begin.elapsed() / 200).as_micros();
    eprintln!("a start: {open} us without a cage, {caged} us in one, {bare} us by std alone");
    assert!(caged < 3 * open + 3_000, "{caged} us in a cage, {open} us without");
    assert!(Path::new("/").exists() && heap[7] == 1);
}
