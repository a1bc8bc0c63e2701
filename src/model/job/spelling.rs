//! Names that are nearly right.

/// "unknown field", with the nearest known one when it is near.
pub fn unknown_field(given: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|name| (distance(given, name), *name))
        .filter(|(far, name)| *far <= 1 + name.len() / 4)
        .min();
    match near {
        Some((_, name)) => format!("is not a field; did you mean {name}?"),
        None => format!("is not a field; the fields are {}", known.join(", ")),
    }
}

/// Levenshtein distance, of the first 64 characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (corner + usize::from(ca != *cb)).min(above + 1).min(row[j] + 1);
            corner = above;
        }
    }
    row[b.len()]
}
