//! The strict JSON reader.

use serde_json::Value;
use vendors::json::{Limits, parse, size};

use crate::fit_to_show;

const TIGHT: Limits = Limits { bytes: 4 << 10, depth: 4, nodes: 32, string: 16 };

/// What is taken is JSON with one meaning, within its limits; narrower limits take less and never anything else.
pub fn strict_json(bytes: &[u8]) {
    let limits = Limits::default();
    let tight = parse(bytes, &TIGHT);
    match parse(bytes, &limits) {
        Ok(value) => {
            let other: Value = serde_json::from_slice(bytes).expect("a looser reader takes it too");
            assert_eq!(value, other, "two readers see different things");
            within(&value, &limits);
            if !has_fractions(&value) {
                assert_eq!(parse(value.to_string().as_bytes(), &limits).as_ref(), Ok(&value), "does not read back");
            }
            if let Ok(tight) = tight {
                assert_eq!(tight, value);
                within(&tight, &TIGHT);
            }
        }
        Err(error) => {
            fit_to_show(&error.to_string());
            assert!(tight.is_err(), "narrower limits take more");
        }
    }
}

fn within(value: &Value, limits: &Limits) {
    let mut nodes = 0;
    measure(value, limits, 0, &mut nodes);
    assert!(nodes <= limits.nodes);
}

fn measure(value: &Value, limits: &Limits, depth: usize, nodes: &mut usize) {
    *nodes += 1;
    match value {
        Value::String(text) => assert!(text.len() <= limits.string),
        Value::Array(items) => {
            assert!(depth < limits.depth);
            items.iter().for_each(|item| measure(item, limits, depth + 1, nodes));
        }
        Value::Object(members) => {
            assert!(depth < limits.depth && members.keys().all(|key| key.len() <= limits.string));
            members.values().for_each(|member| measure(member, limits, depth + 1, nodes));
        }
        Value::Number(number) => {
            let exact = size(value);
            assert!(exact.is_none_or(|exact| exact < 1 << 53 && exact.to_string() == number.to_string()));
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Fractions are read to the nearest but one that a double holds: they need not read back.
fn has_fractions(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fractions),
        Value::Object(members) => members.values().any(has_fractions),
        _ => false,
    }
}
