//! The zone that cron of this machine goes by.

use std::fs;
use std::path::Path;

/// A zone, and what there is to say of how it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) said: Option<String>,
}

/// As the C library does for a daemon: what /etc/localtime is. `TZ` is that of whoever imports,
/// and /etc/timezone a name that somebody wrote down: they count only where there is no
/// /etc/localtime.
pub(super) fn of_machine(root: &Path, tz: Option<&str>) -> Zone {
    let set = tz.map(|zone| zone.trim_start_matches(':')).and_then(known);
    let written = fs::read_to_string(root.join("etc/timezone")).ok();
    let written = written.as_deref().map(str::trim).and_then(known);
    let localtime = root.join("etc/localtime");
    if localtime.exists() {
        let found = linked(&localtime).or_else(|| copied(root, &localtime, written.as_deref()));
        if let Some(name) = found {
            let said = set.filter(|set| *set != name).map(|set| {
                format!("times are in {name}, as /etc/localtime says; TZ={set} is for you only")
            });
            return Zone { name, said };
        }
    }
    match set.or(written) {
        Some(name) => Zone { name, said: None },
        None => Zone {
            name: "UTC".to_owned(),
            said: Some(
                "this machine's time zone is not known; UTC is taken: see --timezone".into(),
            ),
        },
    }
}

/// The name that a link leads to.
fn linked(localtime: &Path) -> Option<String> {
    // The link itself says which name was chosen; what it leads to may be another of its names.
    let targets = [fs::read_link(localtime).ok(), fs::canonicalize(localtime).ok()];
    targets.into_iter().flatten().find_map(|target| {
        let text = target.to_str()?;
        known(text.split_once("zoneinfo/")?.1)
    })
}

/// The name of a zone whose file is the same: a copy has no name.
fn copied(root: &Path, localtime: &Path, written: Option<&str>) -> Option<String> {
    let bytes = fs::read(localtime).ok()?;
    let folder = root.join("usr/share/zoneinfo");
    let same = |name: &str| fs::read(folder.join(name)).is_ok_and(|other| other == bytes);
    if let Some(name) = written.filter(|name| same(name)) {
        return Some(name.to_owned());
    }
    crate::schedule::zone_names().find(|name| same(name)).map(str::to_owned)
}

fn known(name: &str) -> Option<String> {
    let name = name.trim_start_matches("posix/").trim_start_matches("right/");
    match name {
        "Etc/UTC" | "UTC0" | "Universal" => Some("UTC".to_owned()),
        name => crate::schedule::zone_names().find(|zone| *zone == name).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn localtime_counts_before_what_is_written_down() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let zone = |tz: Option<&str>| of_machine(root, tz);
        assert_eq!(zone(None).name, "UTC");
        assert!(zone(None).said.is_some());
        let folder = root.join("usr/share/zoneinfo");
        fs::create_dir_all(folder.join("Europe")).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        for (name, text) in [("Europe/London", "london"), ("Europe/Paris", "paris")] {
            fs::write(folder.join(name), text).unwrap();
        }
        fs::write(root.join("etc/timezone"), "Europe/London\n").unwrap();
        assert_eq!(zone(None).name, "Europe/London");
        assert_eq!(zone(Some(":Asia/Tokyo")).name, "Asia/Tokyo");
        let localtime = root.join("etc/localtime");
        symlink("/usr/share/zoneinfo/Europe/Paris", &localtime).unwrap();
        if localtime.exists() {
            assert_eq!(zone(None), Zone { name: "Europe/Paris".into(), said: None });
        }
        fs::remove_file(&localtime).unwrap();
        symlink(folder.join("Europe/Paris"), &localtime).unwrap();
        assert_eq!(zone(None), Zone { name: "Europe/Paris".into(), said: None });
        let told = zone(Some("Asia/Tokyo"));
        assert!(told.name == "Europe/Paris" && told.said.unwrap().contains("TZ=Asia/Tokyo"));
        // A copy has no name of its own.
        fs::remove_file(&localtime).unwrap();
        fs::write(&localtime, "paris").unwrap();
        assert_eq!(zone(None).name, "Europe/Paris");
        fs::write(&localtime, "london").unwrap();
        assert_eq!(zone(None).name, "Europe/London");
        fs::write(&localtime, "no zone that is known").unwrap();
        assert_eq!(zone(None).name, "Europe/London");
    }
}
