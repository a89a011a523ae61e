//! The page as HTML. All that others wrote is escaped.

use std::str::FromStr as _;

use chrono::NaiveDate;
use postrider_shared::language::{Language, Written, date};
use postrider_shared::pricing::Currency;
use postrider_shared::quotes::{Quote, QuoteState};
use postrider_shared::tenants::Tenant;

use super::words::{Words, words};

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
            return document(language, &title, &self.tenant.name, &paragraph(words.replaced));
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
        document(language, &title, &self.tenant.name, &body)
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

/// A page that only says something.
pub(super) fn note(language: Language, title: &str, text: &str) -> String {
    document(language, title, "", &paragraph(text))
}

fn row(label: &str, value: &str) -> String {
    format!("<dt>{}</dt><dd>{}</dd>", escaped(label), escaped(value))
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escaped(text))
}

fn document(language: Language, title: &str, sender: &str, body: &str) -> String {
    let (tag, title, sender) = (language.tag(), escaped(title), escaped(sender));
    format!(
        "<!doctype html><html lang=\"{tag}\" dir=\"ltr\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head>\
         <body><main><p class=\"sender\">{sender}</p><h1>{title}</h1>{body}</main></body></html>"
    )
}

const STYLE: &str = "body{font:17px/1.5 system-ui,sans-serif;color:#1c2127;background:#f4f5f7;margin:0}\
main{max-width:28rem;margin:8vh auto;background:#fff;padding:2rem;border-radius:.6rem}\
h1{font-size:1.5rem;margin:.2rem 0 1rem}.sender,dt{color:#5f6670;margin:0}dd{margin:0 0 .8rem;font-weight:600}\
button{font:inherit;font-weight:600;padding:.7rem 1.4rem;border:1px solid #1f4e79;border-radius:.4rem;\
background:#1f4e79;color:#fff;cursor:pointer}.quiet{background:#fff;color:#1f4e79}";

fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\'' => result.push_str("&#39;"),
            other => result.push(other),
        }
    }
    result
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
        assert_eq!(escaped("<b>\"a\" & 'b'</b>"), "&lt;b&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/b&gt;");
    }
}
