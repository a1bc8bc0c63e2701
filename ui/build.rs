//! Builds the page into the build folder, and writes a table of its files.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What Vite needs, at the least.
const NODE: (u32, u32) = (20, 19);
/// What the page is made of, beside this file.
const SOURCES: [&str; 8] = [
    "build.rs",
    "compress.mjs",
    "index.html",
    "package.json",
    "package-lock.json",
    "public",
    "tsconfig.json",
    "vite.config.ts",
];

/// What this build writes beside them: newer than the build has begun, it would be made again,
/// and the daemon with it, at every call of cargo.
const GENERATED: &str = "src/api/schema.d.ts";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for name in SOURCES {
        println!("cargo::rerun-if-changed={name}");
    }
    depend_on(&here, &here.join("src"))?;
    println!("cargo::rerun-if-changed=../openapi.json");
    println!("cargo::rerun-if-env-changed=CRONAPI_UI");
    println!("cargo::rerun-if-env-changed=CRONAPI_UI_DIST");
    let wanted = env::var("CRONAPI_UI").unwrap_or_else(|_| "auto".into());
    let (folder, missing) = match (env::var_os("CRONAPI_UI_DIST"), wanted.as_str()) {
        (Some(ready), _) => (Some(PathBuf::from(ready)), None),
        (None, "skip") => (None, Some("this build was told to leave it out (CRONAPI_UI=skip)")),
        (None, "auto" | "require") if env::var_os("DOCS_RS").is_some() => {
            (None, Some("this build makes documentation only"))
        }
        (None, mode @ ("auto" | "require")) => match tools().and_then(|()| install(&here)) {
            Ok(()) => (Some(build(&here, &out)?), None),
            Err(why) if mode == "require" => return Err(why.into()),
            Err(why) => {
                let first = why.lines().next().unwrap_or_default();
                println!("cargo::warning=no page: {first}; the API works without one");
                let missing = "Node.js 20.19 or newer, or a package that it takes, was not to be \
                               had when this program was built";
                (None, Some(missing))
            }
        },
        (None, other) => {
            return Err(format!("CRONAPI_UI is {other:?}: auto, require and skip are known").into());
        }
    };
    fs::write(out.join("files.rs"), table(folder.as_deref(), missing)?)?;
    Ok(())
}

/// Says that what is made depends on the files of a folder, one by one. A new one counts as soon
/// as another names it.
fn depend_on(here: &Path, folder: &Path) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            depend_on(here, &path)?;
        } else if path != here.join(GENERATED) {
            println!("cargo::rerun-if-changed={}", path.strip_prefix(here)?.display());
        }
    }
    Ok(())
}

/// Whether there is a Node.js that is new enough, and npm.
fn tools() -> Result<(), String> {
    let told = Command::new("node").arg("--version").output();
    let told = told.map_err(|error| format!("node can't be started: {error}"))?;
    let text = String::from_utf8_lossy(&told.stdout).trim().trim_start_matches('v').to_owned();
    let mut parts = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < NODE {
        return Err(format!("node is {text}, and {}.{} or newer is needed", NODE.0, NODE.1));
    }
    let npm = Command::new("npm").arg("--version").output();
    npm.map(|_| ()).map_err(|error| format!("npm can't be started: {error}"))
}

/// Installs what the lock file says, unless it is there. Without a network that is no fault of
/// ours.
fn install(here: &Path) -> Result<(), String> {
    let told = |error: std::io::Error| format!("package-lock.json: {error}");
    let lock = fs::read(here.join("package-lock.json")).map_err(told)?;
    let stamp = here.join("node_modules/.installed-lock");
    if fs::read(&stamp).ok().as_deref() == Some(lock.as_slice()) {
        return Ok(());
    }
    let packages = run(here, "npm", &["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    packages.map_err(|error| error.to_string())?;
    fs::write(&stamp, &lock).map_err(told)
}

/// Builds; a fault in our own sources ends the build of the daemon too.
fn build(here: &Path, out: &Path) -> Outcome<PathBuf> {
    let dist = out.join("dist");
    let target = dist.to_string_lossy().into_owned();
    run(here, "npm", &["run", "--silent", "check"])?;
    run(
        here,
        "npx",
        &["vite", "build", "--logLevel", "warn", "--emptyOutDir", "--outDir", &target],
    )?;
    run(here, "node", &["compress.mjs", &target])?;
    Ok(dist)
}

fn run(here: &Path, program: &str, arguments: &[&str]) -> Outcome<()> {
    let done = Command::new(program).args(arguments).current_dir(here).output()?;
    if done.status.success() {
        return Ok(());
    }
    let (said, warned) =
        (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    Err(format!("{program} {} failed:\n{said}\n{warned}", arguments.join(" ")).into())
}

/// The source text of the table.
fn table(folder: Option<&Path>, missing: Option<&str>) -> Outcome<String> {
    let mut files = Vec::new();
    if let Some(folder) = folder {
        walk(folder, folder, &mut files)?;
        files.sort();
        if !files.iter().any(|(path, _)| path == "index.html") {
            return Err(format!("{} has no index.html", folder.display()).into());
        }
    }
    let mut text = String::from("/// Every file.\npub static FILES: &[File] = &[\n");
    for (path, whole) in &files {
        let packed = whole.with_file_name(format!("{}.br", name(whole)));
        let brotli = if packed.exists() {
            format!("Some(include_bytes!({packed:?}))")
        } else {
            "None".into()
        };
        writeln!(
            text,
            "File {{ path: {path:?}, bytes: include_bytes!({whole:?}), brotli: {brotli} }},"
        )?;
    }
    text.push_str("];\n\n/// Why there is no page; none: there is one.\n");
    writeln!(text, "pub static MISSING: Option<&str> = {missing:?};")?;
    Ok(text)
}

fn walk(top: &Path, folder: &Path, found: &mut Vec<(String, PathBuf)>) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(top, &path, found)?;
        } else if path.extension().is_none_or(|kind| kind != "br") {
            let inside = path.strip_prefix(top)?.to_string_lossy().replace('\\', "/");
            found.push((inside, fs::canonicalize(&path)?));
        }
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
