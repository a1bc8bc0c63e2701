//! What the disk alone does: the bound of anything durable.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Failure;

const PATIENCE: Duration = Duration::from_secs(1);

/// Appends of so many bytes a second, each synced before the next.
pub fn syncs(folder: &Path, bytes: usize) -> Result<f64, Failure> {
    let path = folder.join("syncs");
    let mut file = File::create(&path)?;
    let record = vec![7; bytes];
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < PATIENCE {
        file.write_all(&record)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}
