//! Accounts of this machine, as `/etc/passwd` and `/etc/group` list them.
//!
//! Read plainly, without the C library's name services: an account that exists only in a
//! directory service is not found.

use std::fs::{self, Metadata};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Gid, Uid, fchown};

/// Who a process runs as.
#[derive(Clone)]
pub(in super::super) struct Account {
    pub(in super::super) name: String,
    pub(in super::super) uid: Uid,
    pub(in super::super) gid: Gid,
    /// The primary group first.
    pub(in super::super) groups: Vec<Gid>,
    pub(in super::super) home: String,
}

impl Account {
    /// # Errors
    /// A sentence, when there is no such account.
    pub(in super::super) fn find(name: &str) -> Result<Self, String> {
        let read = |path: &str| fs::read(path).map_err(|e| format!("can't read {path}: {e}"));
        let passwd = read("/etc/passwd")?;
        let group = read("/etc/group").unwrap_or_default();
        Self::parse(name, &String::from_utf8_lossy(&passwd), &String::from_utf8_lossy(&group))
            .ok_or_else(|| format!("user {name:?} does not exist on this node"))
    }

    /// The name of a user; none: it has none here.
    pub(in super::super) fn name_of(uid: Uid) -> Option<String> {
        let passwd = fs::read("/etc/passwd").ok()?;
        let passwd = String::from_utf8_lossy(&passwd);
        let number = uid.as_raw().to_string();
        let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = lines.find(|fields| fields.len() >= 6 && fields[2] == number)?;
        Some(fields[0].to_owned())
    }

    fn parse(name: &str, passwd: &str, group: &str) -> Option<Self> {
        let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = lines.find(|fields| fields.len() >= 6 && fields[0] == name)?;
        let gid = Gid::from_raw(fields[3].parse().ok()?);
        let mut groups = vec![gid];
        for line in group.lines() {
            let fields: Vec<_> = line.split(':').collect();
            if fields.len() < 4 || !fields[3].split(',').any(|member| member == name) {
                continue;
            }
            if let Ok(id) = fields[2].parse().map(Gid::from_raw)
                && !groups.contains(&id)
            {
                groups.push(id);
            }
        }
        Some(Self {
            name: name.to_owned(),
            uid: Uid::from_raw(fields[2].parse().ok()?),
            gid,
            groups,
            home: fields[5].to_owned(),
        })
    }

    /// Whether it has a right to a file by the file's mode: 4 is to read, 1 to run or to enter.
    pub(in super::super) fn has(&self, found: &Metadata, right: u32) -> bool {
        let mode = found.mode();
        let own = if self.uid.is_root() {
            return true;
        } else if self.uid.as_raw() == found.uid() {
            mode >> 6
        } else if self.groups.iter().any(|gid| gid.as_raw() == found.gid()) {
            mode >> 3
        } else {
            mode
        };
        own & right == right
    }

    /// Whether it may run a program: the file, and every folder on the way to it.
    pub(in super::super) fn may_run(&self, file: &Path) -> bool {
        let Ok(file) = file.canonicalize() else { return false };
        file.ancestors().all(|place| fs::metadata(place).is_ok_and(|found| self.has(&found, 1)))
    }

    /// Makes the account the owner of a file or pipe, so that it can open it by its path
    /// (`/dev/stdout`) as well.
    pub(in super::super) fn give(&self, file: &impl AsFd) -> Result<(), String> {
        fchown(file, Some(self.uid), Some(self.gid))
            .map_err(|e| format!("can't hand a file to user {:?}: {e}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_its_primary_and_its_supplementary_groups() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:,,,:/home/ann:/bin/sh\n";
        let group = "root:x:0:\nusers:x:100:ann\ndisk:x:6:bob,ann\nannex:x:7:annex\nbad\n";
        let ann = Account::parse("ann", passwd, group).expect("listed");
        assert_eq!((ann.uid.as_raw(), ann.gid.as_raw()), (1000, 100));
        assert_eq!(ann.groups.iter().map(|g| g.as_raw()).collect::<Vec<_>>(), [100, 6]);
        assert_eq!(ann.home, "/home/ann");
        assert!(Account::parse("an", passwd, group).is_none());
    }
}
