//! Defaults that a schema names, filled in where a parameter is not given.

use serde_json::{Map, Value};

use super::walk::{Visit, walk};
use crate::model::limits::PARAMETERS_BYTES_MAX;

/// The parameters with the defaults of `schema`; none: there are none to fill in. An object that
/// is not given is not made for the defaults within it, unless it has one of its own.
///
/// # Errors
/// They get too large.
pub(super) fn filled(
    parameters: &Map<String, Value>,
    schema: &Value,
) -> Result<Option<Map<String, Value>>, String> {
    let mut whole = None;
    let mut path: Vec<&str> = Vec::new();
    let mut room = PARAMETERS_BYTES_MAX;
    let mut over = false;
    walk(schema, &mut |visit| match visit {
        Visit::Enter(key) => path.push(key),
        Visit::Leave => drop(path.pop()),
        Visit::Schema { map, .. } => {
            let (Some(default), Some((last, above))) = (map.get("default"), path.split_last())
            else {
                return;
            };
            let present = whole.as_ref().unwrap_or(parameters);
            if !lacks(present, above, last) {
                return;
            }
            match room.checked_sub(default.to_string().len()) {
                Some(left) => room = left,
                None => over = true,
            }
            if !over {
                let whole = whole.get_or_insert_with(|| parameters.clone());
                if let Some(object) = object_mut(whole, above) {
                    object.insert((*last).to_owned(), default.clone());
                }
            }
        }
    });
    match over {
        true => {
            Err(format!("are over {PARAMETERS_BYTES_MAX} bytes with the defaults of the schema"))
        }
        false => Ok(whole),
    }
}

/// Whether the object at `above` is there, without the key.
fn lacks(map: &Map<String, Value>, above: &[&str], key: &str) -> bool {
    let object = above.iter().try_fold(map, |map, key| map.get(*key)?.as_object());
    object.is_some_and(|object| !object.contains_key(key))
}

fn object_mut<'m>(
    map: &'m mut Map<String, Value>,
    path: &[&str],
) -> Option<&'m mut Map<String, Value>> {
    path.iter().try_fold(map, |map, key| map.get_mut(*key)?.as_object_mut())
}
