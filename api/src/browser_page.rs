//! A page for people, who follow a link to this API: one card, which needs no script and asks no other place for anything.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "body{font:17px/1.5 system-ui,sans-serif;color:#1c2127;background:#f4f5f7;margin:0}\
main{max-width:28rem;margin:8vh auto;background:#fff;padding:2rem;border-radius:.6rem}\
h1{font-size:1.5rem;margin:.2rem 0 1rem}.sender,dt{color:#5f6670;margin:0}dd{margin:0 0 .8rem;font-weight:600}\
button{font:inherit;font-weight:600;margin:.3rem .2rem .3rem 0;padding:.7rem 1.4rem;border:1px solid #1f4e79;border-radius:.4rem;\
background:#1f4e79;color:#fff;cursor:pointer}.quiet{background:#fff;color:#1f4e79}";

/// The page in a language (its BCP 47 tag). `body` is HTML; the rest is text, and escaped.
pub fn document(language: &str, title: &str, sender: &str, body: &str) -> String {
    let (title, sender) = (escaped(title), escaped(sender));
    format!(
        "<!doctype html><html lang=\"{language}\" dir=\"ltr\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head>\
         <body><main><p class=\"sender\">{sender}</p><h1>{title}</h1>{body}</main></body></html>"
    )
}

/// A paragraph of this text.
pub fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escaped(text))
}

/// Text as HTML.
pub fn escaped(text: &str) -> String {
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

/// The answer that shows it. Its address may be all that is needed to act, so nobody keeps it or lists it.
pub fn answer(status: StatusCode, html: String) -> Response {
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_markup() {
        assert_eq!(escaped("<b>\"a\" & 'b'</b>"), "&lt;b&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/b&gt;");
        let html = document("en", "<i>", "</p>", &paragraph("<u>"));
        assert!(!["<i>", "</p></p>", "<u>"].iter().any(|markup| html.contains(markup)), "{html}");
    }
}
