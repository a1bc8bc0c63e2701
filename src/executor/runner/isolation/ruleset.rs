//! The rules of an attempt's Landlock domain.
//!
//! Landlock knows no "all but": what is not allowed is forbidden, and what is allowed for a
//! folder holds for all below it. So everything beside the way that leads to what is kept is
//! allowed, and of the folders on the way only that their names are listed. In those no new file
//! can be made; what somebody else makes there is allowed from the next attempt on.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};

/// The newest rights that are asked for; older kernels know fewer.
const RIGHTS: ABI = ABI::V5;

/// The folders that lead to what is kept, `/` first.
pub(super) fn way(keep: &[PathBuf]) -> Vec<PathBuf> {
    let mut way: Vec<PathBuf> =
        keep.iter().flat_map(|path| path.ancestors().skip(1)).map(Path::to_owned).collect();
    way.sort();
    way.dedup();
    way
}

/// The rules, and the folders that they depend on. Without anything to keep, files are not
/// ruled at all.
///
/// # Errors
/// A sentence.
pub(super) fn make(keep: &[PathBuf], allow: &[PathBuf]) -> Result<(OwnedFd, Vec<PathBuf>), String> {
    let refused = |e: landlock::RulesetError| e.to_string();
    // A domain that rules no right of files at all could move none from folder to folder.
    let rights = if keep.is_empty() { AccessFs::Refer.into() } else { AccessFs::from_all(RIGHTS) };
    let rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    let rules = rules.handle_access(rights).map_err(refused)?;
    let rules = rules.scope(Scope::from_all(ABI::V6)).map_err(refused)?;
    let mut rules = rules.create().map_err(refused)?;
    let way = way(keep);
    if way.is_empty() {
        rules = add(rules, Path::new("/"), rights)?;
    }
    for folder in &way {
        let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()));
        for entry in entries.into_iter().flatten().flatten() {
            let path = entry.path();
            let on_the_way = way.contains(&path) || keep.contains(&path);
            // A link is no way of its own: what it leads to is asked by its own place.
            let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if !on_the_way && !link {
                rules = add(rules, &path, rights)?;
            }
        }
        rules = add(rules, folder, AccessFs::ReadDir.into())?;
    }
    for folder in allow.iter().filter_map(|folder| folder.canonicalize().ok()) {
        rules = add(rules, &folder, rights)?;
    }
    let file: Option<OwnedFd> = rules.into();
    file.map(|file| (file, way)).ok_or_else(|| "Landlock is not in force here".to_owned())
}

/// What is gone by now, or can't be reached, is not allowed either.
fn add(
    rules: RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, String> {
    let Ok(place) = PathFd::new(path) else { return Ok(rules) };
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(RIGHTS) };
    let rule = PathBeneath::new(place, rights);
    rules.add_rule(rule).map_err(|e| format!("{}: {e}", path.display()))
}
