//! A schedule in one English sentence.

use super::expr::Expr;

pub(super) fn sentence(expr: &Expr, _anchor: i64, zone: &str) -> String {
    format!("{expr:?} {zone}")
}
