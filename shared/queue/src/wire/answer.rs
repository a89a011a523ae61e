//! Reading what scripts answer.

use redis::Value;

use crate::error::QueueError;

fn unexpected(value: &Value, wanted: &str) -> QueueError {
    let kind = match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) => "text",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    QueueError::Corrupt(format!("a script answered {kind} where {wanted} was expected"))
}

pub(crate) fn list(value: Value) -> Result<Vec<Value>, QueueError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(unexpected(&other, "a list")),
    }
}

/// A list of exactly `N` values.
pub(crate) fn fields<const N: usize>(value: Value) -> Result<[Value; N], QueueError> {
    list(value)?
        .try_into()
        .map_err(|items: Vec<Value>| QueueError::Corrupt(format!("{} values instead of {N}", items.len())))
}

pub(crate) fn bytes(value: Value) -> Result<Vec<u8>, QueueError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        other => Err(unexpected(&other, "text")),
    }
}

pub(crate) fn text(value: Value) -> Result<String, QueueError> {
    String::from_utf8(bytes(value)?).map_err(|_| QueueError::Corrupt("an answer that is not text".to_owned()))
}

/// A number, as such or as text.
pub(crate) fn integer(value: &Value) -> Result<i64, QueueError> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::BulkString(bytes) => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| unexpected(value, "a number")),
        other => Err(unexpected(other, "a number")),
    }
}
