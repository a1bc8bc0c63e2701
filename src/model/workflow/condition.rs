//! Conditions of tasks: a value held against others. There is no language of expressions.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A condition. All comparisons that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// What is held against the others; `${…}` is filled in.
    pub value: Value,
    /// It equals this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eq: Option<Value>,
    /// It does not equal this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ne: Option<Value>,
    /// It is greater: numbers by size, texts by order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gt: Option<Value>,
    /// It is greater or equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ge: Option<Value>,
    /// It is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lt: Option<Value>,
    /// It is less or equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub le: Option<Value>,
    /// It is one of these.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub among: Option<Vec<Value>>,
    /// There is one, and it is not null; false: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub exists: Option<bool>,
}

impl When {
    /// What its value is held against.
    pub fn others(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let all = [
            ("eq", &self.eq),
            ("ne", &self.ne),
            ("gt", &self.gt),
            ("ge", &self.ge),
            ("lt", &self.lt),
            ("le", &self.le),
        ];
        all.into_iter().filter_map(|(name, other)| Some((name, other.as_ref()?)))
    }

    /// Whether it says anything.
    pub fn is_empty(&self) -> bool {
        self.others().next().is_none() && self.among.is_none() && self.exists.is_none()
    }

    /// Whether it holds for `value`, every `${…}` in it and in the others being filled in.
    pub fn holds(&self, value: &Value) -> bool {
        let compared = self.others().all(|(name, other)| {
            let order = compare(value, other);
            match name {
                "eq" => same(value, other),
                "ne" => !same(value, other),
                "gt" => order == Some(Ordering::Greater),
                "ge" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                "lt" => order == Some(Ordering::Less),
                _ => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            }
        });
        compared
            && self.among.as_ref().is_none_or(|all| all.iter().any(|one| same(value, one)))
            && self.exists.is_none_or(|exists| exists != value.is_null())
    }
}

/// Numbers are the same by size: 1 and 1.0 are.
fn same(one: &Value, other: &Value) -> bool {
    one == other || compare(one, other) == Some(Ordering::Equal)
}

/// Numbers by size, texts by order; nothing else has one.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn comparisons_hold_by_size_and_order_and_all_of_them_must() {
        let rows = [
            (json!({"gt": 0}), json!(1), true),
            (json!({"gt": 0}), json!(0), false),
            (json!({"ge": 1.0}), json!(1), true),
            (json!({"gt": 0, "lt": 3}), json!(3), false),
            (json!({"eq": 1}), json!(1.0), true),
            (json!({"ne": "a"}), json!("b"), true),
            (json!({"lt": "b"}), json!("a"), true),
            (json!({"gt": 0}), json!("1"), false),
            (json!({"gt": 0}), json!(null), false),
            (json!({"in": ["a", "b"]}), json!("b"), true),
            (json!({"in": []}), json!("b"), false),
            (json!({"exists": true}), json!(null), false),
            (json!({"exists": false}), json!(null), true),
            (json!({"eq": {"a": [1]}}), json!({"a": [1]}), true),
            (json!({"le": 18446744073709551615_u64}), json!(-1), true),
        ];
        for (mut when, value, holds) in rows {
            when["value"] = json!("${parameters.x}");
            let when: When = serde_json::from_value(when).unwrap();
            assert_eq!(when.holds(&value), holds, "{when:?} {value}");
        }
    }
}
