//! The page as HTML. All that others wrote is escaped.

use std::str::FromStr as _;

use chrono::NaiveDate;
use postrider_shared::language::{Language, Written, date};
use postrider_shared::pricing::Currency;
use postrider_shared::quotes::{Quote, QuoteState};
use postrider_shared::tenants::Tenant;

use super::words::{Words, words};
use crate::browser_page::{document, escaped, paragraph};

/// What a page shows.
pub(super) struct Page {
    pub(super) tenant: Tenant,
    pub(super) quote: Quote,
    /// The one the link is for.
    pub(super) revision: u32,
    /// Where the tenant is.
    pub(super) today: NaiveDate,
}

impl Page {
    pub(super) fn html(&self) -> String {
        let language = Language::answering(&self.quote.language, &self.tenant.language);
        let words = words(language);
        let title = format!("{} {}", words.quote, self.quote.shown_number().unwrap_or_default());
        if self.quote.revision() != self.revision {
            return document(language.tag(), &title, &self.tenant.name, &paragraph(words.replaced));
        }
        let mut body = String::from("<dl>");
        if let (Some(total), Ok(currency)) = (self.quote.total, Currency::from_str(&self.quote.currency)) {
            body.push_str(&row(words.total, &Written::new(language, currency).amount(total.0)));
        }
        if let Some(last_day) = self.quote.valid_until {
            body.push_str(&row(words.last_day, &date(last_day, language)));
        }
        body.push_str("</dl>");
        body.push_str(&self.rest(&words));
        document(language.tag(), &title, &self.tenant.name, &body)
    }

    /// The question, or why there is none.
    fn rest(&self, words: &Words) -> String {
        let is_over = self.quote.valid_until.is_some_and(|last_day| last_day < self.today);
        match self.quote.state {
            QuoteState::Sent | QuoteState::Sending if is_over => paragraph(words.expired),
            QuoteState::Sent | QuoteState::Sending => format!(
                "<form method=\"post\"><button name=\"decision\" value=\"accept\">{}</button> \
                 <button class=\"quiet\" name=\"decision\" value=\"decline\">{}</button></form>",
                escaped(words.accept),
                escaped(words.decline)
            ),
            QuoteState::Accepted => paragraph(words.accepted),
            QuoteState::Declined => paragraph(words.declined),
            QuoteState::Expired => paragraph(words.expired),
            QuoteState::Draft
            | QuoteState::NeedsReview
            | QuoteState::Priced
            | QuoteState::Rendered
            | QuoteState::Failed => paragraph(words.closed),
        }
    }
}

fn row(label: &str, value: &str) -> String {
    format!("<dt>{}</dt><dd>{}</dd>", escaped(label), escaped(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_words_and_nothing_is_markup() {
        for language in Language::ALL {
            let words = words(language);
            for word in [words.accept, words.decline, words.accepted, words.declined, words.expired, words.replaced] {
                assert!(!word.is_empty() && !word.contains('<'));
            }
        }
    }
}
