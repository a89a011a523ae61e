use std::error::Error;

/// The error and what caused it, on one line; a cause that is told already is not told again.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::chain;
    use crate::database::StoreError;

    #[test]
    fn each_cause_is_told_once() {
        let full = sqlx::Error::Io(io::Error::other("the disk is full"));
        let error = StoreError::from(sea_orm::DbErr::Exec(sea_orm::RuntimeErr::SqlxError(full.into())));
        let text = chain(&error);
        assert!(text.starts_with("the database is not available: "), "{text}");
        assert_eq!(text.matches("the disk is full").count(), 1, "{text}");
    }
}
