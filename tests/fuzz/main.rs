//! Parsers of foreign bytes, given bytes that were bent: they answer or refuse, in bounded time;
//! none panics. What one refuses and another takes is not judged here.
//!
//! Each target begins with inputs that are right and changes them. CI gives it a second and a
//! half; `make fuzz SECONDS=600 TARGET=backup SEED=7` gives it more. A panic names the seed and
//! the number of the input, and leaves the input in `target/fuzz`.

mod bend;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use bend::Bender;
use targets::Target;

/// No input may take longer, in a debug build beside other tests.
const SLOW: Duration = Duration::from_secs(5);

fn number(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn fuzz(target: &Target) {
    let seed = number("FUZZ_SEED", 20_261_128.0) as u64;
    let until = Duration::from_secs_f64(number("FUZZ_SECONDS", 1.5));
    let corpus = (target.corpus)();
    assert!(!corpus.is_empty(), "{}: nothing to begin with", target.name);
    for whole in &corpus {
        assert!((target.parse)(whole), "{}: a right input is refused", target.name);
    }
    let mut bender = Bender::new(seed, corpus);
    let (began, mut inputs, mut taken) = (Instant::now(), 0_u64, 0_u64);
    while began.elapsed() < until {
        let input = bender.bent();
        let at = Instant::now();
        let parsed = catch_unwind(AssertUnwindSafe(|| (target.parse)(&input)));
        let took = at.elapsed();
        if parsed.is_err() || took > SLOW {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
            std::fs::create_dir_all(&folder).unwrap();
            let file = folder.join(format!("{}-{seed}-{inputs}", target.name));
            std::fs::write(&file, &input).unwrap();
            let what = if parsed.is_err() { "panicked" } else { "was slow" };
            panic!("{}: input {inputs} of seed {seed} {what} ({took:?}): {file:?}", target.name);
        }
        inputs += 1;
        taken += u64::from(parsed.unwrap_or_default());
    }
    println!("{}: {inputs} inputs, {taken} taken, seed {seed}", target.name);
    assert!(inputs > 20, "{}: only {inputs} inputs", target.name);
}

macro_rules! targets {
    ($($name:ident),*) => { $(
        #[test]
        fn $name() {
            fuzz(&targets::$name());
        }
    )* };
}

targets!(record, batch, command, state, backup, schedule, definition, template);
