//! The link in a quote's mail by which its customer decides.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use uuid::Uuid;

use crate::{
    ids::{QuoteId, TenantId},
    seal::{KeyRing, SealError},
};

const PURPOSE: &str = "quote decision";
/// How long after a quote's last day its page still says what became of it.
const SHOWN_AFTER: Days = Days::new(30);

/// What a link says: one revision of one quote of one tenant, for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionLink {
    pub tenant: TenantId,
    pub quote: QuoteId,
    pub revision: u32,
    pub expires_at: DateTime<Utc>,
}

/// The text is no link of ours, or none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link is not valid")]
pub struct InvalidLink;

impl DecisionLink {
    /// The link of a revision that holds until this day.
    pub fn new(tenant: TenantId, quote: QuoteId, revision: u32, valid_until: NaiveDate) -> Self {
        let last = valid_until.checked_add_days(SHOWN_AFTER).unwrap_or(valid_until);
        Self { tenant, quote, revision, expires_at: last.and_time(NaiveTime::MIN).and_utc() }
    }

    /// As part of a URL.
    pub fn token(&self, keys: &KeyRing) -> Result<String, SealError> {
        let mut data = Vec::with_capacity(44);
        data.extend_from_slice(self.tenant.0.as_bytes());
        data.extend_from_slice(self.quote.0.as_bytes());
        data.extend_from_slice(&self.revision.to_be_bytes());
        data.extend_from_slice(&self.expires_at.timestamp().to_be_bytes());
        keys.sign(PURPOSE, &data)
    }

    /// Reads a token. Nothing is looked up before its signature holds.
    pub fn read(keys: &KeyRing, token: &str, now: DateTime<Utc>) -> Result<Self, InvalidLink> {
        let data = keys.verified(PURPOSE, token).map_err(|_| InvalidLink)?;
        let (tenant, rest) = data.split_first_chunk::<16>().ok_or(InvalidLink)?;
        let (quote, rest) = rest.split_first_chunk::<16>().ok_or(InvalidLink)?;
        let (revision, rest) = rest.split_first_chunk::<4>().ok_or(InvalidLink)?;
        let expires = i64::from_be_bytes(rest.try_into().map_err(|_| InvalidLink)?);
        let link = Self {
            tenant: TenantId(Uuid::from_bytes(*tenant)),
            quote: QuoteId(Uuid::from_bytes(*quote)),
            revision: u32::from_be_bytes(*revision),
            expires_at: DateTime::from_timestamp(expires, 0).ok_or(InvalidLink)?,
        };
        if now < link.expires_at { Ok(link) } else { Err(InvalidLink) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_back_until_it_expires() {
        let keys = KeyRing::parse("k:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let link = DecisionLink::new(TenantId::random(), QuoteId::random(), 3, "2026-12-21".parse().unwrap());
        let token = link.token(&keys).unwrap();
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) && token.len() < 160);
        let before = "2027-01-19T23:59:59Z".parse().unwrap();
        assert_eq!(DecisionLink::read(&keys, &token, before), Ok(link));
        assert_eq!(DecisionLink::read(&keys, &token, "2027-01-20T00:00:00Z".parse().unwrap()), Err(InvalidLink));
        // Signed by us, but for something else.
        assert_eq!(DecisionLink::read(&keys, &keys.sign("other", b"x").unwrap(), before), Err(InvalidLink));
        assert_eq!(DecisionLink::read(&keys, &keys.sign(PURPOSE, b"x").unwrap(), before), Err(InvalidLink));
    }
}
