//! Every column of the database that holds sealed texts. A store that seals for a place that is not listed here is refused by
//! [`KeyRing::seal`](super::KeyRing::seal) at its first use, so no secret can be forgotten by a rotation of the keys.

use super::Place;

/// One column with sealed texts. An empty text is no secret.
#[derive(Debug, PartialEq, Eq)]
pub struct SealedColumn {
    pub table: &'static str,
    pub column: &'static str,
    /// The table's primary key, a UUID whose text is the place's row.
    pub key: &'static str,
    /// The names under which the column's texts are sealed: [`Place::column`]. Several, where a row's secret changes its meaning.
    pub places: &'static [&'static str],
}

const fn column(
    table: &'static str,
    column: &'static str,
    key: &'static str,
    places: &'static [&'static str],
) -> SealedColumn {
    SealedColumn { table, column, key, places }
}

/// All of them.
pub const SEALED_COLUMNS: &[SealedColumn] = &[
    column("accounts", "password_sealed", "id", &["password"]),
    column("google_grants", "refresh_token_sealed", "account_id", &["refresh_token"]),
    column("google_grants", "access_token_sealed", "account_id", &["access_token"]),
    column("google_consents", "verifier_sealed", "id", &["verifier"]),
    // First the code, then what it was exchanged for.
    column("google_consents", "code_sealed", "id", &["code", "refresh_token"]),
    column("one_time_codes", "code_sealed", "id", &["code"]),
    column("invitations", "token_sealed", "id", &["token"]),
];

/// Sealed texts that are handed out and never stored: table and column of their places.
const HANDED_OUT: &[(&str, &str)] = &[("google_consents", "state")];

impl SealedColumn {
    /// Where one of the column's texts may have been sealed for.
    pub(crate) fn places_of<'a>(&'a self, row: &'a str) -> impl Iterator<Item = Place<'a>> {
        self.places.iter().map(move |column| Place { table: self.table, column, row })
    }
}

impl Place<'_> {
    pub(super) fn is_listed(&self) -> bool {
        HANDED_OUT.contains(&(self.table, self.column))
            || SEALED_COLUMNS.iter().any(|listed| listed.table == self.table && listed.places.contains(&self.column))
    }
}
