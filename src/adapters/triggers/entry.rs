//! What is in an entry of a stream.

use serde_json::{Map, Value};

use crate::machine::prepare::Given;
use crate::model::Parameters;
use crate::model::limits::TRIGGER_ENTRY_BYTES_MAX;

/// The field that has all parameters, as a JSON object.
const PARAMETERS: &str = "parameters";

/// The parameters of an entry: the object in its field `parameters`; without that each field is
/// one, a text.
pub(super) fn parameters(fields: &[Vec<u8>]) -> Given {
    match read(fields) {
        Ok(parameters) => Given::Parameters(parameters),
        Err(why) => Given::Unreadable(why),
    }
}

/// One that is not read.
pub(super) fn too_large(bytes: u64) -> Given {
    Given::Unreadable(format!(
        "has {bytes} bytes; at most {TRIGGER_ENTRY_BYTES_MAX} are read, pass a reference"
    ))
}

fn read(fields: &[Vec<u8>]) -> Result<Parameters, String> {
    let mut map = Map::new();
    for pair in fields.chunks(2) {
        let [name, value] = pair else { return Err("has a field without a value".into()) };
        let name = text(name).map_err(|()| "has a field whose name is no UTF-8".to_owned())?;
        let value = text(value).map_err(|()| format!("the field {name} is no UTF-8"))?;
        if name == PARAMETERS {
            return object(value);
        }
        if map.insert(name.to_owned(), value.into()).is_some() {
            return Err(format!("the field {name} stands twice"));
        }
    }
    Parameters::new(map).map_err(|why| format!("the parameters {why}"))
}

fn object(value: &str) -> Result<Parameters, String> {
    match serde_json::from_str(value) {
        Ok(Value::Object(map)) => {
            Parameters::new(map).map_err(|why| format!("the parameters {why}"))
        }
        Ok(_) => Err(format!("the field {PARAMETERS} is no JSON object")),
        Err(error) => Err(format!("the field {PARAMETERS} is no JSON: {error}")),
    }
}

fn text(bytes: &[u8]) -> Result<&str, ()> {
    std::str::from_utf8(bytes).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn given(fields: &[(&str, &str)]) -> Result<Value, String> {
        let flat = fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        match parameters(&flat.map(<[u8]>::to_vec).collect::<Vec<_>>()) {
            Given::Parameters(parameters) => Ok(parameters.to_value()),
            Given::Unreadable(why) => Err(why),
        }
    }

    #[test]
    fn each_field_is_a_parameter_or_one_has_them_all() {
        let texts = given(&[("order", "17"), ("urgent", "yes")]);
        assert_eq!(texts, Ok(json!({ "order": "17", "urgent": "yes" })));
        let typed = given(&[("by", "shop"), ("parameters", r#"{"order": 17}"#)]);
        assert_eq!(typed, Ok(json!({ "order": 17 })));
        assert_eq!(given(&[]), Ok(json!({})));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = "a".repeat(40_000);
        for (fields, wanted) in [
            (vec![("parameters", "[1]")], "no JSON object"),
            (vec![("parameters", "{")], "no JSON: "),
            (vec![("a", "1"), ("a", "2")], "stands twice"),
            (vec![("a", long.as_str())], "bytes of JSON"),
        ] {
            let why = given(&fields).unwrap_err();
            assert!(why.contains(wanted), "{why}");
        }
        assert!(matches!(parameters(&[vec![0xff], vec![]]), Given::Unreadable(_)));
        assert!(matches!(parameters(&[vec![b'a']]), Given::Unreadable(_)));
        assert!(matches!(too_large(99_999), Given::Unreadable(why) if why.contains("99999")));
    }
}
