//! What CronAPI does in a second, beside what the machine allows, in one run:
//! `cargo bench --bench cronapi -- [writes|fires|lateness|shell|memory|plan|shares]...`
//!
//! Everything is whole: a real log on a real disk (`CRONAPI_BENCH_DIR`, the temporary
//! directory unless told), real processes. docs/performance.md says what the figures mean.

mod fires;
mod memory;
mod node;
mod plan;
mod shares;
mod shell;
mod writes;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let folder = std::env::var_os("CRONAPI_BENCH_DIR").map(std::path::PathBuf::from);
    let folder = tempfile::tempdir_in(folder.unwrap_or_else(std::env::temp_dir))?;
    type Part = fn(&std::path::Path) -> Result<(), Failure>;
    let parts: [(&str, Part); 7] = [
        ("writes", writes::run),
        ("fires", fires::rate),
        ("lateness", fires::lateness),
        ("shell", shell::run),
        ("memory", memory::run),
        ("plan", plan::run),
        ("shares", shares::run),
    ];
    if let Some(unknown) = wanted.iter().find(|name| parts.iter().all(|part| part.0 != *name)) {
        let names: Vec<&str> = parts.iter().map(|part| part.0).collect();
        return Err(format!("{unknown} is not one of {}", names.join(", ")).into());
    }
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            println!("\n== {name}");
            let place = folder.path().join(name);
            std::fs::create_dir_all(&place)?;
            part(&place)?;
        }
    }
    Ok(())
}
