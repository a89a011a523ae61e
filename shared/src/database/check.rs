//! Bounds on what a person typed, checked where it is stored, so that no process can store what another cannot use.

use super::StoreError;

/// A text of 1 to `most` characters without control characters, trimmed.
pub(crate) fn line(field: &'static str, text: &str, most: usize) -> Result<String, StoreError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(StoreError::invalid(field, "must not be empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(StoreError::invalid(field, "must be one line without control characters"));
    }
    at_most(field, text, most)?;
    Ok(text.to_owned())
}

/// A text of at most `most` characters, line breaks allowed.
pub(crate) fn lines(field: &'static str, text: &str, most: usize) -> Result<String, StoreError> {
    at_most(field, text, most)?;
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t' && c != '\r') {
        return Err(StoreError::invalid(field, "must not have control characters"));
    }
    Ok(text.to_owned())
}

/// A whole number within bounds, as the database keeps it.
pub(crate) fn number(field: &'static str, value: u32, least: u32, most: u32) -> Result<i32, StoreError> {
    match i32::try_from(value) {
        Ok(stored) if (least..=most).contains(&value) => Ok(stored),
        _ => Err(StoreError::invalid(field, format!("must be from {least} to {most}"))),
    }
}

fn at_most(field: &'static str, text: &str, most: usize) -> Result<(), StoreError> {
    if text.chars().count() > most {
        return Err(StoreError::invalid(field, format!("must not be longer than {most} characters")));
    }
    Ok(())
}
